"""What all schemas share."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from services.errors import SchemaValidationError

EXAMPLE_ID = "65f0a1b2c3d4e5f6a7b8c9d0"
EXAMPLE_SESSION_ID = "9f86d081884c7d65"
EXAMPLE_EMAIL = "ada@example.com"
EXAMPLE_TOKEN = "eyJhbGciOiJIUzI1NiIs..."
EXAMPLE_TIME = "2026-11-20T09:30:00Z"


def load(schema: Schema, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the validated fields; raises SchemaValidationError with a list for each field."""
    try:
        loaded: dict[str, Any] = schema.load(data)
    except ValidationError as error:
        raise SchemaValidationError(error.messages_dict) from None
    return loaded


def iso(seconds: float) -> str:
    """Return seconds since the epoch as ISO 8601 in UTC, with Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")[:-6] + "Z"


class Text(fields.String):
    """A string of a response; an ObjectId becomes its 24 hex digits."""

    def __init__(self, *, example: str, **options: Any) -> None:
        """Take an example for the OpenAPI document."""
        super().__init__(**{"required": True, "metadata": {"examples": [example]}, **options})


class Timestamp(fields.Field[float]):
    """Seconds since the epoch, in responses as ISO 8601 in UTC."""

    def __init__(self, *, example: str = EXAMPLE_TIME) -> None:
        """Take an example for the OpenAPI document."""
        metadata = {"type": "string", "format": "date-time", "examples": [example]}
        super().__init__(required=True, metadata=metadata)

    def _serialize(self, value: Any, *args: Any, **options: Any) -> str:
        return iso(value)


class Seconds(fields.Integer):
    """A duration in seconds."""

    def __init__(self, *, example: int) -> None:
        """Take an example for the OpenAPI document."""
        super().__init__(required=True, metadata={"examples": [example]})


class ResponseSchema(Schema):
    """An object that may get more fields: clients must ignore what they don't know."""

    class Meta:
        """Say so in the OpenAPI document."""

        unknown = EXCLUDE


class MessageSchema(ResponseSchema):
    """A sentence for a person."""

    message = Text(example="Done")


class IdSchema(ResponseSchema):
    """The id of what was created."""

    id = Text(example=EXAMPLE_ID)


class ApiErrorSchema(ResponseSchema):
    """What is wrong; a validation error adds `errors`, a list of sentences for each field."""

    message = Text(example="Invalid username or password")
    status = fields.Integer(required=True)
    error = Text(example="UnauthorizedError")
    errors = fields.Dict(keys=fields.String(), values=fields.List(fields.String()))


class StatusSchema(ResponseSchema):
    """The state of the process."""

    status = Text(example="alive")


class ReadinessSchema(ResponseSchema):
    """The state of what the service needs; `mail` is `ok` or `delayed`."""

    database = Text(example="ok")
    mail = Text(example="ok")


class OpenApiSchema(ResponseSchema):
    """An OpenAPI document."""

    openapi = Text(example="3.1.0")
    info = fields.Dict(required=True)
    servers = fields.List(fields.Dict(), required=True)
    tags = fields.List(fields.Dict(), required=True)
    paths = fields.Dict(required=True)
    components = fields.Dict(required=True)
