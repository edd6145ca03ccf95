"""Requests and responses of API keys and of introspection."""

import time
from datetime import datetime
from typing import Any

from marshmallow import ValidationError, fields
from marshmallow.validate import OneOf

from database.models import ROLES
from schemas.base import (
    EXAMPLE_ID,
    EXAMPLE_SESSION_ID,
    EXAMPLE_TIME,
    EXAMPLE_TOKEN,
    EXAMPLE_URL,
    IdSchema,
    RequestSchema,
    ResponseSchema,
    Text,
    Timestamp,
    describe,
)
from schemas.fields import ROLE, LimitedText, SingleLine
from services.api_key_service import INTROSPECT, SCOPES
from services.token_service import ACCESS

SCOPE = {"title": "KeyScope"}
EXAMPLE_NAME = "Billing"
EXAMPLE_EXPIRY = "2030-11-20T09:30:00Z"
EXAMPLE_SECONDS = 1795080600
# Of ISO 8601 with an offset and microseconds, and some more.
MAX_TIME_LENGTH = 40
MAX_SCOPE_LENGTH = 100
# About what fits into a body.
MAX_ASKED_LENGTH = 60_000
# In the year 5138, as of tokens: much later, it is not a time in every zone.
LATEST = 10**11
NOT_A_TIME = f"Must be a time like {EXAMPLE_EXPIRY}."
ABOUT_KEY = "The key; nothing shows it again."


class FutureTime(fields.Field[float]):
    """A time to come, in requests as ISO 8601 with an offset, for services as seconds."""

    def __init__(self, about: str) -> None:
        """Take a description for the OpenAPI document."""
        text = {"type": "string", "format": "date-time", "maxLength": MAX_TIME_LENGTH}
        super().__init__(metadata={**text, "examples": [EXAMPLE_EXPIRY], **describe(about)})

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> float:
        if not isinstance(value, str) or len(value) > MAX_TIME_LENGTH:
            raise ValidationError(NOT_A_TIME)
        try:
            at = datetime.fromisoformat(value)
            seconds = at.timestamp()
        except (ValueError, OverflowError):
            raise ValidationError(NOT_A_TIME) from None
        if at.tzinfo is None or not time.time() < seconds < LATEST:
            raise ValidationError("Must be a time to come, with Z or an offset.")
        return seconds


class Scopes(fields.List[str]):
    """What a key may be used for."""

    def __init__(self) -> None:
        """Accept each scope once."""
        scope = LimitedText(MAX_SCOPE_LENGTH, SCOPE, validate=OneOf(SCOPES))
        limits = {"minItems": 1, "maxItems": len(SCOPES), "uniqueItems": True}
        super().__init__(scope, required=True, metadata={**limits, "examples": [[INTROSPECT]]})

    def _deserialize(self, value: Any, attr: Any, data: Any, **options: Any) -> list[str | None]:
        is_known = isinstance(value, list) and all(scope in SCOPES for scope in value)
        if not is_known or not 1 <= len(value) <= len(SCOPES) or len(set(value)) < len(value):
            raise ValidationError(f"Must be a list of {', '.join(SCOPES)}.")
        return [*value]


class CreateKeySchema(RequestSchema):
    """A new API key: what it is called, what it may be used for, and until when."""

    name = SingleLine(100, EXAMPLE_NAME, required=True)
    scopes = Scopes()
    expires_at = FutureTime("Without one it is valid until it is removed.")


class KeySchema(IdSchema):
    """An API key, without its text."""

    id = Text(example=EXAMPLE_SESSION_ID)
    name = Text(example=EXAMPLE_NAME)
    scopes = fields.List(fields.String(validate=OneOf(SCOPES), metadata=SCOPE), required=True)
    created_at = Timestamp(example=EXAMPLE_TIME)
    expires_at = Timestamp(example=EXAMPLE_EXPIRY, allow_none=True)
    last_used_at = Timestamp(
        example=EXAMPLE_TIME, about="The time of the last use, to the minute.", allow_none=True
    )


class NewKeySchema(KeySchema):
    """A new API key with its text."""

    key = Text(example=f"mb_{EXAMPLE_ID}...", about=ABOUT_KEY)


class IntrospectSchema(RequestSchema):
    """The token to ask about; other parameters are ignored."""

    # One that is too long for a token is not active, as any other text is.
    token = LimitedText(MAX_ASKED_LENGTH, {"examples": [EXAMPLE_TOKEN]}, required=True)


class IntrospectedSchema(ResponseSchema):
    """Whether the token is active; of an active access token also what it says of its user now."""

    active = fields.Boolean(required=True, metadata={"examples": [True]})
    scope = Text(example=ACCESS, required=False)
    sub = Text(example=EXAMPLE_ID, about="The id of the user.", required=False)
    exp = fields.Integer(metadata={"examples": [EXAMPLE_SECONDS]})
    iat = fields.Integer(metadata={"examples": [EXAMPLE_SECONDS - 900]})
    iss = Text(example=EXAMPLE_URL, required=False)
    aud = Text(example=EXAMPLE_URL, required=False)
    role = fields.String(validate=OneOf(ROLES), metadata=ROLE)
    verified = fields.Boolean(metadata={"examples": [True]})
    amr = fields.List(fields.String(), metadata={"examples": [["pwd", "otp"]]})
    auth_time = fields.Integer(metadata={"examples": [EXAMPLE_SECONDS - 900]})
