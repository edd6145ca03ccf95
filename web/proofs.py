"""What a view asks of its user besides a session: a role, a verified email, a recent proof.

The decorators belong below `requires_user`, except `requires_admin` and `requires_session`, which
are in its place.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from services import errors, session_grace, session_service
from services.token_claims import Claims
from services.token_service import ACCESS
from web.decorators import requires_token, requires_user
from web.operation import Decorator, View, guard

Condition = Callable[[dict[str, Any]], bool]


def recent_session_if(is_needed: Condition) -> Decorator:
    """Require that the user has proved who they are in the last minutes, where is_needed says so.

    It gets the arguments of the view: below `body`, the fields are among them.
    REAUTHENTICATE_SECONDS says how long ago the login or the reauthentication may be.
    """

    def check(arguments: dict[str, Any]) -> None:
        if is_needed(arguments):
            session_service.require_recent(arguments["claims"])

    return guard(check, errors.ReauthenticationRequiredError)


recent_session = recent_session_if(lambda _: True)


def has_totp(arguments: dict[str, Any]) -> bool:
    """Return whether the user of a view has a second factor, for recent_session_if."""
    return bool(arguments["user"].has_totp)


def _check_verified(arguments: dict[str, Any]) -> None:
    if not arguments["user"].is_verified:
        raise errors.EmailNotVerifiedError


# Refuses users who have not proved that the email is theirs.
requires_verified_email = guard(_check_verified, errors.EmailNotVerifiedError)


def _check_admin(arguments: dict[str, Any]) -> None:
    if not arguments["user"].is_admin:
        raise errors.ForbiddenError


def requires_admin(view: View) -> View:
    """Accept access tokens of admins and pass user and claims to the view."""
    return requires_user(guard(_check_admin, errors.ForbiddenError)(view))


def requires_session(view: View) -> View:
    """Accept what `requires_user` accepts, and pass whose the token is; it reads less."""

    @requires_token(ACCESS)
    @wraps(view)
    def wrapper(*args: Any, claims: Claims, **arguments: Any) -> Any:
        return view(*args, **arguments, owner=session_grace.verify(claims))

    return wrapper
