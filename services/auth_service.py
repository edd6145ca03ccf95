"""Accounts: signing up and logging in."""

from mongoengine import NotUniqueError

from database.db import ensure_indexes
from database.models import User
from services import password_service, session_service
from services.errors import EmailAlreadyExistsError, UnauthorizedError
from services.session_service import Tokens


def sign_up(email: str, password: str, name: str | None = None) -> User:
    """Create an account.

    Raises SchemaValidationError for a weak password, EmailAlreadyExistsError for an address
    that has one; of any number at once one wins, by the unique index.
    """
    password_service.check_policy(password, email, name)
    ensure_indexes()
    user = User(email=email, password=password_service.hash_password(password), name=name)
    try:
        user.save(force_insert=True)
    except NotUniqueError:
        raise EmailAlreadyExistsError from None
    return user


def log_in(email: str, password: str) -> Tokens:
    """Begin a session and return its tokens; raises UnauthorizedError.

    An unknown address and a wrong password are one answer, in one time.
    """
    user = User.objects(email=email).exclude("sessions").first()
    if not password_service.is_password_of(user, password):
        raise UnauthorizedError
    return session_service.begin(user)
