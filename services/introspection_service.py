"""Introspection: whether an access token would be accepted now (RFC 7662)."""

from typing import Any

from services import errors, session_service, token_service
from services.access_tokens import access_claims
from services.token_service import ACCESS

INACTIVE = {"active": False}
OF_THE_TOKEN = ("scope", "sub", "exp", "iat")
OF_THE_USER = ("iss", "aud", "role", "verified", "amr", "auth_time")
REFUSALS = (
    errors.BadTokenError,
    errors.ExpiredTokenError,
    errors.SessionEndedError,
    errors.SupersededTokenError,
)


def introspect(token: str) -> dict[str, Any]:
    """Return whether a token is active, and of an active one what it says of its user now.

    Every other one gets the same response, which tells nothing of why (§2.2).
    """
    try:
        claims = token_service.decode(token, ACCESS)
        user, session = session_service.find(claims)
    except REFUSALS:
        return INACTIVE
    now = access_claims(user, claims["sid"], session)
    token_part = {name: claims[name] for name in OF_THE_TOKEN}
    return {"active": True, **token_part, **{name: now[name] for name in OF_THE_USER}}
