"""Tokens: JWTs with a `scope`, each of which opens only what asks for that scope."""

import hashlib
import time
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from typing import Any

from flask import current_app
from flask_jwt_extended import JWTManager, create_access_token
from jwt import InvalidSignatureError, PyJWTError, decode_complete
from marshmallow import EXCLUDE, Schema, ValidationError, fields
from marshmallow.validate import Range, Regexp

from database.models import User
from services.errors import BadTokenError, ExpiredTokenError

ACCESS, REFRESH, PWD_RESET = "access", "refresh", "pwd_reset"
ALGORITHM = "HS256"
# How many signatures a process remembers to be good: 1.5 kB each.
KNOWN_TOKENS = 4096

Claims = dict[str, Any]
jwt = JWTManager()


class Count(fields.Integer):
    """What is counted up from 0, in a number that every database can hold."""

    def __init__(self) -> None:
        """Take a whole number; the claim must be there."""
        super().__init__(required=True, strict=True, validate=Range(0, 2**31))


class TokenSchema(Schema):
    """The claims of a token. Another program that shares the key may sign others.

    What is in them gets into queries: `{"$gt": 0}` is no generation, `x.generation` no session.
    """

    class Meta:
        """Take nothing else from a token."""

        unknown = EXCLUDE

    sub = fields.String(required=True, validate=Regexp(r"[0-9a-f]{24}\Z"))
    exp = fields.Integer(required=True, strict=True)


class SessionTokenSchema(TokenSchema):
    """The claims of access and refresh tokens."""

    sid = fields.String(required=True, validate=Regexp(r"[0-9a-f]{16}\Z"))
    gen = Count()
    auth_time = fields.Float(required=True)


class ResetTokenSchema(TokenSchema):
    """The claims of reset tokens."""

    pwv = Count()


SCHEMAS = {
    ACCESS: SessionTokenSchema(),
    REFRESH: SessionTokenSchema(),
    PWD_RESET: ResetTokenSchema(),
}


@jwt.token_verification_loader
def _closed(header: dict[str, Any], claims: Claims) -> bool:
    """Open nothing by the library's own `jwt_required`: it knows neither scopes nor sessions."""
    return False


def _key_id(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def sign(user: User, scope: str, seconds: float, **claims: Any) -> str:
    """Return a token for user that opens what asks for scope, for so many seconds."""
    token: str = create_access_token(
        str(user.id),
        expires_delta=timedelta(seconds=seconds),
        additional_claims={"scope": scope, "type": scope, **claims},
        additional_headers={"kid": _key_id(current_app.config["JWT_SECRET_KEY"])},
    )
    return token


def reset_token(user: User) -> str:
    """Return a token that sets user's password once, within RESET_TOKEN_EXPIRE_MINUTES.

    It names the version of the password that it may change: a later one, it can't.
    """
    minutes = current_app.config["RESET_TOKEN_EXPIRE_MINUTES"]
    return sign(user, PWD_RESET, minutes * 60, pwv=user.password_version)


def read(token: str, *scopes: str) -> Claims:
    """Return the claims of a token that we signed, that is in time and has one of scopes.

    Raises ExpiredTokenError or BadTokenError.
    """
    try:
        scope, claims = _signed(token, *current_app.config["JWT_SECRET_KEYS"])
    except (PyJWTError, ValidationError):
        raise BadTokenError from None
    if claims["exp"] <= time.time():
        raise ExpiredTokenError
    if scope not in scopes:
        raise BadTokenError
    return dict(claims)


@lru_cache(KNOWN_TOKENS)
def _signed(token: str, *keys: str) -> tuple[str, Claims]:
    """Return scope and claims of a token that one of keys signed, the one that its `kid` names.

    An access token is shown with every request, and its signature stays good: it is checked once.
    Flask-JWT-Extended would parse it four times and verify it twice, each time.
    Raises BadTokenError; PyJWTError or ValidationError for what is wrong in it.
    """
    for key in keys:
        with suppress(InvalidSignatureError):
            decoded = decode_complete(token, key, [ALGORITHM], {"verify_exp": False})
            claims, scope = decoded["payload"], decoded["payload"].get("scope")
            if decoded["header"].get("kid") == _key_id(key) and scope in [*SCHEMAS]:
                return scope, SCHEMAS[scope].load(claims)
    raise BadTokenError


def seconds_left(claims: Claims) -> int:
    """Return how many seconds a token still lives."""
    return int(claims["exp"] - time.time())
