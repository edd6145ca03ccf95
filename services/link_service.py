"""The links that are mailed: one table of their kinds, and how one is signed and read."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from flask import current_app

from database.models import User
from services import token_service
from services.errors import BadTokenError, ExpiredTokenError, UsedTokenError
from services.token_claims import Claims
from services.token_service import CHANGE, CONFIRM, INVITE, PWD_RESET, UNDO


@dataclass(frozen=True)
class LinkKind:
    """A kind of mailed link: its scope, its settings, and the version of what it may change.

    The token of a reset link, for example, holds the user's `password_version` as the claim `pwv`.
    Changing the password increments that version: no reset link mailed before is valid then.
    `versions` returns what the claim may be for a user now.
    """

    scope: str
    url_setting: str
    lifetime_setting: str
    unit_seconds: int
    version_claim: str
    versions: Callable[[User], Collection[int | str]]
    expired: str = ExpiredTokenError.message
    used: str = UsedTokenError.message

    @property
    def lifetime(self) -> int:
        """Return for how many seconds a link is valid."""
        return self.unit_seconds * int(current_app.config[self.lifetime_setting])


def _pending_changes(user: User) -> list[str]:
    return [user.pending_change["id"]] if user.pending_change else []


RESET_EXPIRED = "Reset token has expired. Please request a new one."
RESET_USED = "Reset token has already been used"
INVITATION_EXPIRED = "The invitation has expired. Please ask for a new one."
MINUTE = 60
HOUR = 3600
DAY = 86400
# How long an invitation may be mailed again and again.
MAX_INVITED_DAYS = 30

LINKS = {
    PWD_RESET: LinkKind(
        scope=PWD_RESET,
        url_setting="RESET_URL",
        lifetime_setting="RESET_TOKEN_EXPIRE_MINUTES",
        unit_seconds=MINUTE,
        version_claim="pwv",
        versions=lambda user: [user.password_version],
        expired=RESET_EXPIRED,
        used=RESET_USED,
    ),
    CONFIRM: LinkKind(
        scope=CONFIRM,
        url_setting="CONFIRM_URL",
        lifetime_setting="EMAIL_TOKEN_EXPIRE_HOURS",
        unit_seconds=HOUR,
        version_claim="ev",
        versions=lambda user: [user.email_version],
    ),
    CHANGE: LinkKind(
        scope=CHANGE,
        url_setting="CONFIRM_URL",
        lifetime_setting="EMAIL_TOKEN_EXPIRE_HOURS",
        unit_seconds=HOUR,
        version_claim="change",
        versions=_pending_changes,
    ),
    UNDO: LinkKind(
        scope=UNDO,
        url_setting="UNDO_URL",
        lifetime_setting="UNDO_TOKEN_EXPIRE_DAYS",
        unit_seconds=DAY,
        version_claim="change",
        versions=lambda user: user.former_emails,
    ),
    INVITE: LinkKind(
        scope=INVITE,
        url_setting="INVITE_URL",
        lifetime_setting="INVITE_TOKEN_EXPIRE_HOURS",
        unit_seconds=HOUR,
        version_claim="pwv",
        versions=lambda user: [user.password_version] if is_invited(user) else [],
        expired=INVITATION_EXPIRED,
    ),
}
# The one link that works for a disabled user: it takes the account back from who changed its email.
FOR_DISABLED = (UNDO,)


def is_invited(user: User) -> bool:
    """Return whether an invitation is pending that may still be mailed and accepted."""
    return bool(user.invited_at and user.invited_at + MAX_INVITED_DAYS * DAY > time.time())


def encode_link(link: LinkKind, user: User, change_id: str = "", since: float = 0.0) -> str:
    """Return the URL of a link for user; its lifetime starts now, or at `since`.

    An undo link names its change; other kinds have one version at a time.
    """
    version = change_id or next(iter(link.versions(user)))
    now = time.time()
    expires_at = (since or now) + link.lifetime
    token = token_service.encode(link.scope, user, expires_at - now, {link.version_claim: version})
    url: str = current_app.config[link.url_setting]
    return url.replace("{token}", token)


def open_link(token: str, *scopes: str) -> tuple[User, Claims]:
    """Return user and claims of a link, whatever it may still change.

    Raises:
        ExpiredTokenError, BadTokenError
        UsedTokenError: the user is disabled.
    """
    try:
        claims = token_service.decode(token, *scopes)
    except ExpiredTokenError:
        raise ExpiredTokenError(LINKS[scopes[0]].expired) from None
    user = find_user(claims["sub"])
    if user.is_disabled and claims["scope"] not in FOR_DISABLED:
        raise UsedTokenError(LINKS[claims["scope"]].used)
    return user, claims


def find_user(user_id: object) -> User:
    """Return the user of a token; raises BadTokenError if the user was deleted."""
    user = User.get_by_id(user_id)
    if user is None:
        raise BadTokenError
    return user


def require_current(user: User, claims: Claims) -> None:
    """Raise UsedTokenError unless a link has the version of what it may change."""
    link = LINKS[claims["scope"]]
    if claims[link.version_claim] not in link.versions(user):
        raise UsedTokenError(link.used)


def open_current_link(token: str, *scopes: str) -> tuple[User, Claims]:
    """Return user and claims of a link that may still change something; it stays valid.

    Raises:
        ExpiredTokenError, UsedTokenError, BadTokenError
    """
    user, claims = open_link(token, *scopes)
    require_current(user, claims)
    return user, claims
