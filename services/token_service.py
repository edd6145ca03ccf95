"""Tokens: JWTs with a `scope`, each of which opens only what asks for that scope."""

import hashlib
import time
from datetime import timedelta
from typing import Any

from bson import ObjectId
from flask import current_app
from flask_jwt_extended import JWTManager, create_access_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt import ExpiredSignatureError, PyJWTError

from database.models import User
from services.errors import BadTokenError, ExpiredTokenError

ACCESS, REFRESH, PWD_RESET = "access", "refresh", "pwd_reset"

# Another program that shares the key may sign other tokens.
CLAIMS = {scope: {"exp", "sid", "gen", "auth_time"} for scope in (ACCESS, REFRESH)}
CLAIMS[PWD_RESET] = {"exp", "pwv"}

Claims = dict[str, Any]
jwt = JWTManager()


@jwt.token_verification_loader
def _closed(header: dict[str, Any], claims: Claims) -> bool:
    """Open nothing by the library's own `jwt_required`: it knows neither scopes nor sessions."""
    return False


@jwt.decode_key_loader
def _verifying_key(header: dict[str, Any], claims: Claims) -> str:
    """Return the key that the token's `kid` names; raises BadTokenError when we don't have it."""
    for key in current_app.config["JWT_SECRET_KEYS"]:
        if header.get("kid") == _key_id(key):
            return str(key)
    raise BadTokenError


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
        claims: Claims = decode_token(token)
    except ExpiredSignatureError:
        raise ExpiredTokenError from None
    except (PyJWTError, JWTExtendedException):
        raise BadTokenError from None
    scope = claims.get("scope")
    if (
        scope not in scopes
        or not CLAIMS[scope] <= claims.keys()
        or not ObjectId.is_valid(claims["sub"])
    ):
        raise BadTokenError
    return claims


def seconds_left(claims: Claims) -> int:
    """Return how many seconds a token still lives."""
    return int(claims["exp"] - time.time())
