"""Users and sessions created without HTTP, where a test needs many."""

from functools import cache

from flask import Flask

from database.models import USER, User
from infra import password_hashing
from services import auth_service
from services.session_service import BY_PASSWORD, Tokens
from tests.support.client import ADA


@cache
def hash_of_password() -> str:
    """Return a hash of Ada's password, of as many rounds as the tests' application has."""
    return password_hashing.hash_password(ADA["password"], rounds=4)


def create_user(email: str, role: str = USER) -> User:
    """Create a user whose password is Ada's."""
    return User(email=email, password=hash_of_password(), role=role).save()


def create_session(app: Flask, user: User) -> Tokens:
    """Return the tokens of a new session of user."""
    with app.app_context():
        return auth_service.open_session(user, "", BY_PASSWORD)
