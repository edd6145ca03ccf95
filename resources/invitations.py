"""Invitations of users, who set their first password."""

from flask_restful import Resource

from database.models import User
from schemas.emails import EmailDoneSchema
from schemas.invitations import AcceptInvitationSchema
from services import invitation_service
from services.token_claims import Claims
from services.token_service import INVITE
from web.decorators import body, response, token_in_body_or_header
from web.rate_limits import limit_by_ip


class AcceptInvitation(Resource):
    """First passwords."""

    @limit_by_ip("RESET")
    @token_in_body_or_header("invite_token", invitation_service.open_invitation, INVITE)
    @body(AcceptInvitationSchema)
    @response(EmailDoneSchema, name="acceptInvitation")
    def post(self, user: User, claims: Claims, password: str) -> dict[str, str]:
        """Set the first password with the token of an invitation; the email is verified by it.

        Nobody is logged in.
        """
        invitation_service.accept(user, password)
        return {"message": "Welcome! You can log in now", "email": user.email}
