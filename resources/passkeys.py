"""Passkeys: added, used to log in, renamed, removed."""

from typing import Any

from flask import g
from flask_restful import Resource

from database.models import User
from database.passkeys import Passkey
from resources.auth import LOGIN_ERRORS
from schemas.base import MessageSchema
from schemas.passkeys import (
    LoginOptionsSchema,
    LoginPasskeySchema,
    NewPasskeySchema,
    PasskeyNameSchema,
    PasskeySchema,
    RegistrationOptionsSchema,
)
from services import auth_service, errors, passkey_service
from services.session_service import Tokens
from services.token_claims import Claims
from web.decorators import body, no_input, requires_user, response
from web.proofs import recent_session, requires_verified_email
from web.rate_limits import limit_by_ip, limit_by_user
from web.token_response import token_response


class PasskeyOptions(Resource):
    """What a device needs to make a passkey."""

    @limit_by_ip("LOGIN")
    @requires_user
    @requires_verified_email
    @recent_session
    @no_input
    @response(RegistrationOptionsSchema, name="startPasskey")
    def post(self, user: User, claims: Claims) -> dict[str, Any]:
        """Return the options for `navigator.credentials.create()`, valid once for 5 minutes."""
        return passkey_service.registration_options(user)


class Passkeys(Resource):
    """The passkeys of a user."""

    @requires_user
    @no_input
    @response(PasskeySchema, many=True, name="listPasskeys")
    def get(self, user: User, claims: Claims) -> list[Passkey]:
        """List the passkeys of the user, oldest first."""
        return list(Passkey.find_all(user))

    @requires_user
    @requires_verified_email
    @recent_session
    @body(NewPasskeySchema)
    @limit_by_user("WRITES")
    @response(
        PasskeySchema, errors.ConflictError, name="addPasskey", location="/api/auth/passkeys/{id}"
    )
    def post(
        self, user: User, claims: Claims, credential: dict[str, Any], name: str | None = None
    ) -> Passkey:
        """Add the passkey that a device has made."""
        return passkey_service.register(user, claims, credential, name)


class PasskeyApi(Resource):
    """One passkey of a user."""

    @requires_user
    @no_input
    @response(PasskeySchema, errors.PasskeyNotExistsError, name="getPasskey")
    def get(self, user: User, claims: Claims, passkey_id: str) -> Passkey:
        """Return the passkey."""
        return passkey_service.get(user, passkey_id)

    @requires_user
    @body(PasskeyNameSchema)
    @limit_by_user("WRITES")
    @response(PasskeySchema, errors.PasskeyNotExistsError, name="renamePasskey")
    def patch(self, user: User, claims: Claims, passkey_id: str, name: str) -> Passkey:
        """Change the name."""
        return passkey_service.rename(user, passkey_id, name)

    @requires_user
    @recent_session
    @no_input
    @limit_by_user("WRITES")
    @response(MessageSchema, errors.PasskeyNotExistsError, name="removePasskey")
    def delete(self, user: User, claims: Claims, passkey_id: str) -> dict[str, str]:
        """Remove the passkey."""
        passkey_service.remove(user, passkey_id)
        return {"message": "The passkey is removed"}


class LoginPasskeyOptions(Resource):
    """What a device needs to log in."""

    @limit_by_ip("LOGIN")
    @no_input
    @response(LoginOptionsSchema, name="startPasskeyLogin")
    def post(self) -> dict[str, Any]:
        """Return the options for `navigator.credentials.get()`, valid once for 5 minutes."""
        return passkey_service.login_options()


class LoginPasskey(Resource):
    """Logins without a password."""

    @limit_by_ip("LOGIN")
    @body(LoginPasskeySchema)
    @token_response(*LOGIN_ERRORS, name="loginWithPasskey")
    def post(self, credential: dict[str, Any]) -> Tokens:
        """Exchange what a device has signed for tokens; it stands for both factors."""
        return auth_service.log_in_by_passkey(credential, g.user_agent)
