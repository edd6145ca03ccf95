"""Accounts: signing up, logging in, and changing a password that is known."""

from flask import current_app
from mongoengine import NotUniqueError

from database.db import ensure_indexes
from database.models import USER, User
from services import (
    account_sessions,
    audit,
    mail_service,
    outbox,
    password_service,
    session_service,
)
from services.errors import EmailAlreadyExistsError, UnauthorizedError
from services.session_service import Tokens
from services.token_service import Claims


def sign_up(email: str, password: str, name: str | None = None, role: str = USER) -> User:
    """Create an account.

    Raises SchemaValidationError for a weak password, EmailAlreadyExistsError for an address
    that has one; of any number at once one wins, by the unique index.
    """
    password_service.check_policy(password, email, name)
    ensure_indexes(User)
    hashed = password_service.hash_password(password)
    user = User(email=email, password=hashed, name=name, role=role)
    try:
        user.save(force_insert=True)
    except NotUniqueError:
        raise EmailAlreadyExistsError from None
    audit.record("signup", user_id=user.id)
    return user


def log_in(email: str, password: str, user_agent: str) -> Tokens:
    """Begin a session and return its tokens; raises UnauthorizedError.

    An unknown address and a wrong password are one answer, in one time. A hash of fewer than
    BCRYPT_LOG_ROUNDS is replaced.
    """
    user = User.with_email(email)
    if not password_service.is_password_of(user, password) or user is None:
        audit.record("login_failed", user_id=user.id if user else "-", email=email)
        raise UnauthorizedError
    if password_service.rounds_of(user.password) < current_app.config["BCRYPT_LOG_ROUNDS"]:
        user.password = password_service.hash_password(password)
    tokens = session_service.begin(user, user_agent)
    audit.record("login", user_id=user.id)
    return tokens


def change_password(user: User, claims: Claims, current_password: str, password: str) -> None:
    """Replace the password; the session of claims lives on, every other one ends.

    One conditional update, of any number at once one wins; outstanding reset links die with the
    old version, and the owner gets a mail. Raises SchemaValidationError for a wrong current or a
    weak new password, BadTokenError when the session went on or ended meanwhile.
    """
    password_service.check_current(user, current_password)
    password_service.check_policy(password, user.email, user.name)
    hashed = password_service.hash_password(password)
    notice = outbox.put(mail_service.PASSWORD_CHANGED, user.email)
    if not account_sessions.keep_one(user, claims, hashed):
        outbox.take_back(notice)
        session_service.authenticate(claims)
        raise password_service.wrong_current("The password has just been changed.")
    audit.record("password_changed", user_id=user.id)
