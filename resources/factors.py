"""The second factor, and reauthentication."""

from typing import Any

from flask import g
from flask_restful import Resource

from database.factors import describe_factors
from database.models import User
from resources.auth import LOGIN_ERRORS
from schemas.base import MessageSchema
from schemas.factors import (
    CodeSchema,
    FactorsSchema,
    LoginCodeSchema,
    ReauthenticateSchema,
    RecoveryCodesSchema,
    TotpSchema,
)
from services import auth_service, errors, factor_service, reauthentication_service
from services.session_service import Tokens
from services.token_claims import Claims
from web.decorators import TOKEN_ERRORS, body, no_input, requires_user, response
from web.proofs import recent_session, requires_verified_email
from web.rate_limits import limit_by_ip, limit_by_user
from web.token_response import token_response


class LoginCode(Resource):
    """The second step of a login."""

    @limit_by_ip("LOGIN")
    @body(LoginCodeSchema)
    @token_response(
        *TOKEN_ERRORS[1:],
        *LOGIN_ERRORS,
        errors.UsedTokenError,
        errors.ConflictError,
        name="loginWithCode",
    )
    def post(self, mfa_token: str, **code: str) -> Tokens:
        """Exchange the `mfa_token` of a login, and a code or a recovery code, for tokens."""
        return auth_service.log_in_by_code(mfa_token, g.user_agent, **code)


class Reauthenticate(Resource):
    """Proofs that a request is the user's."""

    @requires_user
    @body(ReauthenticateSchema)
    @token_response(errors.TooManyRequestsError, errors.ConflictError, name="reauthenticate")
    def post(self, user: User, claims: Claims, **proof: Any) -> Tokens:
        """Prove who you are, by password, code or passkey, and get the next pair of tokens.

        The pair before is revoked at once. A user with a second factor gives a code or a passkey.
        """
        return reauthentication_service.reauthenticate(user, claims, **proof)


class Factors(Resource):
    """The ways to log in besides the password."""

    @requires_user
    @no_input
    @response(FactorsSchema, name="getFactors")
    def get(self, user: User, claims: Claims) -> dict[str, Any]:
        """Return whether a second factor is on, and how many passkeys and codes there are."""
        return describe_factors(user)


class Totp(Resource):
    """Codes of an authenticator app as second factor."""

    @requires_user
    @requires_verified_email
    @recent_session
    @no_input
    @limit_by_user("WRITES")
    @response(TotpSchema, errors.ConflictError, errors.ServiceUnavailableError, name="startTotp")
    def post(self, user: User, claims: Claims) -> dict[str, str]:
        """Return a secret for an authenticator app; it is in force once a code confirms it."""
        return factor_service.start_totp(user, claims)

    @requires_user
    @recent_session
    @no_input
    @limit_by_user("WRITES")
    @response(MessageSchema, errors.ConflictError, name="removeTotp")
    def delete(self, user: User, claims: Claims) -> dict[str, str]:
        """Remove the second factor and its recovery codes."""
        factor_service.remove_totp(user)
        return {"message": "The second factor is off"}


class ConfirmTotp(Resource):
    """The last step of adding a second factor."""

    @requires_user
    @requires_verified_email
    @body(CodeSchema)
    @response(
        RecoveryCodesSchema, errors.ConflictError, errors.TooManyRequestsError, name="confirmTotp"
    )
    def post(self, user: User, claims: Claims, code: str) -> dict[str, list[str]]:
        """Put the second factor in force and return recovery codes, which are shown once.

        Every other session is revoked.
        """
        return {"recovery_codes": factor_service.confirm_totp(user, claims, code)}


class RecoveryCodes(Resource):
    """Codes for users who have lost their authenticator app."""

    @requires_user
    @recent_session
    @no_input
    @limit_by_user("WRITES")
    @response(RecoveryCodesSchema, errors.ConflictError, name="renewRecoveryCodes")
    def post(self, user: User, claims: Claims) -> dict[str, list[str]]:
        """Replace the recovery codes, and return the new ones, which are shown once."""
        return {"recovery_codes": factor_service.renew_recovery_codes(user)}
