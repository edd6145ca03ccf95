"""What can happen to an account: one list of events, and one function that records them."""

from enum import StrEnum

from flask import current_app, g

from infra import audit_log, metrics
from infra.pseudonym import pseudonym


class Event(StrEnum):
    """Every event by name; the comment above it says what happened (docs/reference/events.md)."""

    # An account was created, by its owner, an admin or a command.
    SIGNUP = "signup"
    # A session was created: `amr` says by what, as in RFC 8176 (pwd, otp, hwk, user).
    LOGIN = "login"
    # The password was right, but EMAIL_VERIFICATION is required and the email is not verified.
    LOGIN_UNVERIFIED = "login_unverified"
    # The password was wrong, or no user has the email (then without `user`).
    LOGIN_FAILED = "login_failed"
    # The password was right, and the user has a second factor.
    SECOND_FACTOR_REQUIRED = "second_factor_required"
    # A code or a recovery code was wrong, or was used before.
    CODE_REFUSED = "code_refused"
    # A passkey signed whose count of uses had not risen (there may be a copy), or that was removed.
    PASSKEY_REFUSED = "passkey_refused"
    # A user who is logged in proved once more who they are.
    REAUTHENTICATED = "reauthenticated"
    # A session was ended with one of its tokens.
    LOGOUT = "logout"
    # One session was revoked from the list of sessions.
    SESSION_REVOKED = "session_revoked"
    # All sessions of a user were revoked; without `user`, those of every user.
    SESSIONS_REVOKED = "sessions_revoked"
    # A refresh token came a second time, so its session was revoked: one of two holders stole it.
    REFRESH_TOKEN_REUSED = "refresh_token_reused"
    # A refresh token came a second time, within its grace, and got the current pair.
    REFRESH_TOKEN_REUSED_IN_GRACE = "refresh_token_reused_in_grace"
    # A reset link was requested. No user is looked up: any email costs the same.
    PASSWORD_RESET_REQUESTED = "password_reset_requested"
    # A password was set with a reset link.
    PASSWORD_RESET = "password_reset"
    # A user who is logged in set another password.
    PASSWORD_CHANGED = "password_changed"
    # A user who is logged in gave a wrong current password.
    PASSWORD_REFUSED = "password_refused"
    # A link that confirms an email was requested. No user is looked up.
    CONFIRMATION_REQUESTED = "confirmation_requested"
    # A user proved that the email is theirs.
    EMAIL_CONFIRMED = "email_confirmed"
    # A user who is logged in asked for another email; it replaces theirs once it is confirmed.
    EMAIL_CHANGE_REQUESTED = "email_change_requested"
    # The owner of the other email refused the change: it was dropped.
    EMAIL_CHANGE_REJECTED = "email_change_rejected"
    # The email of a user was replaced by another one, which they proved to be theirs.
    EMAIL_CHANGED = "email_changed"
    # The email from before a change was restored, with a link that was mailed to it.
    EMAIL_CHANGE_UNDONE = "email_change_undone"
    # Codes of an authenticator app became a second factor.
    TOTP_ADDED = "totp_added"
    # The second factor was removed, by its user.
    TOTP_REMOVED = "totp_removed"
    # A user replaced the recovery codes.
    RECOVERY_CODES_CREATED = "recovery_codes_created"
    # A user logged in with a recovery code.
    RECOVERY_CODE_USED = "recovery_code_used"
    # A user added a passkey.
    PASSKEY_ADDED = "passkey_added"
    # A user removed a passkey.
    PASSKEY_REMOVED = "passkey_removed"
    # An operator removed every factor of a user.
    FACTORS_RESET = "factors_reset"
    # A user was made an admin.
    ROLE_CHANGED_TO_ADMIN = "role_changed_to_admin"
    # An admin was made a user; it precedes the deletion of an admin.
    ROLE_CHANGED_TO_USER = "role_changed_to_user"
    # A user was deleted, with everything that belongs to them.
    USER_DELETED = "user_deleted"
    # The mail server accepted an email, or it was appended to email.log.
    MAIL_SENT = "mail_sent"
    # The mail server deferred an email, or its dialogue broke off; it is retried later.
    MAIL_DEFERRED = "mail_deferred"
    # The mail server refused an email permanently, or it was retried for a day without success.
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
