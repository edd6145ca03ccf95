"""Tokens: JWTs with a `scope`; a token opens only what asks for its scope.

Every scope is in one of two tables: a session token in SESSION_SCOPES, a mailed link in LINKS.
"""

import hashlib
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from flask import current_app
from flask_jwt_extended import create_access_token
from jwt import InvalidSignatureError, PyJWTError, decode_complete
from jwt.types import Options
from marshmallow import EXCLUDE, Schema, ValidationError, fields
from marshmallow.validate import Range, Regexp

from database.models import User
from services.errors import BadTokenError, ExpiredTokenError, UsedTokenError

ACCESS = "access"
REFRESH = "refresh"
PWD_RESET = "pwd_reset"
SESSION_SCOPES = (ACCESS, REFRESH)
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


@dataclass(frozen=True)
class LinkKind:
    """A kind of mailed link: its scope, its settings, and the version of what it may change.

    The token of a reset link, for example, holds the user's `password_version` as the claim `pwv`.
    Changing the password increments that version: no reset link mailed before is valid then.
    """

    scope: str
    url_setting: str
    minutes_setting: str
    version_claim: str
    version_field: str


LINKS = {
    PWD_RESET: LinkKind(
        scope=PWD_RESET,
        url_setting="RESET_URL",
        minutes_setting="RESET_TOKEN_EXPIRE_MINUTES",
        version_claim="pwv",
        version_field="password_version",
    ),
}


class Counter(fields.Integer):
    """A count from 0 to 2**31 - 1, a 32-bit integer."""

    def __init__(self) -> None:
        """Accept a whole number; the claim is required."""
        super().__init__(required=True, strict=True, validate=Range(0, 2**31 - 1))


class TokenSchema(Schema):
    """The claims of a token.

    Types are checked because claims become parts of queries: `{"$gt": 0}` is no generation (NoSQL
    injection), and another program that has the key may sign anything.
    """

    class Meta:
        """Ignore other claims."""

        unknown = EXCLUDE

    sub = fields.String(required=True, validate=Regexp(r"[0-9a-f]{24}\Z"))
    exp = fields.Integer(required=True, strict=True, validate=TIME)
    iat = fields.Integer(strict=True, validate=TIME)
    nbf = fields.Integer(strict=True, validate=TIME)


class SessionTokenSchema(TokenSchema):
    """The claims of access and refresh tokens."""

    scope = fields.String(required=True)
    sid = fields.String(required=True, validate=Regexp(r"[0-9a-f]{16}\Z"))
    gen = Counter()
    auth_time = fields.Float(required=True, validate=TIME)


def _link_schema(link: LinkKind) -> Schema:
    return TokenSchema.from_dict({link.version_claim: Counter()})()


SCHEMAS: dict[str, Schema] = {
    **{scope: SessionTokenSchema() for scope in SESSION_SCOPES},
    **{scope: _link_schema(link) for scope, link in LINKS.items()},
}


def session_claims(session_id: str, generation: int, auth_time: float) -> Claims:
    """Return what access and refresh tokens say about their session; auth_time is its login."""
    return {"sid": session_id, "gen": generation, "auth_time": auth_time}


def encode_session_token(scope: str, user: User, seconds: float, claims: Claims) -> str:
    """Return an access or refresh token that expires after so many seconds."""
    return _encode(user, scope, seconds, **claims)


def encode_link(link: LinkKind, user: User) -> str:
    """Return the URL of a link for user; its lifetime starts now."""
    config = current_app.config
    version = {link.version_claim: getattr(user, link.version_field)}
    token = _encode(user, link.scope, 60 * config[link.minutes_setting], **version)
    url: str = config[link.url_setting]
    return url.replace("{token}", token)


def _encode(user: User, scope: str, seconds: float, **claims: Any) -> str:
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


def user_from_link(link: LinkKind, token: str) -> User:
    """Return the user whose data the token of a link may still change; the token stays valid.

    Raises:
        ExpiredTokenError, UsedTokenError, BadTokenError
    """
    claims = decode(token, link.scope)
    user = User.get_by_id(claims["sub"])
    if user is None:
        raise BadTokenError
    if getattr(user, link.version_field) != claims[link.version_claim]:
        raise UsedTokenError
    return user


def seconds_left(claims: Claims) -> int:
    """Return the seconds until a token expires."""
    return int(claims["exp"] - time.time())
