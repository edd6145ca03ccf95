"""Tokens: JWTs with a `scope`; a token opens only what asks for its scope.

Access and refresh tokens belong to a session, and one of scope `mfa` to a login that waits for a
second factor; the others are mailed (link_service.py).
"""

import hashlib
import time
from datetime import timedelta
from functools import lru_cache
from typing import Any

from flask import current_app
from flask_jwt_extended import create_access_token
from jwt import InvalidSignatureError, PyJWTError, decode_complete
from jwt.types import Options
from marshmallow import EXCLUDE, Schema, ValidationError, fields
from marshmallow.validate import Length, Range, Regexp

from database.models import Stored, User
from services.errors import BadTokenError, ExpiredTokenError

ACCESS = "access"
REFRESH = "refresh"
PWD_RESET = "pwd_reset"
CONFIRM = "confirm"
CHANGE = "change"
UNDO = "undo"
MFA = "mfa"
INVITE = "invite"
ALGORITHM = "HS256"
# The result is cached, so that `decode` checks the expiry itself.
UNTIMED: Options = {"verify_exp": False}
# Several times as long as ours; checked before anything of a token is decoded.
MAX_TOKEN_LENGTH = 4096
# Seconds since the epoch, until the year 5138: calculations with other numbers may overflow.
TIME = Range(0, 10**11)
# How many verified signatures a process remembers: 1.5 kB each.
REMEMBERED_TOKENS = 4096

Claims = dict[str, Any]


class Counter(fields.Integer):
    """A count from 0 to 2**31 - 1, a 32-bit integer."""

    def __init__(self) -> None:
        """Accept a whole number; the claim is required."""
        super().__init__(required=True, strict=True, validate=Range(0, 2**31 - 1))


class HexId(fields.String):
    """An id as hex digits."""

    def __init__(self, digits: int) -> None:
        """Accept so many digits; the claim is required."""
        super().__init__(required=True, validate=Regexp(rf"[0-9a-f]{{{digits}}}\Z"))


class TokenSchema(Schema):
    """The claims of a token.

    Types are checked because claims become parts of queries: `{"$gt": 0}` is no generation (NoSQL
    injection), and another program that has the key may sign anything.
    """

    class Meta:
        """Ignore other claims."""

        unknown = EXCLUDE

    scope = fields.String(required=True)
    sub = HexId(24)
    exp = fields.Integer(required=True, strict=True, validate=TIME)
    iat = fields.Integer(strict=True, validate=TIME)
    nbf = fields.Integer(strict=True, validate=TIME)


class SessionTokenSchema(TokenSchema):
    """The claims of access and refresh tokens."""

    sid = HexId(16)
    gen = Counter()


class LoginTokenSchema(TokenSchema):
    """The claims of a login that waits for a second factor: versions that its success changes."""

    pwv = Counter()
    logins = Counter()


class LinkTokenSchema(TokenSchema):
    """The claims of a mailed link, besides its version."""

    jti = fields.String(required=True, validate=Length(max=64))


def _link_schema(**version: fields.Field[Any]) -> Schema:
    return LinkTokenSchema.from_dict(version)()


SCHEMAS: dict[str, Schema] = {
    ACCESS: SessionTokenSchema(),
    REFRESH: SessionTokenSchema(),
    MFA: LoginTokenSchema(),
    PWD_RESET: _link_schema(pwv=Counter()),
    CONFIRM: _link_schema(ev=Counter()),
    CHANGE: _link_schema(change=HexId(24)),
    UNDO: _link_schema(change=HexId(24)),
    INVITE: _link_schema(pwv=Counter()),
}


def session_claims(user: User, session_id: str, session: Stored) -> Claims:
    """Return what access and refresh tokens say."""
    return {
        "sid": session_id,
        "gen": session["generation"],
        "auth_time": auth_time(session),
        "verified": user.is_verified,
    }


def auth_time(session: Stored) -> int:
    """Return when the user of a session last proved who they are; earlier versions stored none."""
    return int(session.get("auth_time") or session["created_at"])


def encode(scope: str, user: User, seconds: float, claims: Claims) -> str:
    """Return a token of user that expires after so many seconds."""
    # The library's function signs a token of any scope; `decode` checks the scope.
    token: str = create_access_token(
        str(user.id),
        expires_delta=timedelta(seconds=seconds),
        additional_claims={"scope": scope, **claims},
        additional_headers={"kid": key_id(current_app.config["JWT_SECRET_KEY"])},
    )
    return token


def key_id(key: str) -> str:
    """Return the `kid` of tokens that this key signs."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def decode(token: str, *scopes: str) -> Claims:
    """Return the claims of a valid token with one of these scopes.

    Raises:
        ExpiredTokenError, BadTokenError
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise BadTokenError
    try:
        config = current_app.config
        scope, claims = _verify_signature(token, config["JWT_LEEWAY"], *config["JWT_SECRET_KEYS"])
    except (PyJWTError, ValidationError):
        raise BadTokenError from None
    if claims["exp"] <= time.time():
        raise ExpiredTokenError
    if scope not in scopes:
        raise BadTokenError
    return dict(claims)  # a copy, because the cache keeps the original


@lru_cache(REMEMBERED_TOKENS)
def _verify_signature(token: str, leeway: int, *keys: str) -> tuple[str, Claims]:
    """Return scope and claims of a token signed by the one of keys that its `kid` names.

    `iat` and `nbf` may be ahead by `leeway` seconds, as the clock of the machine that signed.
    A signature stays valid, so it is verified once per process; Flask-JWT-Extended would parse
    each token four times (307 µs instead of 65).

    Raises:
        BadTokenError, PyJWTError, ValidationError
    """
    for key in keys:
        try:
            decoded = decode_complete(token, key, [ALGORITHM], UNTIMED, leeway=leeway)
        except InvalidSignatureError:
            continue
        claims = decoded["payload"]
        scope = claims.get("scope")
        # Another program that has the key may sign tokens: ours name the key, and a known scope (in
        # a list, because a forged scope may be unhashable).
        if decoded["header"].get("kid") != key_id(key) or scope not in list(SCHEMAS):
            break
        return scope, SCHEMAS[scope].load(claims)
    raise BadTokenError


def seconds_left(claims: Claims) -> int:
    """Return the seconds until a token expires."""
    return int(claims["exp"] - time.time())
