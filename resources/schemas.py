"""What requests look like: schemas, and the one place that reads a body or a query."""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from email_validator import EmailNotValidError, validate_email
from flask import request
from marshmallow import Schema, ValidationError, fields, validates_schema
from werkzeug import exceptions

from config import MAX_BODY_BYTES
from services.errors import SchemaValidationError

LINK = re.compile(r"[<>/:@]|\.\w{2}")

View = Callable[..., Any]
Decorator = Callable[[View], View]


class Email(fields.String):
    """An address in the one form it is stored in: trimmed, lower case, its domain in ASCII."""

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> str:
        text = super()._deserialize(value, *args, **options).strip(" \t").lower()
        try:
            found = validate_email(text, allow_smtputf8=False, check_deliverability=False)
        except EmailNotValidError:
            raise ValidationError("Not a valid email address.") from None
        return str(found.ascii_email)


class Name(fields.String):
    """A person's name: 1 to 100 printable characters, and nothing that a mail shows as a link.

    Mails greet with it, and anyone may sign up with somebody else's address.
    """

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> str:
        text = super()._deserialize(value, *args, **options)
        name = unicodedata.normalize("NFKC", text).strip()
        if not 1 <= len(name) <= 100 or not name.isprintable() or LINK.search(name):
            raise ValidationError("Not a name of 1 to 100 characters.")
        return name


class EmailSchema(Schema):
    """An address alone."""

    email = Email(required=True)


class LoginSchema(EmailSchema):
    """An address and its password."""

    password = fields.String(required=True)


class NewPasswordSchema(Schema):
    """A password to set; typed twice, it must be the same."""

    password = fields.String(required=True)
    password_confirmation = fields.String()

    @validates_schema
    def _same_twice(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("password_confirmation", data.get("password")) != data.get("password"):
            raise ValidationError("Passwords don't match.", "password_confirmation")


class SignupSchema(EmailSchema, NewPasswordSchema):
    """A new account."""

    name = Name()


class ResetSchema(NewPasswordSchema):
    """A new password with the reset token, which may come as a bearer token instead."""

    reset_token = fields.String()


def accepts(body: type[Schema] = Schema, query: type[Schema] = Schema) -> Decorator:
    """Pass the fields of the body and the query to a view; what is not in a schema is refused."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, **path: Any) -> Any:
            fields_ = load(body(), read_json()) | load(query(), request.args)
            return view(*args, **path, **fields_)

        return checked

    return decorate


def load(schema: Schema, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return data as schema wants it; raises SchemaValidationError with a list for each field."""
    try:
        loaded: dict[str, Any] = schema.load(data)
    except ValidationError as error:
        raise SchemaValidationError(errors=error.messages_dict) from None
    loaded.pop("password_confirmation", None)
    return loaded


def read_body() -> bytes:
    """Return the whole body; raises RequestEntityTooLarge, or BadRequest for broken chunks.

    gunicorn reads chunks as we ask for them, and has errors of its own for bad ones.
    """
    try:
        body = request.get_data()
    except exceptions.HTTPException:
        raise
    except Exception as error:
        raise exceptions.BadRequest("The body can't be read") from error
    if len(body) > MAX_BODY_BYTES:
        raise exceptions.RequestEntityTooLarge
    return body


def read_json() -> dict[str, Any]:
    """Return the body, an object in JSON (RFC 8259); no body at all is an empty one.

    Raises UnsupportedMediaType or BadRequest with a sentence that says what is wrong.
    """
    body = read_body()
    if not body:
        return {}
    if request.mimetype != "application/json":
        raise exceptions.UnsupportedMediaType(
            "The body must be JSON, with Content-Type: application/json"
        )
    try:
        data = json.loads(body.decode())
        # What can't be written again was not valid: NaN, Infinity, half of a surrogate pair.
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise exceptions.BadRequest("The body is not valid JSON in UTF-8") from None
    if not isinstance(data, dict):
        raise exceptions.BadRequest("The body must be a JSON object")
    return data
