"""What can happen to an account: one list of events, and one function that records them."""

from enum import StrEnum

from flask import current_app, g

from infra import audit_log, metrics
from infra.pseudonym import pseudonym


class Event(StrEnum):
    """Every security event by name."""

    SIGNUP = "signup"
    LOGIN = "login"
    LOGIN_FAILED = "login_failed"
    LOGOUT = "logout"
    SESSION_REVOKED = "session_revoked"
    SESSIONS_REVOKED = "sessions_revoked"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"
    REFRESH_TOKEN_REUSED_IN_GRACE = "refresh_token_reused_in_grace"
    PASSWORD_RESET_REQUESTED = "password_reset_requested"
    PASSWORD_RESET = "password_reset"
    PASSWORD_CHANGED = "password_changed"
    PASSWORD_REFUSED = "password_refused"
    ROLE_CHANGED_TO_ADMIN = "role_changed_to_admin"
    ROLE_CHANGED_TO_USER = "role_changed_to_user"
    USER_DELETED = "user_deleted"
    MAIL_SENT = "mail_sent"
    MAIL_DEFERRED = "mail_deferred"
    MAIL_FAILED = "mail_failed"


MAIL_EVENTS = (Event.MAIL_SENT, Event.MAIL_DEFERRED, Event.MAIL_FAILED)
# A log of its own, because the security log is about what happened to an account.
MAIL_LOG = "services.mail_events"

# Not those of emails: their number would tell which addresses have an account.
COUNTED = frozenset(Event) - frozenset(MAIL_EVENTS)
for counted in COUNTED:
    metrics.EVENTS.labels(counted)  # begins at 0: Prometheus can't see an increase to a first 1


def record(
    event: Event, *, user_id: object = None, email: str | None = None, **details: str | None
) -> None:
    """Log and count an event, with its actor if that was another user.

    An email appears as a pseudonym. web sets `g.client_ip` and `g.actor_id`; both are missing at
    the shell. `details` are logged as they are, and win.
    """
    user, actor = str(user_id or ""), str(g.get("actor_id", ""))
    described = {
        "user": user,
        "by": actor if actor != user else None,
        "ip": g.get("client_ip", "shell"),
        "email": pseudonym(email, current_app.config["JWT_SECRET_KEY"]) if email else None,
    }
    log = MAIL_LOG if event in MAIL_EVENTS else audit_log.__name__
    audit_log.write(event, log=log, **described | details)
    if event in COUNTED:
        metrics.EVENTS.labels(event).inc()
