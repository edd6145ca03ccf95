"""The sessions of a user, seen together: to list, to end, to keep one of."""

from typing import Any

from database.models import User
from services import audit, session_service
from services.errors import SessionNotExistsError
from services.times import iso
from services.token_service import Claims


def listed(user: User, claims: Claims) -> list[dict[str, Any]]:
    """Return the sessions of user that live, as answers show them, the newest first."""
    living = {
        sid: session for sid, session in _stored(user).items() if session_service.lives(session)
    }
    return [
        {
            "id": sid,
            "created_at": iso(session["created_at"]),
            "last_used_at": iso(session["last_used_at"]),
            "user_agent": session["user_agent"],
            "current": sid == claims["sid"],
        }
        for sid, session in sorted(living.items(), key=lambda item: -item[1]["created_at"])
    ]


def end_one(user: User, sid: str) -> None:
    """End a session of user; raises SessionNotExistsError."""
    if sid not in _stored(user):
        raise SessionNotExistsError
    session_service.drop(user, sid)
    audit.record("session_ended", user_id=user.id)


def end_all(user: User) -> None:
    """End every session of user."""
    User.objects(id=user.id).update_one(set__sessions={})
    audit.record("sessions_ended", user_id=user.id)


def keep_one(user: User, claims: Claims, hashed: str) -> bool:
    """Set a new hash and end every session but that of claims, or do nothing and say so.

    Nothing happens if the password was changed, or the session went on, since they were read:
    the refresh in flight would be undone.
    """
    sid = claims["sid"]
    session = _stored(user).get(sid)
    unchanged = session_service.of_token(claims, password_version=user.password_version)
    changed = {"password": hashed, "sessions": {sid: session}}
    update = {"$set": changed, "$inc": {"password_version": 1}}
    return bool(session and unchanged.update_one(__raw__=update))


def _stored(user: User) -> dict[str, Any]:
    """Return the map of sessions as it is stored: without the cost of documents."""
    stored = User.objects(id=user.id).only("sessions").as_pymongo().first() or {}
    sessions: dict[str, Any] = stored.get("sessions", {})
    return sessions
