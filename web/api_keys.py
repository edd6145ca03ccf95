"""Requests of other services, which show an API key."""

from functools import wraps
from typing import Any

from flask import g

from services import api_key_service, errors
from web.body import read_body
from web.decorators import TOKEN_ERRORS
from web.jwt import bearer_token
from web.operation import Decorator, View, note


def requires_api_key(scope: str) -> Decorator:
    """Accept an API key for this scope as the bearer token."""

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **arguments: Any) -> Any:
            read_body()  # first: while a slow client sends it, the key may be removed
            g.actor_id = api_key_service.authenticate(bearer_token(), scope).id
            return view(*args, **arguments)

        return note(wrapper, scopes=(scope,), errors=(*TOKEN_ERRORS, errors.ForbiddenError))

    return decorate
