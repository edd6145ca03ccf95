"""The fields of requests: each takes what is fit, in the one form that it is stored in."""

import base64
import re
import unicodedata
from typing import Any

from email_validator import EmailNotValidError, validate_email
from marshmallow import ValidationError, fields
from marshmallow.validate import OneOf

from database.models import ROLES

# Control characters, halves of surrogate pairs, and what breaks a line.
NOT_IN_A_LINE = {"Cc", "Cs", "Zl", "Zp"}
# What a mail program may show as a link.
LINK = re.compile(r"[<>/:@]|\.\w{2}")


class Email(fields.String):
    """An address in the one form it is stored in: trimmed, lower case, its domain in ASCII."""

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> str:
        text = super()._deserialize(value, *args, **options).strip(" \t").lower()
        try:
            found = validate_email(text, allow_smtputf8=False, check_deliverability=False)
        except EmailNotValidError:
            raise ValidationError("Not a valid email address.") from None
        return str(found.ascii_email)


class Line(fields.String):
    """A line of text, trimmed."""

    def __init__(self, longest: int, **options: Any) -> None:
        """Take 1 to longest characters."""
        super().__init__(**options)
        self._longest = longest

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> str:
        line = str(super()._deserialize(value, *args, **options)).strip()
        unfit = any(unicodedata.category(character) in NOT_IN_A_LINE for character in line)
        if unfit or not 1 <= len(line) <= self._longest:
            raise ValidationError(f"Must be a line of 1 to {self._longest} characters.")
        return line


class Name(Line):
    """A person's name, and nothing that a mail shows as a link.

    Mails greet with it, and anyone may sign up with somebody else's address.
    """

    def __init__(self, **options: Any) -> None:
        """Take 1 to 100 characters."""
        super().__init__(100, **options)

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> str:
        name = unicodedata.normalize("NFKC", super()._deserialize(value, *args, **options))
        if LINK.search(name) or not name.isprintable():
            raise ValidationError("Not a name.")
        return name


class Role(fields.String):
    """What a user may do."""

    def __init__(self, **options: Any) -> None:
        """Take the name of a role."""
        super().__init__(validate=OneOf(ROLES), **options)


class Lines(fields.Field[list[str]]):
    """1 to 100 lines of 1 to 100 characters each."""

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> list[str]:
        if not isinstance(value, list) or not 1 <= len(value) <= 100:
            raise ValidationError("Must be a list of 1 to 100 strings.")
        return [str(Line(100).deserialize(each)) for each in value]


class Cursor(fields.String):
    """The name after which a page begins, made opaque."""

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> str:
        try:
            return base64.b64decode(value, b"-_", validate=True).decode()
        except ValueError:
            raise ValidationError("Not a cursor.") from None
