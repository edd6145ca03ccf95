"""Reauthentication: users prove once more who they are, before what an intruder would do first.

A thief of an access token can't (OWASP ASVS 5.0, 7.5).
"""

from typing import Any

from database.models import User
from services import factor_service, passkey_service, password_service, session_service
from services.session_service import BY_CODE, BY_PASSKEY, BY_PASSWORD, Tokens
from services.token_claims import Claims


def reauthenticate(
    user: User,
    claims: Claims,
    current_password: str | None = None,
    code: str | None = None,
    credential: dict[str, Any] | None = None,
) -> Tokens:
    """Verify what a user gives and return the next pair; the pair before is revoked at once.

    A user with a second factor gives a code or a passkey: a password alone is not even verified.

    Raises:
        SchemaValidationError: it is missing or wrong.
        TooManyRequestsError, SessionEndedError, SupersededTokenError, ConflictError
    """
    if credential is not None:
        passkey_service.verify_own(user, credential)
        return session_service.reauthenticate(user, claims, BY_PASSKEY)
    if user.has_totp or code is not None:
        factor_service.verify_code(user, code)
        return session_service.reauthenticate(user, claims, BY_CODE)
    password_service.verify_current_password(user, current_password)
    return session_service.reauthenticate(user, claims, BY_PASSWORD)
