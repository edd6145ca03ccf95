"""Requests and responses of users."""

from typing import Any

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import OneOf

from database.models import ROLES
from schemas.auth import SignupSchema
from schemas.base import EXAMPLE_EMAIL, IdSchema, RequestSchema, Text, Timestamp
from schemas.fields import IdCursor, Limit, Locale, Name, Password, Role
from services import languages
from services.errors import MISSING_FIELD


class MeUpdateSchema(RequestSchema):
    """A person's name, which null removes, or the language of emails."""

    name = Name(allow_none=True)
    locale = Locale()

    @validates_schema
    def _check_change(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError(MISSING_FIELD, "name")


class UserCreateSchema(SignupSchema):
    """A new account, created by an admin."""

    role = Role()


class UserUpdateSchema(RequestSchema):
    """What may change of a user; null removes the name."""

    name = Name(allow_none=True)
    locale = Locale()
    role = Role()


class DeleteUserSchema(RequestSchema):
    """The current password, required of users who delete themselves."""

    current_password = Password()


class UserPageSchema(RequestSchema):
    """A part of the list of users."""

    limit = Limit()
    after = IdCursor()


class UserSchema(IdSchema):
    """A user."""

    email = Text(example=EXAMPLE_EMAIL)
    name = Text(example="Ada", allow_none=True)
    locale = fields.Function(
        lambda user: languages.bcp47(languages.locale_of(user)),
        required=True,
        metadata={"type": "string", "examples": ["pt-BR"], "description": "BCP 47."},
    )
    role = fields.String(required=True, validate=OneOf(ROLES))
    created_at = Timestamp(about="The time of the signup.")
    verified = fields.Boolean(
        required=True,
        attribute="is_verified",
        metadata={"examples": [True], "description": "Whether the email is proved to be theirs."},
    )
