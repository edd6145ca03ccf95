"""What all schemas share."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from database.models import User
from services.errors import MISSING_FIELD, UNKNOWN_FIELD, Errors, SchemaValidationError

EXAMPLE_ID = "65f0a1b2c3d4e5f6a7b8c9d0"
EXAMPLE_SESSION_ID = "9f86d081884c7d65"
EXAMPLE_EMAIL = "ada@example.com"
EXAMPLE_TOKEN = "eyJhbGciOiJIUzI1NiIs..."
EXAMPLE_TIME = "2026-11-20T09:30:00Z"
EXAMPLE_URL = "https://accounts.example.com"
ABOUT_NEXT_PAIR = "Exchanges once for the next pair. Missing where a cookie has it."
# The title of a field names a type of generated clients, of which all fields with it are.
ERROR_NAME = "ErrorName"

# How many unknown fields an error names; 64 KiB have room for 16,000.
MAX_UNKNOWN_NAMED = 100


class RequestSchema(Schema):
    """The fields of a request, which `load` validates; of those in `one_of`, one is required."""

    one_of: tuple[str, ...] = ()

    def check(self, fields: dict[str, Any], user: User | None) -> Errors:
        """Return what is wrong with the fields together, and drop those that no service needs.

        Each of `fields` is valid by itself; `user` is the user of the token.
        """
        return {}


class MailedTokenSchema(RequestSchema):
    """A request with the token of a link, in the field `mailed_field` or as a bearer token."""

    mailed_field: str

    def check(self, fields: dict[str, Any], user: User | None) -> Errors:
        """Drop the token, and return also whether none named a user."""
        fields.pop(self.mailed_field, None)
        missing = {} if user else {self.mailed_field: [MISSING_FIELD]}
        return super().check(fields, user) | missing


def load(schema: Schema, data: Mapping[str, Any], user: User | None = None) -> dict[str, Any]:
    """Return the validated fields; raises SchemaValidationError with a list for each field."""
    return load_all([(schema, data)], user)


def load_all(
    parts: Iterable[tuple[Schema, Mapping[str, Any]]], user: User | None = None
) -> dict[str, Any]:
    """Return the validated fields of several parts of a request.

    Raises:
        SchemaValidationError: with every invalid field of all parts.
    """
    fields: dict[str, Any] = {}
    errors: Errors = {}
    for schema, data in parts:
        valid, invalid = _validate(schema, data, user)
        fields |= valid
        errors |= invalid
    if errors:
        raise SchemaValidationError(errors)
    return fields


def _validate(
    schema: Schema, data: Mapping[str, Any], user: User | None
) -> tuple[dict[str, Any], Errors]:
    """Return the valid fields, and what is wrong with the others."""
    if not data and not schema.fields:
        return {}, {}
    errors = _unknown_fields(schema, data)
    try:
        valid: dict[str, Any] = schema.load(data, unknown=EXCLUDE)
    except ValidationError as error:
        valid = dict(error.valid_data or {})
        errors |= error.messages_dict
    if isinstance(schema, RequestSchema):
        errors = schema.check(valid, user) | errors
    return valid, errors


def _unknown_fields(schema: Schema, data: Mapping[str, Any]) -> Errors:
    if not isinstance(data, Mapping):
        return {}
    unknown = (name for name in data if name not in schema.fields)
    return {name: [UNKNOWN_FIELD] for name in islice(unknown, MAX_UNKNOWN_NAMED)}


def iso(seconds: float) -> str:
    """Return seconds since the epoch as ISO 8601 in UTC, with Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")[:-6] + "Z"


def describe(about: str) -> dict[str, str]:
    """Return the description of a field in the OpenAPI document, if there is one."""
    return {"description": about} if about else {}


class Text(fields.String):
    """A string of a response; an ObjectId becomes its 24 hex digits."""

    def __init__(self, *, example: str, about: str = "", **options: Any) -> None:
        """Take an example and a description for the OpenAPI document."""
        metadata = {"examples": [example], **describe(about)}
        super().__init__(**{"required": True, "metadata": metadata, **options})


class Timestamp(fields.Field[float]):
    """Seconds since the epoch, in responses as ISO 8601 in UTC."""

    def __init__(self, *, example: str = EXAMPLE_TIME, about: str = "", **options: Any) -> None:
        """Take an example and a description for the OpenAPI document."""
        metadata = {"type": "string", "format": "date-time", "examples": [example]}
        super().__init__(required=True, metadata=metadata | describe(about), **options)

    def _serialize(self, value: float | None, *args: Any, **options: Any) -> str | None:
        return None if value is None else iso(value)


class Seconds(fields.Integer):
    """A duration in seconds."""

    def __init__(self, *, example: int, about: str = "") -> None:
        """Take an example and a description for the OpenAPI document."""
        super().__init__(required=True, metadata={"examples": [example], **describe(about)})


class Computed(fields.Function):
    """A value of a response that a function returns."""

    def __init__(self, compute: Callable[[Any], Any], **metadata: Any) -> None:
        """Take the function and a description for the OpenAPI document."""
        super().__init__(compute, required=True, metadata=metadata)
        # Of a response all is read-only; said of some fields, generators make two types of it.
        self.dump_only = False


class ResponseSchema(Schema):
    """An object that may get more fields: clients must ignore what they don't know."""

    class Meta:
        """Say so in the OpenAPI document."""

        unknown = EXCLUDE


class MessageSchema(ResponseSchema):
    """A sentence for a person."""

    message = Text(example="Done", about="A sentence for people; don't depend on it.")


class IdSchema(ResponseSchema):
    """The id of what was created."""

    id = Text(example=EXAMPLE_ID)


class ApiErrorSchema(ResponseSchema):
    """What is wrong; a validation error adds `errors`, a list of sentences for each field."""

    message = Text(example="Invalid username or password")
    status = fields.Integer(required=True)
    error = fields.String(required=True, metadata={"title": ERROR_NAME})
    errors = fields.Dict(keys=fields.String(), values=fields.List(fields.String()))
    mfa_token = Text(example=EXAMPLE_TOKEN, about="Of SecondFactorRequiredError.", required=False)
    methods = fields.List(fields.String(), metadata={"examples": [["totp", "recovery_code"]]})


class StatusSchema(ResponseSchema):
    """The state of the process."""

    status = Text(example="alive", about="Always `alive`.")


class ReadinessSchema(ResponseSchema):
    """The state of what the service needs; `mail` is `ok` or `delayed`."""

    database = Text(example="ok", about="Always `ok`; otherwise the response is an error.")
    mail = Text(example="ok", about="`ok`, or `delayed` while the mail server is away.")


class OpenApiSchema(ResponseSchema):
    """An OpenAPI document."""

    openapi = Text(example="3.1.0")
    info = fields.Dict(required=True)
    servers = fields.List(fields.Dict(), required=True)
    tags = fields.List(fields.Dict(), required=True)
    paths = fields.Dict(required=True)
    components = fields.Dict(required=True)
