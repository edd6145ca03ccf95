"""Every email that the product sends, on one page: its kind, its link, and who gets it.

A job names the user by id (`user_id`) and the address it goes to (`to`). Where no user may be
looked up during a request it has the `email` alone. What the job asks for is decided when it is
handled: then the user may have another email, or none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from database.emails import ReservedEmail
from database.factors import describe_factors
from database.models import User
from jobs.errors import RetryLater
from services.link_service import LINKS, LinkKind, is_invited
from services.token_service import CHANGE, CONFIRM, INVITE, PWD_RESET, UNDO

RESET_PASSWORD = "reset_password"
PASSWORD_CHANGED = "password_changed"
ROLE_CHANGED_TO_ADMIN = "role_changed_to_admin"
ROLE_CHANGED_TO_USER = "role_changed_to_user"
ACCOUNT_DELETED = "account_deleted"
CONFIRM_EMAIL = "confirm_email"
SIGNED_UP_AGAIN = "signed_up_again"
FINISH_SIGNUP = "finish_signup"
CONFIRM_CHANGE = "confirm_change"
EMAIL_TAKEN = "email_taken"
EMAIL_CHANGED = "email_changed"
EMAIL_RESTORED = "email_restored"
TOTP_ADDED = "totp_added"
TOTP_REMOVED = "totp_removed"
RECOVERY_CODES_CREATED = "recovery_codes_created"
RECOVERY_CODE_USED = "recovery_code_used"
PASSKEY_ADDED = "passkey_added"
PASSKEY_REMOVED = "passkey_removed"
INVITATION = "invitation"
NEW_DEVICE = "new_device"

Arguments = Mapping[str, str]


@dataclass(frozen=True)
class Letter:
    """An email as it is to be sent now.

    `context` is for its template, `link_options` for encode_link.
    """

    mail: str
    user: User
    email: str
    name: str | None
    context: Mapping[str, Any] = field(default_factory=dict)
    link_options: Mapping[str, Any] = field(default_factory=dict)


def _letter(mail: str, user: User, email: str, **details: Mapping[str, Any]) -> Letter:
    """Return an email that greets by name only at an address that the user has proved."""
    proved = {user.email, *(former["email"] for former in user.former_emails.values())}
    name = user.name if user.is_verified and email in proved else None
    return Letter(mail, user, email, name, **details)


FindLetter = Callable[[str, Arguments, User], Letter | None]


def _to_user(mail: str, arguments: Arguments, user: User) -> Letter:
    return _letter(mail, user, arguments.get("to", user.email))


def _to_unverified(mail: str, arguments: Arguments, user: User) -> Letter | None:
    if user.is_verified or user.invited_at or "decoy" in arguments:
        return None
    letter = _to_user(mail, arguments, user)
    return letter if letter.email == user.email else None


def _of_reset(mail: str, arguments: Arguments, user: User) -> Letter | None:
    """Return the email with the link; for a pending invitation the invitation once more.

    An email that the user has left gets no link to the account.
    """
    if user.invited_at is not None:
        return _invite(user)
    letter = _to_user(mail, arguments, user)
    return letter if letter.email == user.email else None


def _to_owner(mail: str, arguments: Arguments, user: User) -> Letter | None:
    return _of_reset(mail if user.is_verified else FINISH_SIGNUP, arguments, user)


def _invite(user: User) -> Letter | None:
    return _letter(INVITATION, user, user.email) if is_invited(user) else None


def _to_invited(mail: str, arguments: Arguments, user: User) -> Letter | None:
    return _invite(user)


def _to_new_email(mail: str, arguments: Arguments, user: User) -> Letter | None:
    """Return the email with the link, or to another user who has the email the one that says so."""
    new_email = arguments["to"]
    owner = User.get_by_email(new_email)
    if owner is None and (owner_id := ReservedEmail.find_owner(new_email)):
        owner = User.get_by_id(owner_id)
    if owner and owner.id != user.id:
        return _letter(EMAIL_TAKEN, owner, new_email)
    if user.pending_change.get("email") != new_email:
        return None
    return _letter(mail, user, new_email, context={"created_at": user.created_at})


def _to_former_email(mail: str, arguments: Arguments, user: User) -> Letter | None:
    """Return the notice once the change has happened: it is queued before, by every attempt."""
    change_id, at = arguments["change"], float(arguments["at"])
    if user.pending_change.get("id") == change_id:
        raise RetryLater("the change is not confirmed yet")
    if user.former_emails.get(change_id, {}).get("at") != at:
        return None
    link_options = {"change_id": change_id, "since": at}
    context = {"new_email_hint": arguments["hint"]}
    return _letter(mail, user, arguments["to"], context=context, link_options=link_options)


def _to_restored_email(mail: str, arguments: Arguments, user: User) -> Letter | None:
    """Return the email once the undo has happened: it is queued before."""
    if arguments["change"] in user.former_emails:
        raise RetryLater("the change is not undone yet")
    letter = _to_user(mail, arguments, user)
    return letter if letter.email == user.email else None


def _of_password(mail: str, arguments: Arguments, user: User) -> Letter:
    """Return the notice; after a reset it says what else logs in: an intruder may have added it."""
    context = {"factors": describe_factors(user)} if arguments.get("after") == "reset" else {}
    return _letter(mail, user, arguments.get("to", user.email), context=context)


def _of_factor(mail: str, arguments: Arguments, user: User) -> Letter:
    """Return the notice of a change; it says when, from where and with what it was made."""
    context: dict[str, Any] = {"at": float(arguments["at"]), "ip": arguments["ip"]}
    context["device"] = arguments.get("device", "")  # earlier versions queued none
    if "codes_left" in arguments:
        context["codes_left"] = int(arguments["codes_left"])
    return _letter(mail, user, arguments["to"], context=context)


def _of_devices(mail: str, arguments: Arguments, user: User) -> Letter | None:
    """Return the notice of the devices that were new in a time, if any of them is remembered.

    It goes where the user read emails at the login: who has logged in may have changed that.
    """
    since, until = float(arguments["since"]), float(arguments["until"])
    new = [it for it in user.devices.get("known", []) if since <= it["first_at"] <= until]
    return _letter(mail, user, arguments["to"], context={"devices": new}) if new else None


@dataclass(frozen=True)
class MailKind:
    """An email: its link, and the function that finds who gets it, if anybody.

    Its templates in templates/email have its name.
    """

    link: LinkKind | None = None
    find_letter: FindLetter = _to_user


MAILS = {
    RESET_PASSWORD: MailKind(LINKS[PWD_RESET], _of_reset),
    PASSWORD_CHANGED: MailKind(find_letter=_of_password),
    ROLE_CHANGED_TO_ADMIN: MailKind(),
    ROLE_CHANGED_TO_USER: MailKind(),
    ACCOUNT_DELETED: MailKind(),
    CONFIRM_EMAIL: MailKind(LINKS[CONFIRM], _to_unverified),
    SIGNED_UP_AGAIN: MailKind(find_letter=_to_owner),
    FINISH_SIGNUP: MailKind(LINKS[PWD_RESET]),
    CONFIRM_CHANGE: MailKind(LINKS[CHANGE], _to_new_email),
    EMAIL_TAKEN: MailKind(),
    EMAIL_CHANGED: MailKind(LINKS[UNDO], _to_former_email),
    EMAIL_RESTORED: MailKind(LINKS[PWD_RESET], _to_restored_email),
    TOTP_ADDED: MailKind(find_letter=_of_factor),
    TOTP_REMOVED: MailKind(find_letter=_of_factor),
    RECOVERY_CODES_CREATED: MailKind(find_letter=_of_factor),
    RECOVERY_CODE_USED: MailKind(find_letter=_of_factor),
    PASSKEY_ADDED: MailKind(find_letter=_of_factor),
    PASSKEY_REMOVED: MailKind(find_letter=_of_factor),
    INVITATION: MailKind(LINKS[INVITE], _to_invited),
    NEW_DEVICE: MailKind(find_letter=_of_devices),
}
