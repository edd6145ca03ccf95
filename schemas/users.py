"""Requests and responses of users."""

from marshmallow import fields
from marshmallow.validate import OneOf

from database.models import ROLES
from schemas.auth import SignupSchema
from schemas.base import EXAMPLE_EMAIL, IdSchema, RequestSchema, Text, Timestamp
from schemas.fields import IdCursor, Limit, Name, Password, Role


class NameSchema(RequestSchema):
    """A person's name; null removes it."""

    name = Name(required=True, allow_none=True)


class UserCreateSchema(SignupSchema):
    """A new account, created by an admin."""

    role = Role()


class UserUpdateSchema(RequestSchema):
    """What may change of a user; null removes the name."""

    name = Name(allow_none=True)
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
    role = fields.String(required=True, validate=OneOf(ROLES))
    created_at = Timestamp(about="The time of the signup.")
