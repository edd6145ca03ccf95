"""Requests and responses of accounts, sessions and password reset."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validates_schema

from schemas.base import (
    EXAMPLE_EMAIL,
    EXAMPLE_SESSION_ID,
    EXAMPLE_TIME,
    EXAMPLE_TOKEN,
    IdSchema,
    MessageSchema,
    ResponseSchema,
    Seconds,
    Text,
    Timestamp,
)
from schemas.fields import Email, Name, Password


class EmailSchema(Schema):
    """An email alone."""

    email = Email(required=True)


class LoginSchema(EmailSchema):
    """An email and its password."""

    password = Password(required=True)


class NewPasswordSchema(Schema):
    """A new password: 8 to 128 characters, hard to guess; the confirmation must be the same.

    password_service checks length and strength.
    """

    password = Password(required=True)
    password_confirmation = Password()

    @validates_schema
    def _check_confirmation(self, data: dict[str, Any], **_: Any) -> None:
        confirmation = data.get("password_confirmation")
        if confirmation is not None and confirmation != data.get("password"):
            raise ValidationError("Passwords don't match.", "password_confirmation")

    @post_load
    def _drop_confirmation(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        data.pop("password_confirmation", None)
        return data


class SignupSchema(EmailSchema, NewPasswordSchema):
    """A new account."""

    name = Name()


class ResetPasswordSchema(NewPasswordSchema):
    """A new password with the reset token, which may be sent as a bearer token instead."""

    reset_token = fields.String(metadata={"examples": [EXAMPLE_TOKEN]})


class RefreshTokenSchema(Schema):
    """A refresh token, which may be sent as a bearer token instead."""

    refresh_token = fields.String(metadata={"examples": [EXAMPLE_TOKEN]})


class CurrentPasswordSchema(Schema):
    """The current password, to prove that the request is the user's."""

    current_password = Password(required=True)


class ChangePasswordSchema(CurrentPasswordSchema, NewPasswordSchema):
    """A new password and the current one."""


class SignedUpSchema(IdSchema, MessageSchema):
    """The new account."""

    message = Text(example="Welcome! You can log in now")


class TokensSchema(ResponseSchema):
    """A pair of tokens; `expires_in` is the seconds for which the access token is valid."""

    token = Text(example=EXAMPLE_TOKEN)
    refresh_token = Text(example=EXAMPLE_TOKEN)
    token_type = Text(example="Bearer", dump_default="Bearer")
    expires_in = Seconds(example=900)
    email = Text(example=EXAMPLE_EMAIL)


class VerifiedSchema(IdSchema, MessageSchema):
    """The user of the token, and for how many seconds it is valid."""

    message = Text(example="Token is valid")
    email = Text(example=EXAMPLE_EMAIL)
    expires_in = Seconds(example=871)


class SessionSchema(ResponseSchema):
    """A session of a user; `current` is the one of this request."""

    id = Text(example=EXAMPLE_SESSION_ID)
    created_at = Timestamp(example=EXAMPLE_TIME)
    last_used_at = Timestamp(example="2026-11-20T10:15:00Z")
    user_agent = Text(example="Mozilla/5.0 (X11; Linux x86_64) …")
    current = fields.Boolean(required=True, metadata={"examples": [True]})


class ResetDoneSchema(MessageSchema):
    """The email of the user whose password was set."""

    message = Text(example="Password has been reset")
    email = Text(example=EXAMPLE_EMAIL)
