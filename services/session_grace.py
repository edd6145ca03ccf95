"""Replaced tokens: for how long a session still accepts an earlier pair.

Requests may be in flight during a refresh, two tabs may refresh at once, and the response of a
refresh may be lost. docs/operations.md says what that costs.
"""

import hashlib
import time
from typing import Any

from flask import current_app, g

from database.models import REMEMBERED_GENERATIONS, Stored, User
from database.users import read_session
from services import errors, event_service
from services.event_service import Event
from services.token_claims import Claims

USER_AGENT_CHARACTERS = 200

# What a session remembers of a client that refreshed it.
Client = dict[str, str]


def read(claims: Claims) -> tuple[User, Stored]:
    """Return the user and the session of a token.

    Raises:
        SessionEndedError: one of them is gone, or the user disabled.
    """
    found = User.get_with_session(claims["sub"], claims["sid"])
    if found is None or found[0].is_disabled:
        raise errors.SessionEndedError
    return found


def verify(claims: Claims) -> dict[str, Any]:
    """Return whose an access token is and for how many seconds, if session_service.find accepts it.

    Raises:
        SessionEndedError, SupersededTokenError
    """
    found = read_session(claims["sub"], claims["sid"])
    if found is None or found[0].get("disabled_at") is not None:
        raise errors.SessionEndedError
    user, session = found
    if not accepts_access_token(session, claims["gen"]):
        raise errors.SupersededTokenError
    seconds = int(claims["exp"] - time.time())
    return {"id": claims["sub"], "email": user["email"], "expires_in": seconds}


def describe_client(user_agent: str) -> Client:
    """Return the client of this request.

    Its user agent as a digest, because each access check reads the sessions of a user.
    """
    digest = hashlib.sha256(user_agent[:USER_AGENT_CHARACTERS].encode()).hexdigest()
    return {"ip": g.get("client_ip", ""), "user_agent": digest[:16]}


def accepts_access_token(session: Stored, generation: int) -> bool:
    """Return whether the access token of a generation is current, or was until just now."""
    if generation == session["generation"]:
        return True
    return _was_replaced_within(current_app.config["JWT_ACCESS_GRACE"], session, generation)


def reuse(claims: Claims, client: Client, created_since: float) -> tuple[User, Stored]:
    """Return user and session for a refresh token that was exchanged before, in its grace.

    Raises:
        SupersededTokenError: a change of the password, or a reauthentication, replaced the token.
        SessionEndedError: the session was revoked, or is now.
        ExpiredTokenError: the session is older.
    """
    user, session = read(claims)
    if session["created_at"] < created_since:
        raise errors.ExpiredTokenError
    generation = claims["gen"]
    if generation in session.get("without_grace", []):
        raise errors.SupersededTokenError
    # Earlier versions stored the time alone.
    first: Client = session.get("refreshed_by", {}).get(f"g{generation}", {})
    is_same_client = first.get("user_agent", client["user_agent"]) == client["user_agent"]
    seconds = _refresh_grace(is_previous=generation == session["generation"] - 1)
    if is_same_client and _was_replaced_within(seconds, session, generation):
        event = Event.REFRESH_TOKEN_REUSED_IN_GRACE
        event_service.record(event, user_id=user.id, first_ip=first.get("ip"))
        return user, session
    User.revoke_session(user.id, claims["sid"])
    event_service.record(Event.REFRESH_TOKEN_REUSED, user_id=user.id, first_ip=first.get("ip"))
    raise errors.SessionEndedError


def _refresh_grace(is_previous: bool) -> int:
    """Return for how many seconds a refresh token still gets the current pair."""
    grace: int = current_app.config["JWT_REFRESH_GRACE"]
    lost: int = current_app.config["JWT_REFRESH_LOST"]
    return max(grace, lost) if grace and is_previous else grace


def _was_replaced_within(seconds: int, session: Stored, generation: int) -> bool:
    elapsed: float = time.time() - session.get("rotated", {}).get(f"g{generation}", 0)
    # The clock of the machine that refreshed may be ahead, without a leeway for tokens by a second.
    leeway = max(current_app.config["JWT_LEEWAY"], 1)
    return bool(max(elapsed, 0) < seconds and elapsed >= -leeway)


def replace_without_grace(session: Stored) -> Stored:
    """Return a session at its next generation, which no earlier token leads to.

    A refresh token that is still in its grace is superseded as the current one is; the reuse of an
    older one still revokes the session.
    """
    generation, seconds = session["generation"], _refresh_grace(is_previous=True)
    recent = [
        earlier
        for earlier in range(generation - REMEMBERED_GENERATIONS, generation)
        if _was_replaced_within(seconds, session, earlier)
    ]
    superseded = [*session.get("without_grace", []), *recent, generation]
    return {
        **session,
        "generation": generation + 1,
        "rotated": {},
        "refreshed_by": {},
        "without_grace": superseded[-REMEMBERED_GENERATIONS:],
    }
