"""Sessions: created at login, continued by refresh, revoked at logout.

Access and refresh tokens name their session (`sid`) and its generation (`gen`). Each step is one
conditional update of the user's document, and a token that names an older generation is revoked
(RFC 9700 §4.14), after a grace of seconds (session_grace.py).
"""

import math
import secrets
import time
from collections.abc import Sequence
from typing import Any

from flask import current_app, g

from database.models import Session, Stored, User
from services import errors, event_service, session_grace
from services.access_tokens import access_claims, auth_time, session_claims
from services.event_service import Event
from services.session_grace import USER_AGENT_CHARACTERS
from services.token_claims import Claims
from services.token_service import ACCESS, REFRESH, encode

MAX_SESSIONS = 20

# By what users prove who they are, as in the claim `amr` (RFC 8176).
BY_PASSWORD = ("pwd",)
BY_CODE = ("pwd", "otp")
BY_PASSKEY = ("hwk", "user")

# The response of login and refresh.
Tokens = dict[str, Any]


def create(user: User, user_agent: str, amr: Sequence[str]) -> Tokens:
    """Create a session for a user whose credentials were verified; return its first tokens.

    Expired sessions are removed, and the least recently used ones above MAX_SESSIONS.

    Raises:
        UnauthorizedError: the password was changed since it was verified.
    """
    session_id = secrets.token_hex(8)
    client = {"user_agent": user_agent[:USER_AGENT_CHARACTERS], "ip": g.get("client_ip", "")}
    session = Session(**client, amr=[*amr], uses_cookie=g.get("uses_cookie"))
    ends_at = expires_at(session.to_mongo())
    while True:
        stored = user.read_sessions()
        if stored is None:
            raise errors.UnauthorizedError
        # It fails if the user logged in elsewhere since the read: read again then.
        if user.add_session(session_id, session, _sessions_to_evict(stored), ends_at):
            return issue_tokens(user, session_id, session.to_mongo())


def _sessions_to_evict(sessions: dict[str, Stored]) -> list[str]:
    active = [sid for sid, session in sessions.items() if is_active(session)]
    active.sort(key=lambda sid: sessions[sid]["last_used_at"], reverse=True)
    return [sid for sid in sessions if sid not in active[: MAX_SESSIONS - 1]]


def is_active(session: Stored) -> bool:
    """Return whether a stored session has not expired."""
    return expires_at(session) > time.time()


def expires_at(session: Stored) -> float:
    """Return when a stored session expires unless it is refreshed before."""
    unused = session["last_used_at"] + current_app.config["JWT_REFRESH_TOKEN_EXPIRES"]
    return float(min(unused, session["created_at"] + current_app.config["JWT_SESSION_MAX_AGE"]))


def authenticate(claims: Claims) -> User:
    """Return the user of an access token if its session was not revoked, in one read.

    Expiry is the token's: none outlasts its session.

    Raises:
        SessionEndedError: the session was revoked, or its user deleted.
        SupersededTokenError: the session was refreshed.
    """
    return find(claims)[0]


def require_recent(claims: Claims) -> None:
    """Require that the user of a session has proved who they are in the last minutes (RFC 9470).

    The session is read, because the token may be of before a reauthentication.

    Raises:
        ReauthenticationRequiredError, SessionEndedError, SupersededTokenError
    """
    max_age = current_app.config["REAUTHENTICATE_SECONDS"]
    if auth_time(find(claims)[1]) + max_age <= time.time():
        raise errors.ReauthenticationRequiredError(max_age)


def reauthenticate(user: User, claims: Claims, amr: Sequence[str]) -> Tokens:
    """Note that a user has proved who they are, by what, and return the next pair.

    The pair before is revoked at once, as by a change of the password.

    Raises:
        SessionEndedError, SupersededTokenError: the session was revoked or refreshed meanwhile.
    """
    _, session = find(claims)
    proved = {"auth_time": int(time.time()), "amr": [*amr]}
    next_session = session_grace.replace_without_grace(session) | proved
    if not user.replace_session(claims["sid"], session, next_session):
        find(claims)  # raises SessionEndedError if the session was revoked
        raise errors.SupersededTokenError
    event_service.record(Event.REAUTHENTICATED, user_id=user.id)
    return issue_tokens(user, claims["sid"], next_session)


def find(claims: Claims) -> tuple[User, Stored]:
    """Return the user and the stored session of an access token; raises what authenticate does."""
    user, session = session_grace.read(claims)
    if not session_grace.accepts_access_token(session, claims["gen"]):
        raise errors.SupersededTokenError
    return user, session


def refresh(claims: Claims, user_agent: str = "") -> Tokens:
    """Exchange a refresh token for the next pair; the previous pair is revoked.

    Refresh token reuse detection (RFC 9700 §4.14.2): a token that was exchanged before revokes the
    session, because one of its two holders stole it. Within a grace it gets the current pair.

    Raises:
        SupersededTokenError: a change of the password replaced the token.
        SessionEndedError: the session was revoked, maybe by this reuse.
        ExpiredTokenError: the session has reached JWT_SESSION_MAX_AGE.
    """
    client = session_grace.describe_client(user_agent)
    # A session that is older, or has less than a second left, has reached its maximum age.
    oldest = time.time() - current_app.config["JWT_SESSION_MAX_AGE"] + 1
    refreshed = User.refresh_session(claims["sub"], claims["sid"], claims["gen"], client, oldest)
    if refreshed:
        event_service.record(Event.REFRESHED, user_id=claims["sub"])
    user, session = refreshed or session_grace.reuse(claims, client, oldest)
    return issue_tokens(user, claims["sid"], session)


def issue_tokens(user: User, session_id: str, session: Stored) -> Tokens:
    """Return the pair of a session's current generation; neither token outlasts the session.

    `uses_cookie` says whether the client is a browser that keeps the refresh token in a cookie.
    """
    config, now = current_app.config, time.time()
    # Whole seconds, because some milliseconds have passed since a refresh stored its time.
    unused = math.ceil(session["last_used_at"] + config["JWT_REFRESH_TOKEN_EXPIRES"] - now)
    left = min(unused, session["created_at"] + config["JWT_SESSION_MAX_AGE"] - now)
    access_seconds = min(config["JWT_ACCESS_TOKEN_EXPIRES"], left)
    said = access_claims(user, session_id, session)
    return {
        "token": encode(ACCESS, user, access_seconds, said),
        "refresh_token": encode(REFRESH, user, left, session_claims(session_id, session)),
        "expires_in": int(access_seconds),
        "refresh_expires_in": int(left),
        "uses_cookie": bool(session.get("uses_cookie")),
        "email": user.email,
    }


def list_active(user: User, current: str = "") -> list[Stored]:
    """Return the active sessions of user with `id` and `current`, newest first.

    `current` is the id of the session that is marked as such.
    """
    sessions = user.read_sessions() or {}
    active = [
        {**session, "id": session_id, "current": session_id == current}
        for session_id, session in sessions.items()
        if is_active(session)
    ]
    return sorted(active, key=lambda session: -session["created_at"])


def log_out(claims: Claims) -> None:
    """Revoke the session of an access token, or of any refresh token that it ever had.

    Raises:
        SessionEndedError, SupersededTokenError
    """
    if claims["scope"] == ACCESS:
        authenticate(claims)
    if not User.revoke_session(claims["sub"], claims["sid"]):
        raise errors.SessionEndedError
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
