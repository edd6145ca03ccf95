"""What answers look like, for the document. The tests hold every answer that they get to it."""

from typing import Any

from marshmallow import EXCLUDE, Schema, fields
from marshmallow.validate import OneOf

from database.models import ROLES

AN_ID = "65f0a1b2c3d4e5f6a7b8c9d0"


def text(example: str, **facts: Any) -> fields.String:
    """Return the field of a text that is always there."""
    return fields.String(required=True, metadata={"examples": [example], **facts})


def seconds(example: int) -> fields.Integer:
    """Return the field of a duration in seconds that is always there."""
    return fields.Integer(required=True, metadata={"examples": [example]})


def time(example: str) -> fields.String:
    """Return the field of a time, ISO 8601 in UTC, that is always there."""
    return text(example, format="date-time")


class AnswerSchema(Schema):
    """An object that may have more fields one day: clients must let them pass."""

    class Meta:
        """Say so in the document."""

        unknown = EXCLUDE


class MessageSchema(AnswerSchema):
    """A sentence for a person."""

    message = text("Done")


class IdSchema(AnswerSchema):
    """What was made."""

    id = text(AN_ID)


class WelcomeSchema(IdSchema, MessageSchema):
    """An account that was made."""

    message = text("Welcome! You can log in now")


class TokensSchema(AnswerSchema):
    """A pair of tokens. `expires_in` are the seconds that the access token lives."""

    token = text("eyJhbGciOiJIUzI1NiIs...")
    refresh_token = text("eyJhbGciOiJIUzI1NiIs...")
    token_type = text("Bearer")
    expires_in = seconds(900)
    email = text("ada@example.com")


class VerifiedSchema(WelcomeSchema):
    """Whose token it is, and how many seconds it lives."""

    message = text("Token is valid")
    email = text("ada@example.com")
    expires_in = seconds(871)


class SessionSchema(AnswerSchema):
    """A place where a user is logged in; `current` is the one that asks."""

    id = text("9f86d081884c7d65")
    created_at = time("2026-11-20T09:30:00Z")
    last_used_at = time("2026-11-20T10:15:00Z")
    user_agent = text("Mozilla/5.0 (X11; Linux x86_64) …")
    current = fields.Boolean(required=True, metadata={"examples": [True]})


class HasBeenResetSchema(MessageSchema):
    """Whose password was set."""

    message = text("Password has been reset")
    email = text("ada@example.com")


class AccountSchema(IdSchema):
    """An account."""

    email = text("ada@example.com")
    name = fields.String(required=True, allow_none=True, metadata={"examples": ["Ada"]})
    role = fields.String(required=True, validate=OneOf(ROLES))
    created_at = time("2026-11-20T09:30:00Z")


class ObjectIdSchema(AnswerSchema):
    """An id, in MongoDB's extended JSON."""

    oid = fields.String(required=True, data_key="$oid", metadata={"examples": [AN_ID]})


class StoredMovieSchema(AnswerSchema):
    """A movie in the bag."""

    _id = fields.Nested(ObjectIdSchema, required=True)
    name = text("Heat")
    casts = fields.List(text("Al Pacino"), required=True)
    genres = fields.List(text("Crime"), required=True)
    added_by = fields.Nested(ObjectIdSchema, required=True)


class ErrorSchema(AnswerSchema):
    """Why not; `errors` says more of a validation error, a list of sentences for each field."""

    message = text("Invalid username or password")
    status = fields.Integer(required=True)
    error = text("UnauthorizedError")
    errors = fields.Dict(keys=fields.String(), values=fields.List(fields.String()))


class StatusSchema(AnswerSchema):
    """How the service is."""

    status = text("ready")


class OpenApiSchema(AnswerSchema):
    """An OpenAPI document."""

    openapi = text("3.1.0")
    info = fields.Dict(required=True)
    tags = fields.List(fields.Dict(), required=True)
    paths = fields.Dict(required=True)
    components = fields.Dict(required=True)
