"""Forgotten passwords."""

from typing import Any

from flask_restful import Resource

from database.factors import describe_factors
from database.models import User
from schemas.auth import EmailSchema, ResetDoneSchema, ResetPasswordSchema
from schemas.base import MessageSchema
from services import password_service
from services.token_claims import Claims
from services.token_service import PWD_RESET
from web.decorators import body, response, token_in_body_or_header
from web.rate_limits import limit_by_email, limit_by_ip


class ForgotPassword(Resource):
    """Password reset emails."""

    @limit_by_ip("FORGOT")
    @body(EmailSchema)
    @limit_by_email("FORGOT")
    @response(MessageSchema, name="requestPasswordReset")
    def post(self, email: str) -> dict[str, str]:
        """Request an email with a link that sets a new password."""
        password_service.request_reset(email)
        # The same response for everyone, so that nobody learns who has an account.
        return {"message": "If an account exists for that address, a reset link is on its way"}


class ResetPassword(Resource):
    """New passwords for forgotten ones."""

    @limit_by_ip("RESET")
    @token_in_body_or_header("reset_token", password_service.open_reset_link, PWD_RESET)
    @body(ResetPasswordSchema)
    @response(ResetDoneSchema, name="resetPassword")
    def post(self, user: User, claims: Claims, password: str) -> dict[str, Any]:
        """Set a new password with the token from the email; every session is revoked.

        A second factor and passkeys stay, and nobody is logged in.
        """
        password_service.reset_password(user, password)
        message = "Password has been reset"
        return {"message": message, "email": user.email, "factors": describe_factors(user)}
