"""Requests of invitations."""

from schemas.auth import NewPasswordSchema
from schemas.base import MailedTokenSchema
from schemas.fields import Token


class AcceptInvitationSchema(MailedTokenSchema, NewPasswordSchema):
    """The first password with the token of an invitation, which may be sent as a bearer token."""

    mailed_field = "invite_token"
    invite_token = Token()
