"""What a route asks of a request: a token, a body, a query."""

import json
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from flask import g, request
from marshmallow import Schema, ValidationError
from werkzeug import exceptions

from config import MAX_BODY_BYTES
from services import session_service, token_service
from services.errors import ForbiddenError, MissingTokenError, SchemaValidationError
from services.token_service import ACCESS, Claims

View = Callable[..., Any]
Decorator = Callable[[View], View]


def bearer_token() -> str:
    """Return the token of the Authorization header; raises MissingTokenError."""
    words = request.headers.get("Authorization", "").split()
    if len(words) != 2 or words[0].lower() != "bearer":
        raise MissingTokenError
    return words[1]


def bearer(*scopes: str) -> Decorator:
    """Open a view to tokens of these scopes; it gets their claims, its service does the rest."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **path: Any) -> Any:
            read_body()  # one that dawdles must not outlive what the token was worth
            return view(*args, **path, claims=token_service.read(bearer_token(), *scopes))

        return guarded

    return decorate


def protected(view: View) -> View:
    """Open a view to the access tokens of living sessions, and pass it user and claims."""

    @wraps(view)
    @bearer(ACCESS)
    def guarded(*args: Any, claims: Claims, **path: Any) -> Any:
        user = session_service.authenticate(claims)
        g.actor_id = user.id
        return view(*args, **path, user=user, claims=claims)

    return guarded


def admins_only(view: View) -> View:
    """Open a view to the access tokens of admins."""

    @wraps(view)
    @protected
    def guarded(*args: Any, **path: Any) -> Any:
        if not path["user"].is_admin:
            raise ForbiddenError
        return view(*args, **path)

    return guarded


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
