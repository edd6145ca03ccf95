"""Changes of emails: requested, done once the new email is confirmed, and undone."""

import itertools
import time
from collections.abc import Mapping
from functools import partial

from bson import ObjectId
from mongoengine import NotUniqueError

from database import emails
from database.api_keys import NO_KEYS
from database.db import ensure_indexes
from database.emails import ReservedEmail
from database.factors import added_later
from database.models import Stored, User
from database.passkeys import Passkey
from services import (
    errors,
    event_service,
    link_service,
    mail_queue,
    notice_service,
    password_service,
    rate_limit_service,
    session_service,
)
from services.event_service import Event
from services.link_service import LINKS
from services.mail_kinds import CONFIRM_CHANGE, EMAIL_CHANGED, EMAIL_RESTORED
from services.token_claims import Claims
from services.token_service import UNDO

# Longer than it takes to change an email once the new one is reserved.
TAKE_SECONDS = 60
# Each is a part of the user, whom every request reads.
MAX_FORMER_EMAILS = 20
# How often a request reads a user again whom other requests have changed since.
ATTEMPTS = 5


def request_change(user: User, claims: Claims, email: str, current_password: str | None) -> None:
    """Mail a link to another email, which replaces the user's once it is opened there.

    It is the same for an email that another user has: then they get a notice without a link. The
    user gives the password, or has just proved who they are.

    Raises:
        ReauthenticationRequiredError, SchemaValidationError, TooManyRequestsError
        SessionEndedError, ConflictError: the session was revoked, or the user changed, meanwhile.
    """
    if current_password is None:
        rate_limit_service.hit("PASSWORD_PER_USER", str(user.id))
        session_service.require_recent(claims)
    else:
        password_service.verify_current_password(user, current_password)
    is_own = email == user.email
    change = {} if is_own else {"id": str(ObjectId()), "email": email}
    if not emails.request_change(user, claims["sid"], change):
        session_service.find(claims)  # raises SessionEndedError if the session was revoked
        raise errors.ConflictError
    if is_own:  # nothing to prove, and a change that waited is not meant any more
        return
    mail_queue.enqueue_to(user, CONFIRM_CHANGE, to=email)
    event_service.record(Event.EMAIL_CHANGE_REQUESTED, user_id=user.id)


def confirm_change(user: User, claims: Claims) -> str | None:
    """Replace the email by the one of the change that waits, and return it.

    Return None, and change nothing, if the user was changed since the user was read.

    Raises:
        EmailAlreadyExistsError: another user has taken the new email meanwhile.
        ConflictError: the email was changed too often.
    """
    if len(user.former_emails) >= MAX_FORMER_EMAILS:
        raise errors.ConflictError("The address was changed too often, try again in some days")
    new_email = user.pending_change["email"]
    _take(user, new_email)
    now = time.time()
    changes = {"email": new_email, "verified_at": now, "confirmed_token": claims["jti"]}
    waits = {"pending_change.id": claims["change"], "verified_at": user.verified_at}
    notice = None
    if user.is_verified:  # who has not proved an email can't restore it
        ReservedEmail.keep(user, until=now + LINKS[UNDO].lifetime)
        changes[f"former_emails.{claims['change']}"] = _former(user, now)
        details = {"change": claims["change"], "at": repr(now), "hint": hide(new_email)}
        notice = mail_queue.enqueue_to(user, EMAIL_CHANGED, **details)
    if not _replace(user, notice, changes, waits, keep_sessions=None):
        return None
    event_service.record(Event.EMAIL_CHANGED, user_id=user.id, verifies=not user.is_verified)
    return new_email


def _former(user: User, now: float) -> Stored:
    """Return what an undo needs: factors of a later version were added by who made the change."""
    return {"email": user.email, "at": now, "version": user.password_version}


def _take(user: User, email: str) -> None:
    """Reserve an email while its user moves to it; raises EmailAlreadyExistsError.

    A user who leaves the email keeps it reserved before they do: so after it was found to be
    nobody's, it must still be reserved for this user.
    """
    ensure_indexes(ReservedEmail)
    is_free = (
        ReservedEmail.take(email, user, TAKE_SECONDS)
        and (User.get_by_email(email) or user).id == user.id
        and ReservedEmail.find_owner(email) == str(user.id)
    )
    if not is_free:
        raise errors.EmailAlreadyExistsError


def _replace(
    user: User,
    mail: str | None,
    changes: Stored,
    only_if: Stored,
    keep_sessions: Mapping[str, Stored] | None,
) -> bool:
    """Change the email as change_credentials does; without a change, cancel the mail about it.

    The mail was queued before, so that after a crash too the change can be undone.

    Raises:
        EmailAlreadyExistsError
    """
    change = partial(user.change_credentials, changes, only_if, keep_sessions)
    try:
        return notice_service.make_or_cancel(change, mail)
    except NotUniqueError:
        raise errors.EmailAlreadyExistsError from None


def hide(email: str) -> str:
    """Return an email with its local part hidden, except for the first character."""
    local, _, domain = email.rpartition("@")
    return f"{local[0] if len(local) > 1 else ''}…@{domain}"


def open_undo(token: str) -> tuple[User, Claims]:
    """Return the user whose email a token restores, and its claims; the token stays valid.

    Raises:
        ExpiredTokenError, UsedTokenError, BadTokenError
    """
    return link_service.open_current_link(token, UNDO)


def undo(user: User, claims: Claims) -> str:
    """Restore the email from before a change and return it.

    Somebody else made the change, so nothing of theirs stays: later changes are void, sessions
    revoked, factors that were added since removed, and the password can't be used. A link that sets
    another one is mailed to the email.

    Raises:
        UsedTokenError: the change was undone meanwhile, or an earlier one.
        EmailAlreadyExistsError
        ConflictError: the user is changed again and again.
    """
    for _ in range(ATTEMPTS):
        if restored := _restore(user, claims["change"]):
            event_service.record(Event.EMAIL_CHANGE_UNDONE, user_id=user.id)
            return restored
        user = link_service.find_user(user.id)  # it was changed since it was read
        link_service.require_current(user, claims)
    raise errors.ConflictError


def _restore(user: User, change_id: str) -> str | None:
    former = user.former_emails[change_id]
    # They are in the order of the changes, which the clocks of several machines don't tell.
    before = itertools.takewhile(lambda other: other != change_id, user.former_emails)
    earlier = {other: user.former_emails[other] for other in before}
    changes = {
        "email": former["email"],
        "verified_at": time.time(),
        "confirmed_token": None,
        "password": "",
        "former_emails": earlier,
        **NO_KEYS,
    }
    version = former.get("version", -1)  # an earlier version stored none, and knew no factors
    changes |= added_later(user, version)
    link = mail_queue.enqueue_to(user, EMAIL_RESTORED, to=former["email"], change=change_id)
    Passkey.delete_added_after(user, version)  # before, in case of a crash
    if not _replace(user, link, changes, {}, keep_sessions={}):
        return None
    if Passkey.delete_added_after(user, version):  # added until then, and perhaps used
        User.revoke_all_sessions(user.id)
    kept = {change["email"] for change in earlier.values()}
    left = {user.email, *(change["email"] for change in user.former_emails.values())}
    ReservedEmail.release(user, left - kept)
    return str(former["email"])


def delete_expired() -> None:
    """Delete former emails that can't be restored any more."""
    for reserved in ReservedEmail.find_expired():
        reserved.delete_expired()
