"""What a view takes from a request, a token, a body, a query, and what it returns.

Each decorator also notes what it does (web/operation.py), for the OpenAPI document.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from flask import Response, g, request
from marshmallow import Schema

from database.models import User
from schemas.base import load_all
from services import errors, session_service, token_service
from services.token_claims import Claims
from services.token_service import ACCESS, REFRESH
from web.body import read_body, read_json, read_query
from web.cookies import read_cookie
from web.json_response import json_response
from web.jwt import bearer_token
from web.operation import Decorator, NoFields, View, note
from web.urls import public_url

OpenLink = Callable[[str], tuple[User, Claims]]

TOKEN_ERRORS = (errors.MissingTokenError, errors.BadTokenError, errors.ExpiredTokenError)
MAILED_TOKEN_ERRORS = (*TOKEN_ERRORS, errors.UsedTokenError)
SESSION_ERRORS = (*TOKEN_ERRORS, errors.SupersededTokenError, errors.SessionEndedError)


def body(schema: type[Schema]) -> Decorator:
    """Pass the fields of the JSON body to a view; other fields and query parameters are refused."""
    return _input(schema, NoFields)


def query(schema: type[Schema]) -> Decorator:
    """Pass the query parameters to a view; other parameters and any field of a body are refused."""
    return _input(NoFields, schema)


def no_input(view: View) -> View:
    """Refuse every field of a body and every query parameter."""
    return _input(NoFields, NoFields)(view)


def _input(body_class: type[Schema], query_class: type[Schema]) -> Decorator:
    body_schema, query_schema = body_class(), query_class()

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **arguments: Any) -> Any:
            parts = (body_schema, read_json()), (query_schema, read_query())
            fields = load_all(parts, arguments.get("user"))
            return view(*args, **arguments, **fields)

        return note(wrapper, body=body_class, query=query_class)

    return decorate


def response(
    schema: type[Schema],
    *error_classes: type[Exception],
    many: bool = False,
    dump: Callable[[Any], Any] | None = None,
    headers: Mapping[str, str] | None = None,
    **about: str,
) -> Decorator:
    """Serialise what a view returns by a schema, one object or a list, and note its errors.

    A view may return its result with headers of its own, as a tuple. `dump` is a function that
    returns the same as `schema.dump`, faster. `about` may have a `name`, the view's in generated
    clients, whose users depend on it, and a `location`, the path of what was created.
    """
    dump, location = dump or schema(many=many).dump, about.get("location")

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **fields: Any) -> Response:
            result = view(*args, **fields)
            result, own = result if isinstance(result, tuple) else (result, {})
            data = dump(result)
            created = {}
            if location and "id" in data:
                created["Location"] = public_url(location.format(**data))
            return json_response(data, 200, {**(headers or {}), **own, **created})

        return note(wrapper, response=schema, many=many, errors=error_classes, **about)

    return decorate


def token_in_body_or_header(field: str, open_link: OpenLink, *scopes: str) -> Decorator:
    """Pass user and claims of a mailed token: a field of the body, or a bearer token for apps.

    It belongs above `body`: an invalid token is refused first, a missing one with the fields.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **arguments: Any) -> Any:
            token = read_json().get(field)
            if not token and "Authorization" in request.headers:
                token = bearer_token()
            if token and isinstance(token, str):
                arguments["user"], arguments["claims"] = open_link(token)
            return view(*args, **arguments)

        return note(wrapper, scopes=scopes, errors=MAILED_TOKEN_ERRORS)

    return decorate


def requires_token(*scopes: str, or_field: str = "") -> Decorator:
    """Accept tokens of these scopes and pass the claims to the view, which checks the session.

    A refresh token in the field `or_field` of the body wins over the bearer token; without either,
    one in the cookie is accepted.
    """

    def decode() -> Claims:
        given = read_json().get(or_field) if or_field else None
        if or_field and "Authorization" not in request.headers:
            given = given or read_cookie()
        if given and isinstance(given, str):
            return token_service.decode(given, REFRESH)
        return token_service.decode(bearer_token(), *scopes)

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **arguments: Any) -> Any:
            read_body()  # first: while a slow client sends it, the token may expire or be revoked
            return view(*args, **arguments, claims=decode())

        return note(wrapper, scopes=scopes, errors=SESSION_ERRORS)

    return decorate


def requires_user(view: View) -> View:
    """Accept access tokens of active sessions and pass user and claims to the view.

    It does what `@jwt_required()` does, in less time: the signature of a token is verified once.
    """

    @requires_token(ACCESS)
    @wraps(view)
    def wrapper(*args: Any, claims: Claims, **arguments: Any) -> Any:
        user = session_service.authenticate(claims)
        g.actor_id = user.id  # for event_service
        return view(*args, **arguments, user=user, claims=claims)

    return wrapper
