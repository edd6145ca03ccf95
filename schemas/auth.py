"""Requests and responses of accounts, sessions and password reset."""

from typing import Any

from marshmallow import fields

from database.models import User
from schemas.base import (
    ABOUT_NEXT_PAIR,
    EXAMPLE_EMAIL,
    EXAMPLE_ID,
    EXAMPLE_SESSION_ID,
    EXAMPLE_TIME,
    EXAMPLE_TOKEN,
    IdSchema,
    MailedTokenSchema,
    MessageSchema,
    RequestSchema,
    ResponseSchema,
    Seconds,
    Text,
    Timestamp,
)
from schemas.devices import Device
from schemas.factors import FactorsSchema
from schemas.fields import HARD_TO_GUESS, CookieFlag, Email, Locale, Name, Password, Token
from services import password_service
from services.errors import Errors


class EmailSchema(RequestSchema):
    """An email alone."""

    email = Email(required=True)


class LoginSchema(EmailSchema):
    """An email and its password."""

    password = Password(required=True)
    cookie = CookieFlag()


class NewPasswordSchema(RequestSchema):
    """A new password: 8 to 128 characters, hard to guess; the confirmation must be the same.

    The words of the user's email and name count as guessable.
    """

    password = Password(HARD_TO_GUESS, required=True)
    password_confirmation = Password("The same password again.")

    def check(self, fields: dict[str, Any], user: User | None) -> Errors:
        """Return whether the confirmation differs, and why the password of user is too weak."""
        errors, confirmation = {}, fields.pop("password_confirmation", None)
        if "password" not in fields:
            return {}
        if confirmation not in (None, fields["password"]):
            errors["password_confirmation"] = ["Passwords don't match."]
        if user and (reasons := password_service.weaknesses(fields["password"], user)):
            errors["password"] = reasons
        return errors


class SignupSchema(EmailSchema, NewPasswordSchema):
    """A new account."""

    name = Name()
    locale = Locale()

    def check(self, fields: dict[str, Any], user: User | None) -> Errors:
        """Check the password of the new user: `user`, if there is one, is an admin."""
        return super().check(fields, User(email=fields.get("email"), name=fields.get("name")))


class ResetPasswordSchema(MailedTokenSchema, NewPasswordSchema):
    """A new password with the reset token, which may be sent as a bearer token instead."""

    mailed_field = "reset_token"
    reset_token = Token()


class RefreshTokenSchema(RequestSchema):
    """A refresh token, which may be sent as a bearer token or in its cookie instead."""

    refresh_token = Token()


class CurrentPasswordSchema(RequestSchema):
    """The current password, to prove that the request is the user's."""

    current_password = Password(required=True)


class ChangePasswordSchema(CurrentPasswordSchema, NewPasswordSchema):
    """A new password and the current one."""


class SignedUpSchema(MessageSchema):
    """The new account; without `id` where EMAIL_VERIFICATION is `required`."""

    id = Text(example=EXAMPLE_ID, required=False)
    message = Text(example="Welcome! You can log in now")


class TokensSchema(ResponseSchema):
    """A pair of tokens; `expires_in` is the seconds for which the access token is valid."""

    token = Text(example=EXAMPLE_TOKEN, about="The access token.")
    refresh_token = Text(example=EXAMPLE_TOKEN, about=ABOUT_NEXT_PAIR, required=False)
    token_type = Text(example="Bearer", dump_default="Bearer", about="Always `Bearer`.")
    expires_in = Seconds(example=900, about="Seconds for which the access token is valid.")
    email = Text(example=EXAMPLE_EMAIL, about="The email of the user.")


class VerifiedSchema(IdSchema, MessageSchema):
    """The user of the token, and for how many seconds it is valid."""

    message = Text(example="Token is valid")
    email = Text(example=EXAMPLE_EMAIL, about="The email of the user.")
    expires_in = Seconds(example=871, about="Seconds for which the token is still valid.")


class SessionSchema(ResponseSchema):
    """A session of a user; `current` is the one of this request."""

    id = Text(example=EXAMPLE_SESSION_ID)
    created_at = Timestamp(example=EXAMPLE_TIME, about="The time of the login.")
    last_used_at = Timestamp(example="2026-11-20T10:15:00Z", about="The time of the last refresh.")
    user_agent = Text(example="Mozilla/5.0 (X11; Linux x86_64) …", about="That of the login.")
    device = Device()
    ip = Text(example="203.0.113.7", dump_default="", about="That of the login or last refresh.")
    current = fields.Boolean(required=True, metadata={"examples": [True]})


class ResetDoneSchema(MessageSchema):
    """The email of the user whose password was set, and the ways to log in that are left."""

    message = Text(example="Password has been reset")
    email = Text(example=EXAMPLE_EMAIL, about="The email of the user.")
    factors = fields.Nested(FactorsSchema, required=True)
