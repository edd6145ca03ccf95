"""Forgotten passwords."""

from flask import request
from flask_restful import Resource

from resources.answers import HasBeenResetSchema, MessageSchema
from resources.limits import per_address, per_ip
from resources.request import accepts, answers, bearer_token, may_bear
from resources.schemas import EmailSchema, ResetSchema
from services import password_service
from services.errors import SchemaValidationError, UsedTokenError
from services.token_service import PWD_RESET


class ForgotPassword(Resource):
    """Links to a new password."""

    @per_ip("FORGOT")
    @accepts(EmailSchema)
    @per_address("FORGOT")
    @answers(MessageSchema)
    def post(self, email: str) -> dict[str, str]:
        """Ask for a mail with a link that sets a new password."""
        password_service.request_reset(email)
        # The same answer for everyone: nobody learns here who has an account.
        return {"message": "If an account exists for that address, a reset link is on its way"}


class ResetPassword(Resource):
    """New passwords for forgotten ones."""

    @per_ip("RESET")
    @may_bear(PWD_RESET)
    @accepts(ResetSchema)
    @answers(HasBeenResetSchema, UsedTokenError)
    def post(self, password: str, reset_token: str | None = None) -> dict[str, str]:
        """Set a new password with the token from the mail; every session of the user ends."""
        user = password_service.reset(reset_token or _bearer_reset_token(), password)
        return {"message": "Password has been reset", "email": user.email}


def _bearer_reset_token() -> str:
    if "Authorization" not in request.headers:
        raise SchemaValidationError(errors={"reset_token": ["Missing data for required field."]})
    return bearer_token()
