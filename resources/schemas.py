"""What requests look like."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema
from marshmallow.validate import Range, Regexp

from resources.fields import Cursor, Email, Line, Lines, Name, Password, Role

AFTER = "Where the page begins: follow the Link header, which has it."


class EmailSchema(Schema):
    """An address alone."""

    email = Email(required=True)


class LoginSchema(EmailSchema):
    """An address and its password."""

    password = Password(required=True)


class NewPasswordSchema(Schema):
    """A password to set: 8 to 128 characters, hard to guess; typed twice, it must be the same."""

    password = Password(required=True)
    password_confirmation = Password()

    @validates_schema
    def _same_twice(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("password_confirmation", data.get("password")) != data.get("password"):
            raise ValidationError("Passwords don't match.", "password_confirmation")


class SignupSchema(EmailSchema, NewPasswordSchema):
    """A new account."""

    name = Name()


class ResetSchema(NewPasswordSchema):
    """A new password with the reset token, which may come as a bearer token instead."""

    reset_token = fields.String(metadata={"examples": ["eyJhbGciOiJIUzI1NiIs..."]})


class NameSchema(Schema):
    """A person's name."""

    name = Name(required=True)


class CurrentPasswordSchema(Schema):
    """The password that is in force, to show that it is really the user who asks."""

    current_password = Password(required=True)


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

    current_password = Password()


class PageSchema(Schema):
    """Which part of a list: how many at most, and after which."""

    limit = fields.Integer(
        load_default=50, validate=Range(1, 200), metadata={"description": "How many at most."}
    )
    after = fields.String(
        validate=Regexp(r"[0-9a-f]{24}\Z", error="Not a cursor."),
        # The pattern is for readers who do not know Python's \Z.
        metadata={"pattern": "^[0-9a-f]{24}$", "description": AFTER},
    )


class MovieSchema(Schema):
    """A movie."""

    name = Line(200, "Heat", required=True)
    casts = Lines("Al Pacino", required=True)
    genres = Lines("Crime", required=True)


class ChangeMovieSchema(Schema):
    """What may change of a movie."""

    name = Line(200, "Heat")
    casts = Lines("Al Pacino")
    genres = Lines("Crime")


class MoviePageSchema(Schema):
    """Which part of the bag."""

    limit = fields.Integer(
        load_default=50, validate=Range(1, 200), metadata={"description": "How many at most."}
    )
    after = Cursor(metadata={"description": AFTER})
    genre = Line(100, "Crime", "A genre, exactly.")
    q = Line(200, "heat", "Any part of the name, in any case.")
