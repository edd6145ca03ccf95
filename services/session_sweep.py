"""Expired sessions of users who don't log in any more: deleted now and then."""

from database.session_sweep import find_due, remove_sessions
from services.session_service import expires_at, is_active


def delete_expired() -> None:
    """Delete the sessions that have expired, of all users."""
    for user in find_due():
        sessions = user.get("sessions", {})
        active = {sid: it for sid, it in sessions.items() if is_active(it)}
        first = min(map(expires_at, active.values()), default=None)
        remove_sessions(user, sessions.keys() - active.keys(), first)
