"""Bearer tokens: the reading of the header, and Flask-JWT-Extended's manager.

`@jwt_required()` on a view accepts what `requires_user` of web.decorators accepts: access tokens
of active sessions. It loads `current_user` and fails with the same errors.
"""

from typing import Any

from flask import Flask, Response, g, request
from flask_jwt_extended import JWTManager

from database.models import User
from services import session_service, token_service
from services.errors import ApiError, BadTokenError, MissingTokenError
from services.token_claims import Claims
from services.token_service import ACCESS
from web.errors import error_response


class AccessTokenManager(JWTManager):
    """Flask-JWT-Extended, except that token_service decodes: both decorators accept the same.

    The library's own decoding has other rules (`type`, `aud`, the order of the checks), and no
    public way to replace it.
    """

    def _decode_jwt_from_config(self, encoded_token: str, *_: Any, **options: Any) -> Claims:
        """Return the claims of an access token; refresh=True and fresh=True refuse them."""
        claims = token_service.decode(encoded_token, ACCESS)
        return {**claims, "type": ACCESS, "fresh": False}


jwt = AccessTokenManager()


def initialize_jwt(app: Flask) -> None:
    """Sign and verify the tokens of app with Flask-JWT-Extended."""
    app.config["JWT_ENCODE_NBF"] = False
    app.config["JWT_COOKIE_CSRF_PROTECT"] = False  # the library reads no cookie: no CSRF
    if keys := app.config["JWT_PRIVATE_KEYS"]:
        app.config |= {"JWT_ALGORITHM": keys[0].algorithm, "JWT_PRIVATE_KEY": keys[0].signing}
    jwt.init_app(app)
    app.before_request(_normalize_header)


def bearer_token() -> str:
    """Return the token of the Authorization header; raises MissingTokenError."""
    words = request.headers.get("Authorization", "").split()
    if len(words) != 2 or words[0].lower() != "bearer":
        raise MissingTokenError
    return words[1]


def _normalize_header() -> None:
    """Let Flask-JWT-Extended read what bearer_token reads.

    It refuses `bearer x`, and takes a token out of a list that is separated by commas.
    """
    if "Authorization" in request.headers:
        try:
            header = "Bearer " + bearer_token().replace(",", "?")
        except MissingTokenError:
            header = ""
        request.environ["HTTP_AUTHORIZATION"] = header


def _refuse(error: type[ApiError]) -> Any:
    """Return an error loader: it must return a response, not raise."""

    def load_response(*_: Any) -> Response:
        return error_response(error())

    return load_response


jwt.unauthorized_loader(_refuse(MissingTokenError))
jwt.invalid_token_loader(_refuse(BadTokenError))
jwt.needs_fresh_token_loader(_refuse(BadTokenError))


@jwt.user_lookup_loader
def _current_user(header: dict[str, Any], claims: Claims) -> User:
    user = session_service.authenticate(claims)
    g.actor_id = user.id
    return user
