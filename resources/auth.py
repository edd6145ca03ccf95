"""Accounts and sessions."""

from typing import Any

from flask import g
from flask_restful import Resource

from database.models import Stored, User
from schemas.auth import (
    ChangePasswordSchema,
    LoginSchema,
    RefreshTokenSchema,
    SessionSchema,
    SignedUpSchema,
    SignupSchema,
    VerifiedSchema,
)
from schemas.base import MessageSchema
from services import auth_service, errors, password_service, session_service
from services.session_service import Tokens
from services.token_claims import Claims
from services.token_service import ACCESS, REFRESH
from web.cookies import remove_cookie
from web.decorators import body, no_input, requires_token, requires_user, response
from web.languages import preferred_locale
from web.proofs import has_totp, recent_session, recent_session_if, requires_session
from web.rate_limits import limit_by_email, limit_by_ip, limit_by_user
from web.token_response import token_response

LOGIN_ERRORS = errors.UnauthorizedError, errors.AccountDisabledError, errors.ForbiddenError


class SignupApi(Resource):
    """New accounts."""

    @limit_by_ip("SIGNUP")
    @body(SignupSchema)
    @response(
        SignedUpSchema,
        errors.EmailAlreadyExistsError,
        name="signup",
        location="/api/users/{id}",
    )
    def post(self, **fields: str) -> dict[str, Any]:
        """Create an account."""
        user = auth_service.register(**{"locale": preferred_locale(), **fields})
        if user is None:
            return {"message": "Check your mail: a link that confirms your address is on its way"}
        return {"id": user.id, "message": "Welcome! You can log in now"}


class LoginApi(Resource):
    """New sessions."""

    @limit_by_ip("LOGIN")
    @body(LoginSchema)
    @limit_by_email("LOGIN")
    @token_response(*LOGIN_ERRORS, errors.SecondFactorRequiredError, name="login")
    def post(self, email: str, password: str) -> Tokens:
        """Exchange an email and its password for an access token and a refresh token.

        A user with a second factor gets a token for the next step instead.
        """
        return auth_service.log_in(email, password, g.user_agent)


class RefreshApi(Resource):
    """The exchange of refresh tokens."""

    @limit_by_ip("REFRESH")
    @requires_token(REFRESH, or_field="refresh_token")
    @body(RefreshTokenSchema)
    @token_response(errors.ForbiddenError, name="refresh")
    def post(self, claims: Claims, **_: str) -> Tokens:
        """Exchange a refresh token for the next pair; the previous pair is revoked.

        It is in the body, else the bearer token, else in the cookie of a login with `cookie`.
        """
        return session_service.refresh(claims, g.user_agent)


class VerifyApi(Resource):
    """The verification of access tokens."""

    @requires_session
    @no_input
    @response(VerifiedSchema, dump=dict, name="verify")
    def get(self, owner: dict[str, Any]) -> dict[str, Any]:
        """Verify an access token: return its user and for how many seconds it is valid."""
        return {**owner, "message": "Token is valid"}


class LogoutApi(Resource):
    """The end of a session."""

    @requires_token(ACCESS, REFRESH, or_field="refresh_token")
    @body(RefreshTokenSchema)
    @response(MessageSchema, errors.ForbiddenError, name="logout")
    def delete(self, claims: Claims, **_: str) -> dict[str, str]:
        """End the session: both of its tokens are revoked.

        A refresh token is read as by refresh. The cookie is removed.
        """
        session_service.log_out(claims)
        remove_cookie()
        return {"message": "Logged out"}


class SessionsApi(Resource):
    """The sessions of a user."""

    @requires_user
    @no_input
    @response(SessionSchema, many=True, name="listSessions")
    def get(self, user: User, claims: Claims) -> list[Stored]:
        """List the sessions of the user, newest first."""
        return session_service.list_active(user, claims["sid"])

    @requires_user
    @recent_session
    @no_input
    @response(MessageSchema, name="revokeAllSessions")
    def delete(self, user: User, claims: Claims) -> dict[str, str]:
        """Revoke every session of the user, this one included."""
        session_service.revoke_all(user)
        remove_cookie()
        return {"message": "Logged out everywhere"}


class SessionApi(Resource):
    """One session of a user."""

    @requires_user
    @recent_session_if(lambda given: given["session_id"] != given["claims"]["sid"])
    @no_input
    @response(MessageSchema, errors.SessionNotExistsError, name="revokeSession")
    def delete(self, user: User, claims: Claims, session_id: str) -> dict[str, str]:
        """Revoke a session of the user."""
        session_service.revoke(user, session_id)
        remove_cookie(is_own=session_id == claims["sid"])
        return {"message": "Session ended"}


class PasswordApi(Resource):
    """The change of a known password."""

    @requires_user
    @limit_by_user("PASSWORD")
    @recent_session_if(has_totp)
    @body(ChangePasswordSchema)
    @token_response(name="changePassword")
    def put(self, user: User, claims: Claims, current_password: str, password: str) -> Tokens:
        """Change the password; every other session and the previous pair are revoked."""
        return password_service.change_password(user, claims, current_password, password)
