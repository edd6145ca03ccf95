"""Accounts and sessions."""

from functools import wraps
from typing import Any

from flask import request
from flask_restful import Resource

from database.models import User
from resources.schemas import Decorator, LoginSchema, SignupSchema, View, accepts
from services import auth_service, session_service, token_service
from services.errors import MissingTokenError
from services.session_service import Tokens
from services.token_service import ACCESS, REFRESH, Claims

NO_STORE = {"Cache-Control": "no-store"}


def bearer_token() -> str:
    """Return the token of the Authorization header; raises MissingTokenError."""
    words = request.headers.get("Authorization", "").split()
    if len(words) != 2 or words[0].lower() != "bearer":
        raise MissingTokenError
    return words[1]


def bearer(*scopes: str) -> Decorator:
    """Open a view to tokens of these scopes; it gets their claims, its service does the rest."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **path: Any) -> Any:
            return view(*args, **path, claims=token_service.read(bearer_token(), *scopes))

        return guarded

    return decorate


def protected(view: View) -> View:
    """Open a view to the access tokens of living sessions, and pass it user and claims."""

    @wraps(view)
    @bearer(ACCESS)
    def guarded(*args: Any, claims: Claims, **path: Any) -> Any:
        return view(*args, **path, user=session_service.authenticate(claims), claims=claims)

    return guarded


class Signup(Resource):
    """New accounts."""

    @accepts(SignupSchema)
    def post(self, email: str, password: str, name: str | None = None) -> dict[str, str]:
        """Create an account."""
        user = auth_service.sign_up(email, password, name)
        return {"id": str(user.id), "message": "Welcome! You can log in now"}


class Login(Resource):
    """New sessions."""

    @accepts(LoginSchema)
    def post(self, email: str, password: str) -> tuple[Tokens, int, dict[str, str]]:
        """Trade an address and its password for an access and a refresh token."""
        return auth_service.log_in(email, password), 200, NO_STORE


class Refresh(Resource):
    """Sessions that go on."""

    @bearer(REFRESH)
    @accepts()
    def post(self, claims: Claims) -> tuple[Tokens, int, dict[str, str]]:
        """Trade a refresh token for the next pair; the pair it came from is dead."""
        return session_service.rotate(claims), 200, NO_STORE


class Verify(Resource):
    """What an access token is worth."""

    @protected
    @accepts()
    def get(self, user: User, claims: Claims) -> dict[str, Any]:
        """Say whose token it is and how many seconds it lives."""
        life = {"expires_in": token_service.seconds_left(claims), "message": "Token is valid"}
        return {"id": str(user.id), "email": user.email, **life}


class Logout(Resource):
    """Sessions that end."""

    @bearer(ACCESS, REFRESH)
    @accepts()
    def delete(self, claims: Claims) -> dict[str, str]:
        """End the session: both of its tokens are dead."""
        session_service.end(claims)
        return {"message": "Logged out"}
