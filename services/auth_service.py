"""Signing up and logging in."""

from mongoengine import NotUniqueError

from database.db import ensure_indexes
from database.models import USER, User
from services import event_service, password_service, session_service
from services.errors import EmailAlreadyExistsError, UnauthorizedError
from services.event_service import Event
from services.session_service import Tokens


def sign_up(email: str, password: str, name: str | None = None, role: str = USER) -> User:
    """Create a user from fields that were validated.

    If several signups use one email at once, the unique index lets one succeed.

    Raises:
        EmailAlreadyExistsError
    """
    ensure_indexes(User)  # once per process; at its start the database may have been away
    hashed = password_service.hash_password(password)
    user = User(email=email, password=hashed, name=name, role=role)
    try:
        user.save(force_insert=True)
    except NotUniqueError:
        raise EmailAlreadyExistsError from None
    event_service.record(Event.SIGNUP, user_id=user.id)
    return user


def log_in(email: str, password: str, user_agent: str) -> Tokens:
    """Verify email and password and return the tokens of a new session.

    An unknown email and a wrong password get the same response in the same time.

    Raises:
        UnauthorizedError
    """
    user = User.get_by_email(email) or User(email=email)  # without id and password, built as slowly
    if not password_service.verify_password(user, password):
        event_service.record(Event.LOGIN_FAILED, user_id=user.id, email=email)
        raise UnauthorizedError
    password_service.upgrade_hash(user, password)
    return open_session(user, user_agent)


def open_session(user: User, user_agent: str) -> Tokens:
    """Create a session for an authenticated user; every way to log in ends here."""
    tokens = session_service.create(user, user_agent)
    event_service.record(Event.LOGIN, user_id=user.id)
    return tokens
