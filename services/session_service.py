"""Sessions: created at login, continued by refresh, revoked at logout.

Access and refresh tokens name their session (`sid`) and its generation (`gen`). Each step is one
conditional update of the user's document, and a token that names an older generation is revoked
(RFC 9700 §4.14).
"""

import secrets
import time
from typing import Any

from flask import current_app

from database.models import Session, Stored, User
from services import errors, event_service
from services.event_service import Event
from services.token_service import ACCESS, REFRESH, Claims, encode_session_token, session_claims

MAX_SESSIONS = 20
# For how many generations a session remembers when each was replaced, for the grace period.
REMEMBERED_GENERATIONS = 8
USER_AGENT_CHARACTERS = 200

# The response of login and refresh.
Tokens = dict[str, Any]


def create(user: User, user_agent: str) -> Tokens:
    """Create a session for a user whose credentials were verified; return its first tokens.

    Expired sessions are removed, and the least recently used ones above MAX_SESSIONS.

    Raises:
        UnauthorizedError: the password was changed since it was verified.
    """
    session_id = secrets.token_hex(8)
    session = Session(user_agent=user_agent[:USER_AGENT_CHARACTERS])
    while True:
        stored = user.read_sessions()
        if stored is None:
            raise errors.UnauthorizedError
        # It fails if the user logged in elsewhere since the read: read again then.
        if user.add_session(session_id, session, evict=_sessions_to_evict(stored)):
            return _issue_tokens(user, session_id, session.generation, session.created_at)


def _sessions_to_evict(sessions: dict[str, Stored]) -> list[str]:
    active = [sid for sid, session in sessions.items() if is_active(session)]
    active.sort(key=lambda sid: sessions[sid]["last_used_at"], reverse=True)
    return [sid for sid in sessions if sid not in active[: MAX_SESSIONS - 1]]


def is_active(session: Stored) -> bool:
    """Return whether a stored session has not expired."""
    config, now = current_app.config, time.time()
    return bool(
        session["last_used_at"] + config["JWT_REFRESH_TOKEN_EXPIRES"] > now
        and session["created_at"] + config["JWT_SESSION_MAX_AGE"] > now
    )


def authenticate(claims: Claims) -> User:
    """Return the user of an access token if its session is active, in one read.

    Raises:
        BadTokenError: the session was revoked or refreshed.
    """
    found = User.get_with_session(claims["sub"], claims["sid"])
    if found is None or found[1]["generation"] != claims["gen"]:
        raise errors.BadTokenError
    return found[0]


def refresh(claims: Claims) -> Tokens:
    """Exchange a refresh token for the next pair; the previous pair is revoked.

    Refresh token reuse detection (RFC 9700 §4.14.2): a token that was exchanged before revokes the
    session, because one of its two holders stole it. Within JWT_REFRESH_GRACE seconds it gets the
    current pair instead, because two tabs may refresh at once.

    Raises:
        BadTokenError
        ExpiredTokenError: the session has reached JWT_SESSION_MAX_AGE.
    """
    session_id, generation = claims["sid"], claims["gen"]
    user = User.refresh_session(claims["sub"], session_id, generation, REMEMBERED_GENERATIONS)
    if user is None:
        user, current = _reuse_within_grace(claims)
    else:
        current = generation + 1
    return _issue_tokens(user, session_id, current, claims["auth_time"])


def _reuse_within_grace(claims: Claims) -> tuple[User, int]:
    """Return the user and the current generation, or revoke the session."""
    found = User.get_with_session(claims["sub"], claims["sid"])
    if found is None:
        raise errors.BadTokenError
    user, session = found
    replaced_at = session.get("rotated", {}).get(f"g{claims['gen']}", 0)
    seconds = max(time.time() - replaced_at, 0)  # the clock of another machine may be ahead
    if seconds >= current_app.config["JWT_REFRESH_GRACE"]:
        User.revoke_session(user.id, claims["sid"])
        event_service.record(Event.REFRESH_TOKEN_REUSED, user_id=user.id)
        raise errors.BadTokenError
    return user, session["generation"]


def _issue_tokens(user: User, session_id: str, generation: int, auth_time: float) -> Tokens:
    """Return a pair of tokens; neither outlasts the session, which began at auth_time."""
    config = current_app.config
    left = auth_time + config["JWT_SESSION_MAX_AGE"] - time.time()
    if left < 1:
        raise errors.ExpiredTokenError
    access_seconds = min(config["JWT_ACCESS_TOKEN_EXPIRES"], left)
    refresh_seconds = min(config["JWT_REFRESH_TOKEN_EXPIRES"], left)
    claims = session_claims(session_id, generation, auth_time)
    return {
        "token": encode_session_token(ACCESS, user, access_seconds, claims),
        "refresh_token": encode_session_token(REFRESH, user, refresh_seconds, claims),
        "expires_in": int(access_seconds),
        "email": user.email,
    }


def list_active(user: User, claims: Claims) -> list[Stored]:
    """Return the active sessions of user with `id` and `current`, newest first."""
    sessions = user.read_sessions() or {}
    active = [
        {**session, "id": session_id, "current": session_id == claims["sid"]}
        for session_id, session in sessions.items()
        if is_active(session)
    ]
    return sorted(active, key=lambda session: -session["created_at"])


def log_out(claims: Claims) -> None:
    """Revoke the session of a token of its current generation; raises BadTokenError."""
    if not User.revoke_session(claims["sub"], claims["sid"], claims["gen"]):
        raise errors.BadTokenError
    event_service.record(Event.LOGOUT, user_id=claims["sub"])


def revoke(user: User, session_id: str) -> None:
    """Revoke one session of user; raises SessionNotExistsError."""
    if session_id not in (user.read_sessions() or {}):
        raise errors.SessionNotExistsError
    User.revoke_session(user.id, session_id)
    event_service.record(Event.SESSION_REVOKED, user_id=user.id)


def revoke_all(user: User) -> None:
    """Revoke every session of user."""
    User.revoke_all_sessions(user.id)
    event_service.record(Event.SESSIONS_REVOKED, user_id=user.id)
