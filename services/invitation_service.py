"""Invitations: an account that an operator makes, whose owner sets the first password by a link."""

import time
from typing import Any

from database.db import ensure_indexes
from database.models import USER, User
from services import email_service, event_service, link_service, mail_queue, password_service
from services.errors import EmailAlreadyExistsError, UsedTokenError
from services.event_service import Event
from services.mail_kinds import INVITATION
from services.token_claims import Claims
from services.token_service import INVITE


def invite(email: str, role: str = USER, **fields: Any) -> User:
    """Create a user without a password, and mail a link that sets it.

    Raises:
        EmailAlreadyExistsError
    """
    ensure_indexes(User)
    user = User(email=email, password="", role=role, invited_at=time.time(), **fields)
    if not email_service.insert(user):
        raise EmailAlreadyExistsError
    event_service.record(Event.USER_INVITED, user_id=user.id)
    mail_queue.enqueue_to(user, INVITATION)
    return user


def open_invitation(token: str) -> tuple[User, Claims]:
    """Return the invited user of a token, and its claims; the token stays valid.

    Raises:
        ExpiredTokenError, UsedTokenError, BadTokenError
    """
    return link_service.open_current_link(token, INVITE)


def accept(user: User, password: str) -> None:
    """Set the first password of a user as open_invitation read it, and verify the email.

    Raises:
        UsedTokenError: the invitation was accepted meanwhile.
        ServiceUnavailableError
    """
    hashed = password_service.hash_password(password)
    changes = {"password": hashed, "verified_at": time.time()}
    if not user.change_credentials(changes, {"invited_at": user.invited_at}, {}):
        raise UsedTokenError
    event_service.record(Event.INVITATION_ACCEPTED, user_id=user.id)
