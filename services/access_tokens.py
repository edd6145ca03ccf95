"""What access tokens say, so that other services can verify them too (RFC 9068)."""

from flask import current_app

from database.models import Stored, User
from private_keys import TokenKey
from services.errors import BadTokenError, ExpiredTokenError
from services.token_claims import Claims
from services.token_keys import keys_of_access_tokens

# The `typ` of the header, so that no service takes another JWT for an access token (§2.1).
TYPE = "at+jwt"
CLIENT_ID = "movie-bag"


def session_claims(session_id: str, session: Stored) -> Claims:
    """Return what names a session and its generation, in access and refresh tokens."""
    return {"sid": session_id, "gen": session["generation"]}


def access_claims(user: User, session_id: str, session: Stored) -> Claims:
    """Return what an access token says, to this service and to others (§2.2)."""
    return {
        **session_claims(session_id, session),
        "iss": current_app.config["PUBLIC_URL"],
        "aud": current_app.config["JWT_AUDIENCE"],
        "client_id": CLIENT_ID,
        "role": user.role,
        "verified": user.is_verified,
        "amr": session.get("amr", []),
        "auth_time": auth_time(session),
    }


def auth_time(session: Stored) -> int:
    """Return when the user of a session last proved who they are; earlier versions stored none."""
    return int(session.get("auth_time") or session["created_at"])


def check(key: TokenKey, token_type: str, claims: Claims) -> None:
    """Refuse an access token of before an upgrade, and one of another issuer or audience.

    Raises:
        BadTokenError
        ExpiredTokenError: an earlier version signed it, or JWT_PRIVATE_KEYS was set since: a
            client that refreshes gets the next one.
    """
    if token_type != TYPE or key not in keys_of_access_tokens():
        raise ExpiredTokenError
    config = current_app.config
    ours = (config["PUBLIC_URL"], config["JWT_AUDIENCE"])
    if (claims.get("iss"), claims.get("aud")) != ours:
        raise BadTokenError
