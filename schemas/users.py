"""Requests and responses of users."""

from marshmallow import Schema, fields
from marshmallow.validate import OneOf

from database.models import ROLES
from schemas.auth import SignupSchema
from schemas.base import EXAMPLE_EMAIL, IdSchema, Text, Timestamp
from schemas.fields import IdCursor, Limit, Name, Password, Role


class NameSchema(Schema):
    """A person's name."""

    name = Name(required=True)


class UserCreateSchema(SignupSchema):
    """A new account, created by an admin."""

    role = Role()


class UserUpdateSchema(Schema):
    """What may change of a user."""

    name = Name()
    role = Role()


class DeleteUserSchema(Schema):
    """The current password, required of users who delete themselves."""

    current_password = Password()


class UserPageSchema(Schema):
    """A part of the list of users."""

    limit = Limit()
    after = IdCursor()


class UserSchema(IdSchema):
    """A user."""

    email = Text(example=EXAMPLE_EMAIL)
    name = Text(example="Ada", allow_none=True)
    role = fields.String(required=True, validate=OneOf(ROLES))
    created_at = Timestamp()
