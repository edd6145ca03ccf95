"""Requests and responses of users."""

from typing import Any

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import OneOf

from database.models import ROLES, User
from schemas.auth import SignupSchema
from schemas.base import EXAMPLE_EMAIL, Computed, IdSchema, RequestSchema, Text, Timestamp
from schemas.fields import (
    HARD_TO_GUESS,
    ROLE,
    Beginning,
    Email,
    Flag,
    IdCursor,
    Limit,
    Locale,
    Name,
    Password,
    QueryFlag,
    Role,
)
from services import languages
from services.errors import MISSING_FIELD, Errors

ABOUT_INVITED = "Whether the user has not set the first password yet."


class MeUpdateSchema(RequestSchema):
    """A person's name, which null removes, or the language of emails."""

    name = Name(allow_none=True)
    locale = Locale()

    @validates_schema
    def _check_change(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError(MISSING_FIELD, "name")


class UserCreateSchema(SignupSchema):
    """A new account, created by an admin; without a password, its owner is invited to set one."""

    password = Password(f"{HARD_TO_GUESS} Without one, an invitation is mailed.")
    role = Role()

    def check(self, fields: dict[str, Any], user: User | None) -> Errors:
        """Check the password, and that a confirmation is not alone."""
        is_alone = "password_confirmation" in fields and "password" not in fields
        missing = {"password": [MISSING_FIELD]} if is_alone else {}
        return super().check(fields, user) | missing


class UserUpdateSchema(RequestSchema):
    """What may change of a user; null removes the name."""

    name = Name(allow_none=True)
    locale = Locale()
    role = Role()
    disabled = Flag("Whether the account is switched off.")


class DeleteUserSchema(RequestSchema):
    """The current password, required of users who delete themselves."""

    current_password = Password()


class UserPageSchema(RequestSchema):
    """A part of the list of users."""

    limit = Limit()
    after = IdCursor()
    email = Email()
    role = Role("Only users with this role.")
    disabled = QueryFlag("Only users who are disabled, or who are not.")
    q = Beginning()


class UserSchema(IdSchema):
    """A user."""

    email = Text(example=EXAMPLE_EMAIL)
    name = Text(example="Ada", allow_none=True)
    locale = Computed(
        lambda user: languages.bcp47(languages.locale_of(user)),
        type="string",
        examples=["pt-BR"],
        description="BCP 47.",
    )
    role = fields.String(required=True, validate=OneOf(ROLES), metadata=ROLE)
    created_at = Timestamp(about="The time of the signup.")
    verified = fields.Boolean(
        required=True,
        attribute="is_verified",
        metadata={"examples": [True], "description": "Whether the email is proved to be theirs."},
    )
    disabled = fields.Boolean(
        required=True,
        attribute="is_disabled",
        metadata={"examples": [False], "description": "Whether the account is switched off."},
    )
    invited = Computed(
        lambda user: user.invited_at is not None,
        type="boolean",
        examples=[False],
        description=ABOUT_INVITED,
    )
