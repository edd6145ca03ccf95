"""What can happen to an account: one list of events, and one function that records them.

Each is a line in the log and a count; most are stored too, for users and operators to read.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from flask import current_app, g

from database.db import DATABASE_ERRORS
from database.events import StoredEvent
from database.models import Job, Stored, User
from infra import audit_log, metrics
from infra.pseudonym import pseudonym
from jobs import queue
from jobs.worker import Handle
from services import webhook_service
from services.webhook_service import (
    NOTHING,
    PASSWORD_CHANGED,
    USER_CREATED,
    USER_DELETED,
    USER_DISABLED,
    USER_VERIFIED,
)


class Event(StrEnum):
    """Every event by name; the comment above it says what happened (docs/reference/events.md)."""

    # An account was created, by its owner, an admin or a command.
    SIGNUP = "signup"
    # Somebody signed up with the email of an account, and EMAIL_VERIFICATION is required.
    SIGNUP_REPEATED = "signup_repeated"
    # An admin or a command invited a user, who has no password yet.
    USER_INVITED = "user_invited"
    # An invited user set the first password.
    INVITATION_ACCEPTED = "invitation_accepted"
    # A session was created: `amr` says by what, as in RFC 8176 (pwd, otp, hwk, user).
    LOGIN = "login"
    # The password was right, but EMAIL_VERIFICATION is required and the email is not verified.
    LOGIN_UNVERIFIED = "login_unverified"
    # The password or the passkey was right, but an operator has disabled the account.
    LOGIN_DISABLED = "login_disabled"
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
    # A user logged in with a browser, or from a network, that was not among the last 20.
    NEW_DEVICE = "new_device"
    # A session was ended with one of its tokens.
    LOGOUT = "logout"
    # One session was revoked from the list of sessions.
    SESSION_REVOKED = "session_revoked"
    # All sessions of a user were revoked; without `user`, those of every user.
    SESSIONS_REVOKED = "sessions_revoked"
    # A refresh token was exchanged for the next pair.
    REFRESHED = "refreshed"
    # A token was expired, revoked, of another scope or not valid at all; `reason` has the error, or
    # ForeignOrigin for a page that is not ours and uses the cookie.
    TOKEN_REFUSED = "token_refused"
    # A user did what they may not do (403).
    ACCESS_DENIED = "access_denied"
    # A limit was exceeded: `limit` says which, `key` has the pseudonym of what it counts.
    RATE_LIMITED = "rate_limited"
    # A refresh token came a second time, so its session was revoked: one of two holders stole it.
    REFRESH_TOKEN_REUSED = "refresh_token_reused"
    # A refresh token came a second time, within its grace, and got the current pair.
    REFRESH_TOKEN_REUSED_IN_GRACE = "refresh_token_reused_in_grace"
    # A reset link was requested. No user is looked up: any email costs the same.
    PASSWORD_RESET_REQUESTED = "password_reset_requested"
    # An operator had a reset link, or an invitation, mailed to a user.
    RESET_LINK_MAILED = "reset_link_mailed"
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
    # An admin created an API key, for another service.
    API_KEY_CREATED = "api_key_created"
    # An admin removed an API key.
    API_KEY_REMOVED = "api_key_removed"
    # An operator removed every factor of a user.
    FACTORS_RESET = "factors_reset"
    # A user was made an admin.
    ROLE_CHANGED_TO_ADMIN = "role_changed_to_admin"
    # An admin was made a user; it precedes the deletion of an admin.
    ROLE_CHANGED_TO_USER = "role_changed_to_user"
    # An operator disabled the account of a user, whose sessions and links are void since.
    USER_DISABLED = "user_disabled"
    # An operator enabled the account of a user again.
    USER_ENABLED = "user_enabled"
    # A user fetched all that is stored of them.
    DATA_EXPORTED = "data_exported"
    # An operator exported every user, with the hashes of their passwords.
    USERS_EXPORTED = "users_exported"
    # An operator imported users.
    USERS_IMPORTED = "users_imported"
    # The service was started with other settings than before: `names` says which.
    SETTINGS_CHANGED = "settings_changed"
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

# The worker stores them once it handles the job: the request is one small write for any email.
REQUESTS = (Event.PASSWORD_RESET_REQUESTED, Event.CONFIRMATION_REQUESTED)
# They happen often, and to no account or without consequence.
ROUTINE = (
    Event.REFRESHED,
    Event.REFRESH_TOKEN_REUSED_IN_GRACE,
    Event.TOKEN_REFUSED,
    Event.RATE_LIMITED,
    Event.SETTINGS_CHANGED,
)
STORED = frozenset(Event) - {*MAIL_EVENTS, *ROUTINE}
# Of a user, or of an IP where no user is known, they are one stored event an hour, with a count.
SUMMED = (
    *REQUESTS,
    Event.LOGIN_FAILED,
    Event.LOGIN_UNVERIFIED,
    Event.LOGIN_DISABLED,
    Event.SECOND_FACTOR_REQUIRED,
    Event.CODE_REFUSED,
    Event.PASSKEY_REFUSED,
    Event.PASSWORD_REFUSED,
    Event.ACCESS_DENIED,
)
SUM_SECONDS = 3600
# A job stores them: the first of an hour is an insert, a later one an update, and the time would
# tell whether an account with this email had one before.
DEFERRED = (Event.LOGIN_FAILED, Event.LOGIN_UNVERIFIED)
# What is sent to other services. Of a repeated signup nothing, at the cost of a first one: the
# time must not tell who has an account.
WEBHOOKS = {
    Event.SIGNUP: USER_CREATED,
    Event.SIGNUP_REPEATED: NOTHING,
    Event.USER_INVITED: USER_CREATED,
    Event.INVITATION_ACCEPTED: USER_VERIFIED,
    Event.EMAIL_CONFIRMED: USER_VERIFIED,
    Event.USER_DISABLED: USER_DISABLED,
    Event.USER_DELETED: USER_DELETED,
    Event.PASSWORD_RESET: PASSWORD_CHANGED,
    Event.PASSWORD_CHANGED: PASSWORD_CHANGED,
    # It makes the password useless, because another person may have chosen it.
    Event.EMAIL_CHANGE_UNDONE: PASSWORD_CHANGED,
}
STORE_EVENT = "store_event"
LANE = "events"
SHELL = "shell"

logger = logging.getLogger(__name__)


def record(
    event: Event,
    *,
    user_id: object = None,
    email: str | None = None,
    verifies: bool = False,
    **details: str | None,
) -> None:
    """Log, count and store an event, with its actor if that was another user, and queue webhooks.

    What it reports is stored already; `verifies` says that it verified the email besides. An email
    appears as a pseudonym. web sets `g.client_ip` and `g.actor_id`; both are missing at the shell.
    `details` are logged as they are, and win; they are not stored.
    """
    user, actor, ip = str(user_id or ""), str(g.get("actor_id", "")), g.get("client_ip")
    is_shell = ip is None  # a client at a Unix socket has "" without X-Forwarded-For
    described = {
        "user": user,
        "by": actor if actor != user else None,
        "ip": SHELL if is_shell else ip,
        "email": pseudonym(email, current_app.config["JWT_SECRET_KEY"]) if email else None,
    }
    log = MAIL_LOG if event in MAIL_EVENTS else audit_log.__name__
    audit_log.write(event, log=log, **described | details)
    if event in COUNTED:
        metrics.EVENTS.labels(event).inc()
    if event in STORED and event not in REQUESTS:
        by = SHELL if is_shell else described["by"]
        _store_or_defer({"event": event, "user_id": user, "by": by, "ip": ip, "at": time.time()})
    _queue_webhooks(event, user, verifies)


def _store_or_defer(fields: Stored) -> None:
    """Store an event; what it reports has happened, so a failure is logged and goes no further."""
    try:
        if fields["event"] in DEFERRED:
            texts = {name: str(it) for name, it in fields.items() if it}
            queue.enqueue(STORE_EVENT, LANE, **texts)
        else:
            store(fields)
    except DATABASE_ERRORS as error:
        metrics.UNAVAILABLE.labels(metrics.DATABASE).inc()
        logger.error("The event %s is in the log alone: %s", fields["event"], error)


def _queue_webhooks(event: Event, user_id: str, verifies: bool) -> None:
    types = [WEBHOOKS[event]] if event in WEBHOOKS else []
    try:
        for webhook_type in types + [USER_VERIFIED] * verifies:
            webhook_service.enqueue(webhook_type, user_id, time.time())
    except DATABASE_ERRORS as error:
        metrics.UNAVAILABLE.labels(metrics.DATABASE).inc()
        logger.error("No webhook reports %s of user %s: %s", event, user_id, type(error).__name__)


def store(fields: Stored, number: int = 1) -> None:
    """Store an event that happened `number` times; raises one of DATABASE_ERRORS."""
    event, hour = fields["event"], int(fields["at"] // SUM_SECONDS)
    if event == Event.USER_DELETED:
        fields = {**fields, "outlives_user": True}
    if event in SUMMED:
        whose = fields.get("user_id") or fields.get("ip") or ""
        StoredEvent.add(f"{event} {whose} {hour}", fields, number)
    else:
        StoredEvent.insert(fields)


@contextmanager
def store_deferred() -> Iterator[Handle]:
    """Handle jobs of kind store_event, as jobs/worker.py asks."""
    yield _store_deferred


def _store_deferred(job: Job) -> bool:
    user_id = job.arguments.get("user_id")
    if user_id and User.objects(id=user_id).only("id").first() is None:
        return False  # deleted meanwhile, and with the user what happened to them
    store({**job.arguments, "at": float(job.arguments["at"])})
    return True
