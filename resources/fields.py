"""The fields of requests: each takes what is fit, in the one form that it is stored in."""

import base64
import re
import unicodedata
from typing import Any

from email_validator import EmailNotValidError, validate_email
from marshmallow import ValidationError, fields
from marshmallow.validate import OneOf

from database.models import ROLES

# Control characters, and what else breaks a line.
BREAKING = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
UNFIT = re.compile(rf"[{BREAKING}\ud800-\udfff]")
# A line, for the document: nothing of these, and something that is no blank.
LINE = rf"^[^{BREAKING}]*[^{BREAKING}\s][^{BREAKING}]*$"
# What a mail program may show as a link.
LINK = re.compile(r"[<>/:@]|\.\w{2}")


class Email(fields.String):
    """An address in the one form it is stored in: trimmed, lower case, its domain in ASCII."""

    def __init__(self, **options: Any) -> None:
        """Take an address."""
        super().__init__(metadata={"format": "email", "examples": ["ada@example.com"]}, **options)

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> str:
        text = super()._deserialize(value, *args, **options).strip(" \t").lower()
        try:
            found = validate_email(text, allow_smtputf8=False, check_deliverability=False)
        except EmailNotValidError:
            raise ValidationError("Not a valid email address.") from None
        return str(found.ascii_email)


class Password(fields.String):
    """A password, as it was typed."""

    def __init__(self, **options: Any) -> None:
        """Take any text: only the service knows which is strong enough."""
        facts = {"format": "password", "examples": ["correct horse battery"]}
        super().__init__(metadata=facts, **options)


class Line(fields.String):
    """A line of text, trimmed."""

    def __init__(self, longest: int, example: str, description: str = "", **options: Any) -> None:
        """Take 1 to longest characters; example and description are for the document."""
        facts = {"minLength": 1, "maxLength": longest, "pattern": LINE, "examples": [example]}
        if description:
            facts["description"] = description
        super().__init__(metadata=facts, **options)
        self._longest = longest

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> str:
        text = str(super()._deserialize(value, *args, **options))
        line = text.strip()
        if UNFIT.search(text) or not 1 <= len(line) <= self._longest:
            raise ValidationError(f"Must be a line of 1 to {self._longest} characters.")
        return line


class Name(Line):
    """A person's name, and nothing that a mail shows as a link.

    Mails greet with it, and anyone may sign up with somebody else's address.
    """

    def __init__(self, **options: Any) -> None:
        """Take 1 to 100 characters."""
        super().__init__(100, "Ada", **options)

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> str:
        # First, for it makes 18 characters of one, and blanks.
        normal = unicodedata.normalize("NFKC", value) if isinstance(value, str) else value
        name = super()._deserialize(normal, *args, **options)
        if LINK.search(name) or not name.isprintable():
            raise ValidationError("Not a name.")
        return name


class Role(fields.String):
    """What a user may do."""

    def __init__(self, **options: Any) -> None:
        """Take the name of a role."""
        super().__init__(validate=OneOf(ROLES), **options)


class Lines(fields.List[str]):
    """1 to 100 lines of 1 to 100 characters each."""

    def __init__(self, example: str, **options: Any) -> None:
        """Take such a list; example is for the document."""
        facts = {"minItems": 1, "maxItems": 100}
        super().__init__(Line(100, example), metadata=facts, **options)

    def _deserialize(self, value: Any, attr: Any, data: Any, **options: Any) -> list[str | None]:
        if not isinstance(value, list) or not 1 <= len(value) <= 100:
            raise ValidationError("Must be a list of 1 to 100 strings.")
        return [self.inner.deserialize(each) for each in value]


class Cursor(fields.String):
    """The name after which a page begins, made opaque."""

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> str:
        text = super()._deserialize(value, *args, **options)
        try:
            return base64.b64decode(text, b"-_", validate=True).decode()
        except ValueError:
            raise ValidationError("Not a cursor.") from None
