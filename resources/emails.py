"""Emails of users: confirmed, changed, restored."""

from flask_restful import Resource

from database.models import User
from schemas.auth import EmailSchema
from schemas.base import MessageSchema
from schemas.emails import ChangeEmailSchema, ConfirmTokenSchema, EmailDoneSchema, UndoTokenSchema
from services import email_change_service, email_service, errors
from services.token_claims import Claims
from services.token_service import CHANGE, CONFIRM, UNDO
from web.decorators import body, requires_user, response, token_in_body_or_header
from web.proofs import has_totp, recent_session_if
from web.rate_limits import limit_by_email, limit_by_ip

confirm_token = token_in_body_or_header(
    "confirm_token", email_service.open_confirmation, CONFIRM, CHANGE
)
undo_token = token_in_body_or_header("undo_token", email_change_service.open_undo, UNDO)


class ConfirmEmail(Resource):
    """Proofs that an email is a user's."""

    @limit_by_ip("RESET")
    @confirm_token
    @body(ConfirmTokenSchema)
    @response(
        EmailDoneSchema, errors.EmailAlreadyExistsError, errors.ConflictError, name="confirmEmail"
    )
    def post(self, user: User, claims: Claims) -> dict[str, str]:
        """Confirm the email of a signup, or a change of the email, with the token from the mail.

        The same token may confirm again. Nobody is logged in.
        """
        email = email_service.confirm(user, claims)
        return {"message": "Email is confirmed", "email": email}


class RejectEmail(Resource):
    """Statements that an email is somebody else's than the user's."""

    @limit_by_ip("RESET")
    @confirm_token
    @body(ConfirmTokenSchema)
    @response(MessageSchema, errors.LastAdminError, name="rejectEmail")
    def post(self, user: User, claims: Claims) -> dict[str, str]:
        """Say "this was not me" with the token from the mail.

        An account that was never verified is deleted, a change of the email dropped.
        """
        email_service.reject(user, claims)
        return {"message": "Thank you: this address is not used"}


class ResendConfirmation(Resource):
    """Further emails with the link."""

    @limit_by_ip("FORGOT")
    @body(EmailSchema)
    @limit_by_email("FORGOT")
    @response(MessageSchema, name="resendConfirmation")
    def post(self, email: str) -> dict[str, str]:
        """Request an email with a link that confirms the email of a signup."""
        email_service.request_confirmation(email)
        # The same response for everyone, so that nobody learns who has an account.
        return {"message": "If that address waits to be confirmed, a link is on its way"}


class ChangeEmail(Resource):
    """Changes of the email."""

    @limit_by_ip("FORGOT")
    @requires_user
    @recent_session_if(has_totp)
    @body(ChangeEmailSchema)
    @limit_by_email("FORGOT")
    @response(
        MessageSchema,
        errors.ConflictError,
        name="changeEmail",
    )
    def put(
        self, user: User, claims: Claims, email: str, current_password: str | None = None
    ) -> dict[str, str]:
        """Request another email; it replaces the user's once the link that is mailed to it is used.

        Needs the current password, or a recent session; of a user with a second factor the latter.
        """
        email_change_service.request_change(user, claims, email, current_password)
        return {"message": "A link that confirms the new address is on its way to it"}


class UndoChange(Resource):
    """The way back from a change of the email."""

    @limit_by_ip("RESET")
    @undo_token
    @body(UndoTokenSchema)
    @response(
        EmailDoneSchema,
        errors.EmailAlreadyExistsError,
        errors.ConflictError,
        name="undoEmailChange",
    )
    def post(self, user: User, claims: Claims) -> dict[str, str]:
        """Restore the email from before a change with the token from the notice.

        Every session is revoked and the password can't be used: a link that sets a new one is
        mailed.
        """
        email = email_change_service.undo(user, claims)
        return {"message": "The address is restored; set a new password", "email": email}
