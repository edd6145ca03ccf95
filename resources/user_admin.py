"""What operators do for a user besides changing them: sessions, a reset link."""

from flask_restful import Resource

from database.models import Stored, User
from schemas.auth import SessionSchema
from schemas.base import MessageSchema
from services import errors, session_service, user_service
from services.token_claims import Claims
from web.cookies import remove_cookie
from web.decorators import no_input, response
from web.proofs import recent_session, requires_admin
from web.rate_limits import limit_by_user


class UserSessions(Resource):
    """The sessions of a user."""

    @requires_admin
    @no_input
    @response(SessionSchema, errors.UserNotExistsError, many=True, name="listUserSessions")
    def get(self, user: User, claims: Claims, user_id: str) -> list[Stored]:
        """List the sessions of a user, newest first.

        For admins only.
        """
        return session_service.list_active(user_service.get(user_id), claims["sid"])

    @requires_admin
    @recent_session
    @no_input
    @response(MessageSchema, errors.UserNotExistsError, name="revokeUserSessions")
    def delete(self, user: User, claims: Claims, user_id: str) -> dict[str, str]:
        """Revoke every session of a user, and drop a change of the email that waits.

        For admins only.
        """
        session_service.revoke_all(user_service.get(user_id))
        remove_cookie(is_own=user_id == str(user.id))
        return {"message": "All sessions of the user have ended"}


class UserReset(Resource):
    """A reset link for a user."""

    @requires_admin
    @limit_by_user("WRITES")
    @no_input
    @response(
        MessageSchema, errors.UserNotExistsError, errors.ConflictError, name="mailUserResetLink"
    )
    def post(self, user: User, claims: Claims, user_id: str) -> dict[str, str]:
        """Mail a user a link that sets a new password, or a pending invitation once more.

        For admins only.
        """
        user_service.mail_reset_link(user_service.get(user_id))
        return {"message": "A link is on its way"}
