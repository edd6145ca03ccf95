"""Signing up and logging in."""

import time
from collections.abc import Sequence
from typing import Any

from flask import current_app, g

from config import REQUIRED
from database.db import ensure_indexes
from database.models import USER, User
from services import (
    device_service,
    email_service,
    event_service,
    factor_service,
    link_service,
    mail_queue,
    passkey_service,
    password_service,
    session_service,
    token_service,
)
from services.errors import AccountDisabledError, EmailAlreadyExistsError, UnauthorizedError
from services.event_service import Event
from services.mail_kinds import CONFIRM_EMAIL, SIGNED_UP_AGAIN
from services.session_service import BY_CODE, BY_PASSKEY, BY_PASSWORD, Tokens
from services.token_service import MFA

UNVERIFIED = "Invalid username or password, or the address is not confirmed yet"


def sign_up(
    email: str, password: str, *, role: str = USER, is_verified: bool = False, **fields: Any
) -> User:
    """Create a user from fields that were validated, and mail a link that confirms the email.

    If several signups use one email at once, the unique index lets one succeed.

    Raises:
        EmailAlreadyExistsError
    """
    ensure_indexes(User)  # once per process; at its start the database may have been away
    hashed = password_service.hash_password(password)
    verified_at = time.time() if is_verified else None
    user = User(email=email, password=hashed, role=role, verified_at=verified_at, **fields)
    if not email_service.insert(user):
        raise EmailAlreadyExistsError
    event_service.record(Event.SIGNUP, user_id=user.id, verifies=is_verified)
    email_service.confirm_new_user(user)
    return user


def register(email: str, password: str, **fields: Any) -> User | None:
    """Create a user for an anonymous request and return it.

    Where emails must be verified, return None in any case: the response must not tell who has an
    account. The user who has the email is notified.

    Raises:
        EmailAlreadyExistsError: and emails need not be verified.
    """
    if not is_verification_required():
        return sign_up(email, password, **fields)
    may_notify = mail_queue.may_send(SIGNED_UP_AGAIN, email)  # in any case, because it takes time
    try:
        sign_up(email, password, **fields)
    except EmailAlreadyExistsError:
        event_service.record(Event.SIGNUP_REPEATED, email=email)
        if may_notify:
            mail_queue.enqueue(SIGNED_UP_AGAIN, email)
    return None


def is_verification_required() -> bool:
    """Return whether only users with a verified email may log in."""
    return bool(current_app.config["EMAIL_VERIFICATION"] == REQUIRED)


def log_in(email: str, password: str, user_agent: str) -> Tokens:
    """Verify email and password and return the tokens of a new session.

    An unknown email and a wrong password get the same response in the same time; where emails must
    be verified, one that is not gets it too.

    Raises:
        UnauthorizedError
        SecondFactorRequiredError: the user has one, so that log_in_by_code follows.
    """
    user = User.get_by_email(email) or User(email=email)  # without id and password, built as slowly
    if not password_service.verify_password(user, password):
        event_service.record(Event.LOGIN_FAILED, user_id=user.id, email=email)
        raise _refuse(email, is_right=False)
    password_service.upgrade_hash(user, password)
    return open_session(user, user_agent, BY_PASSWORD)


def log_in_by_code(mfa_token: str, user_agent: str, **code: str) -> Tokens:
    """Return the tokens of a new session for the token of log_in and a `code` or `recovery_code`.

    Raises:
        UnauthorizedError: the code is wrong, or was used.
        ExpiredTokenError, UsedTokenError, BadTokenError, TooManyRequestsError, ConflictError
    """
    claims = token_service.decode(mfa_token, MFA)
    user = link_service.find_user(claims["sub"])
    if not factor_service.use_code_of_login(user, claims, **code):
        event_service.record(Event.CODE_REFUSED, user_id=user.id)
        raise UnauthorizedError
    return open_session(user, user_agent, BY_CODE)


def log_in_by_passkey(credential: dict[str, Any], user_agent: str) -> Tokens:
    """Return the tokens of a new session for a passkey that has signed a challenge.

    Raises:
        UnauthorizedError
    """
    return open_session(passkey_service.verify_login(credential), user_agent, BY_PASSKEY)


def _refuse(email: str, is_right: bool) -> UnauthorizedError:
    """Return the error of a refused login; where emails must be verified, mail the link again.

    A wrong password costs a job too, which sends nothing: the time must not tell what was wrong.
    """
    if not is_verification_required():
        return UnauthorizedError()
    if mail_queue.may_send(CONFIRM_EMAIL, email):
        decoy = {} if is_right else {"decoy": "wrong password"}
        mail_queue.enqueue(CONFIRM_EMAIL, email, **decoy)
    return UnauthorizedError(UNVERIFIED)


def open_session(user: User, user_agent: str, amr: Sequence[str]) -> Tokens:
    """Create a session for a user who has authenticated by `amr`; every way to log in ends here.

    Raises:
        AccountDisabledError
        UnauthorizedError: the email must be verified first, or the password changed meanwhile.
        SecondFactorRequiredError
    """
    if user.is_disabled:
        event_service.record(Event.LOGIN_DISABLED, user_id=user.id)
        raise AccountDisabledError
    if is_verification_required() and not user.is_verified:
        event_service.record(Event.LOGIN_UNVERIFIED, user_id=user.id)
        raise _refuse(user.email, is_right=True)
    if user.has_totp and amr not in (BY_CODE, BY_PASSKEY):
        event_service.record(Event.SECOND_FACTOR_REQUIRED, user_id=user.id)
        raise factor_service.code_required(user)
    try:
        tokens = session_service.create(user, user_agent, amr)
    except UnauthorizedError:  # the password was changed meanwhile
        raise _refuse(user.email, is_right=False) from None
    event_service.record(Event.LOGIN, user_id=user.id, amr=",".join(amr))
    device_service.note_login(user, user_agent, g.get("client_ip", ""))
    return tokens
