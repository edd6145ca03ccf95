"""Responses with a pair of tokens, whose refresh token may travel in a cookie instead."""

from functools import wraps
from typing import Any

from flask import g

from schemas.auth import TokensSchema
from services.session_service import Tokens
from web.cookies import cookie_header, require_own_origin
from web.decorators import response
from web.operation import Decorator, View


def token_response(*error_classes: type[Exception], name: str) -> Decorator:
    """Serialise the pair of tokens that a view returns, as `response` does.

    A field `cookie` of the body makes a new session one of a browser: from then on each refresh
    token of it is in the cookie, and in no body.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, cookie: bool = False, **fields: Any) -> tuple[Tokens, Any]:
            if cookie:
                require_own_origin(is_optional=True)
                g.uses_cookie = True  # for session_service
            tokens = view(*args, **fields)
            if not tokens["uses_cookie"]:
                return tokens, {}
            token = tokens.pop("refresh_token")
            return tokens, {"Set-Cookie": cookie_header(token, tokens["refresh_expires_in"])}

        return response(TokensSchema, *error_classes, name=name)(wrapper)

    return decorate
