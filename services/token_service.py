"""Tokens: JWTs with a `scope`; a token opens only what asks for its scope.

Access and refresh tokens belong to a session, and one of scope `mfa` to a login that waits for a
second factor; the others are mailed (link_service.py). Other services may verify access tokens too
(RFC 9068, docs/concepts/tokens.md).
"""

import time
import uuid
from datetime import timedelta

import jwt
from flask import current_app
from flask_jwt_extended import create_access_token
from jwt import PyJWTError
from jwt.types import Options
from marshmallow import Schema, ValidationError

from database.models import User
from infra.digest_cache import cached_by_digest
from private_keys import TokenKey
from services import access_tokens
from services.errors import BadTokenError, ExpiredTokenError
from services.token_claims import (
    AccessTokenSchema,
    Claims,
    Counter,
    HexId,
    LoginTokenSchema,
    SessionTokenSchema,
    link_schema,
)
from services.token_keys import keys_of_access_tokens, keys_of_secrets

ACCESS = "access"
REFRESH = "refresh"
PWD_RESET = "pwd_reset"
CONFIRM = "confirm"
CHANGE = "change"
UNDO = "undo"
MFA = "mfa"
INVITE = "invite"
# The result is cached, so that `decode` checks the expiry itself; the audience is access_tokens'.
UNTIMED: Options = {"verify_exp": False, "verify_aud": False}
# Several times as long as ours; checked before anything of a token is decoded.
MAX_TOKEN_LENGTH = 4096
# How many verified signatures a process remembers: 1.2 kB each.
REMEMBERED_TOKENS = 1024

SCHEMAS: dict[str, Schema] = {
    ACCESS: AccessTokenSchema(),
    REFRESH: SessionTokenSchema(),
    MFA: LoginTokenSchema(),
    PWD_RESET: link_schema(pwv=Counter()),
    CONFIRM: link_schema(ev=Counter()),
    CHANGE: link_schema(change=HexId(24)),
    UNDO: link_schema(change=HexId(24)),
    INVITE: link_schema(pwv=Counter()),
}


def encode(scope: str, user: User, seconds: float, claims: Claims) -> str:
    """Return a token of user that expires after so many seconds.

    Flask-JWT-Extended signs access tokens, with JWT_ALGORITHM; the others stay HS256.
    """
    if scope == ACCESS:
        header = {"kid": keys_of_access_tokens()[0].kid, "typ": access_tokens.TYPE}
        return str(
            create_access_token(
                str(user.id),
                expires_delta=timedelta(seconds=seconds),
                additional_claims={"scope": scope, **claims},
                additional_headers=header,
            )
        )
    key, now = keys_of_secrets()[0], time.time()
    times = {"iat": int(now), "exp": int(now + seconds)}
    said = {"scope": scope, "sub": str(user.id), "jti": str(uuid.uuid4()), **times, **claims}
    return jwt.encode(said, key.signing, key.algorithm, headers={"kid": key.kid})


def decode(token: str, *scopes: str) -> Claims:
    """Return the claims of a valid token with one of these scopes.

    Raises:
        ExpiredTokenError, BadTokenError
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise BadTokenError
    keys = (*keys_of_access_tokens(), *keys_of_secrets())
    verify = _verify_signature_once if ACCESS in scopes else _verify_signature
    try:
        key, token_type, claims = verify(token, current_app.config["JWT_LEEWAY"], keys)
    except (PyJWTError, ValidationError):
        raise BadTokenError from None
    if claims["exp"] <= time.time():
        raise ExpiredTokenError
    if claims["scope"] not in scopes:
        raise BadTokenError
    if claims["scope"] == ACCESS:
        access_tokens.check(key, token_type, claims)
    elif key not in keys_of_secrets():
        raise BadTokenError
    return dict(claims)  # a copy, because the cache keeps the original


def _verify_signature(
    token: str, leeway: int, keys: tuple[TokenKey, ...]
) -> tuple[TokenKey, str, Claims]:
    """Return key, type and claims of a token signed by the one of keys that its `kid` names.

    The key decides about the algorithm, never the token (RFC 8725 §3.1), and nothing else of its
    header is read: no `jku`, no `jwk`. `iat` and `nbf` may be ahead by `leeway` seconds, as the
    clock of the machine that signed. Flask-JWT-Extended would parse each token four times (307 µs
    instead of 65).

    Raises:
        BadTokenError, PyJWTError, ValidationError
    """
    header = jwt.get_unverified_header(token)
    key = next((key for key in keys if key.kid == header.get("kid")), None)
    if key is None:
        raise BadTokenError
    claims = jwt.decode(token, key.verifying, [key.algorithm], UNTIMED, leeway=leeway)
    # Another program that has the key may sign tokens: ours have a known scope (in a list, because
    # a forged scope may be unhashable).
    scope = claims.get("scope")
    if scope not in list(SCHEMAS):
        raise BadTokenError
    return key, header.get("typ", ""), SCHEMAS[scope].load(claims)


# A signature stays valid. An access token comes with many requests, the others come once.
_verify_signature_once = cached_by_digest(REMEMBERED_TOKENS)(_verify_signature)
