"""Accounts and sessions."""

from typing import Any

from flask import request
from flask_restful import Resource

from database.models import User
from resources.answers import (
    MessageSchema,
    SessionSchema,
    TokensSchema,
    VerifiedSchema,
    WelcomeSchema,
)
from resources.limits import per_address, per_ip
from resources.request import accepts, answers, bearer, protected
from resources.schemas import ChangePasswordSchema, LoginSchema, SignupSchema
from services import account_sessions, auth_service, session_service, token_service
from services.errors import (
    EmailAlreadyExistsError,
    SessionNotExistsError,
    TooManyRequestsError,
    UnauthorizedError,
)
from services.session_service import Tokens
from services.token_service import ACCESS, REFRESH, Claims

NO_STORE = {"Cache-Control": "no-store"}


class Signup(Resource):
    """New accounts."""

    @per_ip("SIGNUP")
    @accepts(SignupSchema)
    @answers(WelcomeSchema, EmailAlreadyExistsError)
    def post(self, email: str, password: str, name: str | None = None) -> dict[str, str]:
        """Create an account."""
        user = auth_service.sign_up(email, password, name)
        return {"id": str(user.id), "message": "Welcome! You can log in now"}


class Login(Resource):
    """New sessions."""

    @per_ip("LOGIN")
    @accepts(LoginSchema)
    @per_address("LOGIN")
    @answers(TokensSchema, UnauthorizedError)
    def post(self, email: str, password: str) -> tuple[Tokens, int, dict[str, str]]:
        """Trade an address and its password for an access and a refresh token."""
        user_agent = request.headers.get("User-Agent", "")
        return auth_service.log_in(email, password, user_agent), 200, NO_STORE


class Refresh(Resource):
    """Sessions that go on."""

    @per_ip("REFRESH")
    @bearer(REFRESH)
    @accepts()
    @answers(TokensSchema)
    def post(self, claims: Claims) -> tuple[Tokens, int, dict[str, str]]:
        """Trade a refresh token for the next pair; the pair it came from is dead."""
        return session_service.rotate(claims), 200, NO_STORE


class Verify(Resource):
    """What an access token is worth."""

    @protected
    @accepts()
    @answers(VerifiedSchema)
    def get(self, user: User, claims: Claims) -> dict[str, Any]:
        """Say whose token it is and how many seconds it lives."""
        life = {"expires_in": token_service.seconds_left(claims), "message": "Token is valid"}
        return {"id": str(user.id), "email": user.email, **life}


class Logout(Resource):
    """Sessions that end."""

    @bearer(ACCESS, REFRESH)
    @accepts()
    @answers(MessageSchema)
    def delete(self, claims: Claims) -> dict[str, str]:
        """End the session: both of its tokens are dead."""
        session_service.end(claims)
        return {"message": "Logged out"}


class Sessions(Resource):
    """Where a user is logged in."""

    @protected
    @accepts()
    @answers(SessionSchema, many=True)
    def get(self, user: User, claims: Claims) -> list[dict[str, Any]]:
        """List the sessions of the user, the newest first."""
        return account_sessions.listed(user, claims)

    @protected
    @accepts()
    @answers(MessageSchema)
    def delete(self, user: User, claims: Claims) -> dict[str, str]:
        """End every session of the user, this one too."""
        account_sessions.end_all(user)
        return {"message": "Logged out everywhere"}


class OneSession(Resource):
    """One of the places where a user is logged in."""

    @protected
    @accepts()
    @answers(MessageSchema, SessionNotExistsError)
    def delete(self, user: User, claims: Claims, session_id: str) -> dict[str, str]:
        """End a session of the user."""
        account_sessions.end_one(user, session_id)
        return {"message": "Session ended"}


class Password(Resource):
    """The password of someone who knows it."""

    @protected
    @accepts(ChangePasswordSchema)
    @answers(MessageSchema, TooManyRequestsError)
    def put(
        self, user: User, claims: Claims, current_password: str, password: str
    ) -> dict[str, str]:
        """Change the password; every other session of the user ends."""
        auth_service.change_password(user, claims, current_password, password)
        return {"message": "Password has been changed"}
