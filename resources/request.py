"""What a route asks of a request, a token, a body, a query, and what it may answer.

Each decorator also writes down what it asks, in the attributes of the view, where
resources.openapi reads it: so the document says what the code does.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import orjson
from flask import g, request
from marshmallow import Schema, ValidationError
from werkzeug import exceptions

from config import MAX_BODY_BYTES
from resources.representation import JSON
from services import session_service, token_service
from services.errors import (
    ApiError,
    BadTokenError,
    ExpiredTokenError,
    ForbiddenError,
    MissingTokenError,
    SchemaValidationError,
)
from services.token_service import ACCESS, Claims

NOT_JSON = "The body is not valid JSON in UTF-8"
NOT_CALLED_JSON = "The body must be JSON, with Content-Type: application/json"

View = Callable[..., Any]
Decorator = Callable[[View], View]


def bearer_token() -> str:
    """Return the token of the Authorization header; raises MissingTokenError."""
    words = request.headers.get("Authorization", "").split()
    if len(words) != 2 or words[0].lower() != "bearer":
        raise MissingTokenError
    return words[1]


def answers(schema: type[Schema], *errors: type[ApiError], many: bool = False) -> Decorator:
    """Write down what a view answers with 200, one or a list, and what its service may refuse."""

    def decorate(view: View) -> View:
        vars(view).update(answer=schema, many=many)
        return may_refuse(*errors)(view)

    return decorate


def answers_page(*errors: type[Exception], form: type[Schema] = Schema) -> Decorator:
    """Write down that a view shows a page, what its form has and what it may refuse."""

    def decorate(view: View) -> View:
        vars(view).update(page=True, body=form)
        return may_refuse(*errors)(view)

    return decorate


def may_refuse(*errors: type[Exception]) -> Decorator:
    """Write down errors that a view may end in."""

    def decorate(view: View) -> View:
        vars(view)["errors"] = (*vars(view).get("errors", ()), *errors)
        return view

    return decorate


def may_bear(scope: str) -> Decorator:
    """Write down that a view looks for a token of this scope itself, should it need one."""

    def decorate(view: View) -> View:
        vars(view).update(scopes=(scope,), optional=True)
        return may_refuse(MissingTokenError, BadTokenError, ExpiredTokenError)(view)

    return decorate


def bearer(*scopes: str) -> Decorator:
    """Open a view to tokens of these scopes; it gets their claims, its service does the rest."""

    def decorate(view: View) -> View:
        @may_refuse(MissingTokenError, BadTokenError, ExpiredTokenError)
        @wraps(view)
        def guarded(*args: Any, **path: Any) -> Any:
            read_body()  # one that dawdles must not outlive what the token was worth
            return view(*args, **path, claims=token_service.read(bearer_token(), *scopes))

        vars(guarded).update(scopes=scopes)
        return guarded

    return decorate


def protected(view: View) -> View:
    """Open a view to the access tokens of living sessions, and pass it user and claims."""

    @bearer(ACCESS)
    @wraps(view)
    def guarded(*args: Any, claims: Claims, **path: Any) -> Any:
        user = session_service.authenticate(claims)
        g.actor_id = user.id
        return view(*args, **path, user=user, claims=claims)

    return guarded


def admins_only(view: View) -> View:
    """Open a view to the access tokens of admins."""

    @protected
    @may_refuse(ForbiddenError)
    @wraps(view)
    def guarded(*args: Any, **path: Any) -> Any:
        if not path["user"].is_admin:
            raise ForbiddenError
        return view(*args, **path)

    return guarded


def accepts(body: type[Schema] = Schema, query: type[Schema] = Schema) -> Decorator:
    """Pass the fields of the body and the query to a view; what is not in a schema is refused."""
    body_schema, query_schema = body(), query()

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, **path: Any) -> Any:
            fields_ = load(body_schema, read_json()) | load(query_schema, request.args)
            return view(*args, **path, **fields_)

        vars(checked).update(body=body, query=query)
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
    if not request.content_length and "Transfer-Encoding" not in request.headers:
        return b""  # RFC 9112 §6.3
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
    if request.mimetype != JSON:
        raise exceptions.UnsupportedMediaType(NOT_CALLED_JSON)
    try:
        data = orjson.loads(body)  # it takes no NaN and no half of a surrogate pair, as json does
    except orjson.JSONDecodeError:
        raise exceptions.BadRequest(NOT_JSON) from None
    if not isinstance(data, dict):
        raise exceptions.BadRequest("The body must be a JSON object")
    return data
