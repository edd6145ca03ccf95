"""What a view asks of its user besides a session: a verified email, a recent proof of who they are.

These decorators belong below `requires_user`.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from database.models import User
from services import errors, session_service
from web.decorators import Decorator
from web.operation import View, note

Condition = Callable[[dict[str, Any]], bool]


def requires_verified_email(view: View) -> View:
    """Refuse users who have not proved that the email is theirs."""

    @wraps(view)
    def wrapper(*args: Any, user: User, **arguments: Any) -> Any:
        if not user.is_verified:
            raise errors.EmailNotVerifiedError
        return view(*args, user=user, **arguments)

    return note(wrapper, errors=(errors.EmailNotVerifiedError,))


def recent_session(view: View) -> View:
    """Require that the user has proved who they are in the last minutes."""
    return recent_session_if(lambda _: True)(view)


def recent_session_if(is_needed: Condition) -> Decorator:
    """Require it where the arguments of the view say so: below `body`, its fields are among them.

    REAUTHENTICATE_SECONDS says how long ago the login or the reauthentication may be.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **arguments: Any) -> Any:
            if is_needed(arguments):
                session_service.require_recent(arguments["claims"])
            return view(*args, **arguments)

        return note(wrapper, errors=(errors.ReauthenticationRequiredError,))

    return decorate


def has_totp(arguments: dict[str, Any]) -> bool:
    """Return whether the user of a view has a second factor, for recent_session_if."""
    return bool(arguments["user"].has_totp)
