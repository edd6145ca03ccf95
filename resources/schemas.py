"""What requests look like."""

import re
import unicodedata
from typing import Any

from email_validator import EmailNotValidError, validate_email
from marshmallow import Schema, ValidationError, fields, validates_schema
from marshmallow.validate import OneOf, Range, Regexp

from database.models import ROLES

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


class Name(fields.String):
    """A person's name: 1 to 100 printable characters, and nothing that a mail shows as a link.

    Mails greet with it, and anyone may sign up with somebody else's address.
    """

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> str:
        text = super()._deserialize(value, *args, **options)
        name = unicodedata.normalize("NFKC", text).strip()
        if not 1 <= len(name) <= 100 or not name.isprintable() or LINK.search(name):
            raise ValidationError("Not a name of 1 to 100 characters.")
        return name


class Role(fields.String):
    """What a user may do."""

    def __init__(self, **options: Any) -> None:
        """Take the name of a role."""
        super().__init__(validate=OneOf(ROLES), **options)


class EmailSchema(Schema):
    """An address alone."""

    email = Email(required=True)


class LoginSchema(EmailSchema):
    """An address and its password."""

    password = fields.String(required=True)


class NewPasswordSchema(Schema):
    """A password to set; typed twice, it must be the same."""

    password = fields.String(required=True)
    password_confirmation = fields.String()

    @validates_schema
    def _same_twice(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("password_confirmation", data.get("password")) != data.get("password"):
            raise ValidationError("Passwords don't match.", "password_confirmation")


class SignupSchema(EmailSchema, NewPasswordSchema):
    """A new account."""

    name = Name()


class ResetSchema(NewPasswordSchema):
    """A new password with the reset token, which may come as a bearer token instead."""

    reset_token = fields.String()


class NameSchema(Schema):
    """A person's name."""

    name = Name(required=True)


class CurrentPasswordSchema(Schema):
    """The password that is in force, to show that it is really the user who asks."""

    current_password = fields.String(required=True)


class ChangePasswordSchema(CurrentPasswordSchema, NewPasswordSchema):
    """A new password and the one it replaces."""


class NewUserSchema(SignupSchema):
    """A new account, by an admin."""

    role = Role()


class UserSchema(Schema):
    """What may change of an account."""

    name = Name()
    role = Role()


class DeleteUserSchema(Schema):
    """The current password, which only those who delete themselves need."""

    current_password = fields.String()


class PageSchema(Schema):
    """Which part of a list: how many at most, and after which."""

    limit = fields.Integer(load_default=50, validate=Range(1, 200))
    after = fields.String(validate=Regexp(r"[0-9a-f]{24}\Z", error="Not a cursor."))
