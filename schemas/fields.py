"""The fields of requests: each accepts what is valid and returns it in its stored form."""

import base64
import re
import unicodedata
from typing import Any

from email_validator import EmailNotValidError, validate_email
from marshmallow import ValidationError, fields
from marshmallow.validate import OneOf, Range, Regexp

from database.models import ROLES
from schemas.base import EXAMPLE_EMAIL, EXAMPLE_ID

# Control characters, and other line separators.
LINE_BREAKING = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
CONTROL_CHARACTERS = re.compile(rf"[{LINE_BREAKING}\ud800-\udfff]")
# For the OpenAPI document: a line with at least one character that is no blank.
LINE_PATTERN = rf"^[^{LINE_BREAKING}]*[^{LINE_BREAKING}\s][^{LINE_BREAKING}]*$"
# What an email program may show as a link.
LINK_LIKE = re.compile(r"[<>/:@]|\.\w{2}")
AFTER = "Where the page begins: follow the Link header, which contains it."


class Email(fields.String):
    """An email in its stored form: trimmed, lower case, its domain in ASCII."""

    def __init__(self, **options: Any) -> None:
        """Take the options of a field."""
        super().__init__(metadata={"format": "email", "examples": [EXAMPLE_EMAIL]}, **options)

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> str:
        text = super()._deserialize(value, *args, **options).strip(" \t").lower()
        try:
            found = validate_email(text, allow_smtputf8=False, check_deliverability=False)
        except EmailNotValidError:
            raise ValidationError("Not a valid email address.") from None
        return str(found.ascii_email)


class Password(fields.String):
    """A password as it was typed; services decide which is strong enough."""

    def __init__(self, **options: Any) -> None:
        """Take the options of a field."""
        metadata = {"format": "password", "examples": ["correct horse battery"]}
        super().__init__(metadata=metadata, **options)


class SingleLine(fields.String):
    """A line of text, trimmed."""

    def __init__(
        self, max_length: int, example: str, description: str = "", **options: Any
    ) -> None:
        """Accept 1 to max_length characters; the rest is for the OpenAPI document."""
        limits = {"minLength": 1, "maxLength": max_length, "pattern": LINE_PATTERN}
        about = {"description": description} if description else {}
        super().__init__(metadata={**limits, "examples": [example], **about}, **options)
        self._max_length = max_length

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> str:
        text = str(super()._deserialize(value, *args, **options))
        line = text.strip()
        if CONTROL_CHARACTERS.search(text) or not 1 <= len(line) <= self._max_length:
            raise ValidationError(f"Must be a line of 1 to {self._max_length} characters.")
        return line


class Name(SingleLine):
    """A person's name that no email program shows as a link.

    Emails contain it, and anyone can sign up with the email of somebody else.
    """

    def __init__(self, **options: Any) -> None:
        """Accept 1 to 100 characters."""
        super().__init__(100, "Ada", **options)

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> str:
        # Before the length is checked, because NFKC makes up to 18 characters of one.
        normal = unicodedata.normalize("NFKC", value) if isinstance(value, str) else value
        name = super()._deserialize(normal, *args, **options)
        if LINK_LIKE.search(name) or not name.isprintable():
            raise ValidationError("Not a name.")
        return name


class Role(fields.String):
    """What a user may do."""

    def __init__(self, **options: Any) -> None:
        """Accept the name of a role."""
        super().__init__(validate=OneOf(ROLES), **options)


class StringList(fields.List[str]):
    """1 to 100 lines of 1 to 100 characters each."""

    def __init__(self, example: str, **options: Any) -> None:
        """Take an example of a line."""
        limits = {"minItems": 1, "maxItems": 100}
        super().__init__(SingleLine(100, example), metadata=limits, **options)

    def _deserialize(self, value: Any, attr: Any, data: Any, **options: Any) -> list[str | None]:
        if not isinstance(value, list) or not 1 <= len(value) <= 100:
            raise ValidationError("Must be a list of 1 to 100 strings.")
        return [self.inner.deserialize(line) for line in value]


class Limit(fields.Integer):
    """How many items a page has at most."""

    def __init__(self) -> None:
        """Accept 1 to 200, 50 if there is none."""
        metadata = {"description": "How many at most.", "examples": [50]}
        super().__init__(load_default=50, validate=Range(1, 200), metadata=metadata)


class IdCursor(fields.String):
    """The id after which a page begins."""

    def __init__(self) -> None:
        """Accept 24 hex digits."""
        super().__init__(
            validate=Regexp(r"[0-9a-f]{24}\Z", error="Not a cursor."),
            # Python's \Z is not part of the dialect of JSON Schema.
            metadata={
                "pattern": "^[0-9a-f]{24}$",
                "description": AFTER,
                "examples": [EXAMPLE_ID],
            },
        )


class NameCursor(fields.String):
    """The name after which a page begins, as URL-safe base64 so that clients don't build it."""

    def __init__(self) -> None:
        """Accept what encode returns."""
        super().__init__(metadata={"description": AFTER, "examples": [self.encode("Heat")]})

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> str:
        text = super()._deserialize(value, *args, **options)
        try:
            return base64.b64decode(text, b"-_", validate=True).decode()
        except ValueError:
            raise ValidationError("Not a cursor.") from None

    @staticmethod
    def encode(name: str) -> str:
        """Return the cursor of a name."""
        return base64.urlsafe_b64encode(name.encode()).decode()
