"""Emails of users: stored at signup, then confirmed or refused by the owner of the mailbox."""

from flask import current_app, g
from mongoengine import Document, NotUniqueError

from config import OFF
from database import emails
from database.emails import ReservedEmail
from database.models import User
from database.users import name_keys
from services import (
    email_change_service,
    errors,
    event_service,
    link_service,
    mail_queue,
    user_service,
)
from services.email_change_service import ATTEMPTS, TAKE_SECONDS
from services.event_service import Event
from services.mail_kinds import CONFIRM_EMAIL
from services.token_claims import Claims
from services.token_service import CHANGE, CONFIRM


def insert(user: User) -> bool:
    """Store a new user; return False if another user has the email, or may restore it.

    A user who leaves an email reserves it first: so it is looked up again after the insert. One who
    is about to take it, for a shorter time, needs no such look: the unique index lets one have it.
    """
    user.name_keys = name_keys(user.name)
    document: Document = user
    if owner := ReservedEmail.find_owner(user.email):
        # Rejected as late as an email that a user has: the time must not tell that it is reserved.
        document = ReservedEmail(email=user.email, user_id=owner, until=0.0)
    try:
        document.save(force_insert=True)
    except NotUniqueError:
        user.id = None
    is_reserved = ReservedEmail.find_owner(user.email, for_seconds=TAKE_SECONDS)
    if is_reserved and user.id:
        user.delete()
        user.id = None
    return user.id is not None


def request_confirmation(email: str) -> None:
    """Enqueue an email with a link that confirms it, if a user has it and it is not verified.

    As for password_service.request_reset, it is the same small write for any email.
    """
    mail_queue.enqueue(CONFIRM_EMAIL, email, ip=g.get("client_ip", ""))
    event_service.record(Event.CONFIRMATION_REQUESTED, email=email)


def confirm_new_user(user: User) -> None:
    """Mail a link to a user who has just signed up, unless EMAIL_VERIFICATION is off."""
    if current_app.config["EMAIL_VERIFICATION"] != OFF and not user.is_verified:
        mail_queue.enqueue_to(user, CONFIRM_EMAIL)


def mark_verified(wanted: list[str] | None) -> tuple[int, list[str]]:
    """Verify these emails, or every one; return how many were not yet, and which nobody has."""
    if wanted is None:
        return sum(map(_mark_verified, emails.find_unverified())), []
    users = {email: User.get_by_email(email) for email in wanted}
    verified = sum(_mark_verified(user) for user in users.values() if user)
    return verified, [email for email, user in users.items() if user is None]


def _mark_verified(user: User) -> bool:
    is_new = emails.verify(user, token_id=None)
    if is_new:
        event_service.record(Event.EMAIL_CONFIRMED, user_id=user.id)
    return is_new


def open_confirmation(token: str) -> tuple[User, Claims]:
    """Return the user whose email a token confirms, or has confirmed; the token stays valid.

    Raises:
        ExpiredTokenError, UsedTokenError, BadTokenError
    """
    user, claims = link_service.open_link(token, CONFIRM, CHANGE)
    if not has_confirmed(user, claims):
        link_service.require_current(user, claims)
    return user, claims


def has_confirmed(user: User, claims: Claims) -> bool:
    """Return whether this token has confirmed the email that the user has."""
    return user.confirmed_token == str(claims["jti"])


def confirm(user: User, claims: Claims) -> str:
    """Verify the email of a user, or replace it by the new one, and return it.

    Once more with the same token changes nothing. Nobody is logged in: somebody else may have
    signed up with this email, and have chosen the password.

    Raises:
        EmailAlreadyExistsError: another user has taken the new email meanwhile.
        UsedTokenError: the email was verified or changed meanwhile.
        ConflictError: the user is changed again and again, or the email was changed too often.
    """
    confirm_once = email_change_service.confirm_change if claims["scope"] == CHANGE else _verify
    for _ in range(ATTEMPTS):
        if has_confirmed(user, claims):
            return user.email
        link_service.require_current(user, claims)
        if email := confirm_once(user, claims):
            return email
        user = _read_again(user)  # it was changed since it was read
    raise errors.ConflictError


def _read_again(user: User) -> User:
    """Return a user once more, and release emails that were reserved in vain.

    Raises:
        BadTokenError: the user was deleted.
    """
    current = User.get_by_id(user.id) or User()
    former = {change["email"] for change in current.former_emails.values()}
    reserved = {user.email, user.pending_change.get("email", "")}
    ReservedEmail.release(user, reserved - former - {current.email})
    if current.id is None:
        raise errors.BadTokenError
    return current


def _verify(user: User, claims: Claims) -> str | None:
    if user.is_verified:
        raise errors.UsedTokenError
    if not emails.verify(user, claims["jti"]):
        return None
    event_service.record(Event.EMAIL_CONFIRMED, user_id=user.id)
    return user.email


def reject(user: User, claims: Claims) -> None:
    """Drop a change that waits, or delete a user who never verified the email: not theirs.

    Raises:
        UsedTokenError: the email was confirmed meanwhile.
        LastAdminError
    """
    link_service.require_current(user, claims)
    if claims["scope"] == CONFIRM:
        user_service.delete_unverified(user)
    elif emails.drop_change(user, claims["change"]):
        event_service.record(Event.EMAIL_CHANGE_REJECTED, user_id=user.id)
    else:
        raise errors.UsedTokenError
