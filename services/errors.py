"""The named errors that a client may see; web.errors turns them into responses.

A docstring says when an error happens, then what a client should do.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Errors = dict[str, list[str]]

INCOMPLETE = "Request is missing required fields"
MISSING_FIELD = "Missing data for required field."
UNKNOWN_FIELD = "Unknown field."


class ApiError(Exception):
    """An error with its HTTP status and its message.

    `errors` has a list of sentences for each invalid field. `retry_after` is in seconds.
    """

    status: int
    message: str
    retry_after: int | None = None
    # What the response says besides.
    members: Mapping[str, Any] = {}

    def __init__(self, message: str = "", errors: Errors | None = None) -> None:
        """Use the message of the class unless another is given."""
        self.message = message or self.message
        super().__init__(self.message)
        self.errors = errors


class SchemaValidationError(ApiError):
    """A field is missing, unknown or not valid; `errors` says which and why.

    Show each sentence beside its field; the same request fails again. If a field is missing or
    unknown, the message is "Request is missing required fields".
    """

    status = 400
    message = "Some fields are not valid, see errors"

    def __init__(self, errors: Errors) -> None:
        """Use the tutorial's message if a field is missing or unknown: its own tests ask for it."""
        sentences = {sentence for field in errors.values() for sentence in field}
        incomplete = sentences & {MISSING_FIELD, UNKNOWN_FIELD}
        super().__init__(INCOMPLETE if incomplete else "", errors)


class EmailAlreadyExistsError(ApiError):
    """The email belongs to another user.

    Offer to log in or to reset the password.
    """

    status = 400
    message = "User with given email address already exists"


class UnauthorizedError(ApiError):
    """The email is unknown, or the password, the code or the passkey wrong; it never says which.

    Ask for both again, or for another code.
    """

    status = 401
    message = "Invalid username or password"


class MissingTokenError(ApiError):
    """The request has no bearer token, or an Authorization header of another form.

    Send `Authorization: Bearer …`, with an access token from login or refresh.
    """

    status = 401
    message = "Missing or invalid authorization header"


class TokenError(ApiError):
    """The request has a token, and it is not valid here."""

    status = 401


class BadTokenError(TokenError):
    """The token is forged, has another scope, or a machine with other settings signed it.

    Of an access token, refresh once: during an upgrade, a machine may not know the token of another
    one. Otherwise discard it, and log in again or request another link.
    """

    message = "Invalid token"


class SupersededTokenError(TokenError):
    """The session continues with later tokens: the client has them, or may refresh.

    Use the latest pair. If its response was lost, refresh; if that fails too, log in again.
    """

    message = "Token was replaced by a refresh"


class SessionEndedError(TokenError):
    """The session was revoked, or its user deleted.

    Discard both tokens, and log in again.
    """

    message = "Session has ended"


class ExpiredTokenError(TokenError):
    """The token has expired.

    Refresh an access token, log in again after a refresh token, request another link after a reset
    token.
    """

    message = "Token has expired"


class UsedTokenError(TokenError):
    """The link was used already, or what it may change has changed since it was mailed.

    After a reset, log in with the new password. Request another link, or with the `mfa_token` of a
    login log in again.
    """

    message = "Token has already been used"


class SecondFactorRequiredError(ApiError):
    """The password is right, and the user has a second factor.

    Ask for a code, or a recovery code, and send it with `mfa_token` to `/api/auth/login/mfa`.
    `methods` says which of them the user has.
    """

    status = 401
    message = "A second factor is required"

    def __init__(self, mfa_token: str = "", methods: Sequence[str] = ()) -> None:
        """Take the token of the login that waits, and how it can continue."""
        super().__init__()
        self.members = {"mfa_token": mfa_token, "methods": [*methods]}


class ReauthenticationRequiredError(ApiError):
    """The login was too long ago for this request.

    Ask for the password, or a code or passkey of who has a second factor, send it to
    `/api/auth/reauthenticate`, and repeat the request with the new access token.
    """

    status = 401
    message = "Confirm that it is you to do this"

    def __init__(self, max_age: int = 600) -> None:
        """Take for how many seconds a login is recent."""
        super().__init__()
        self.max_age = max_age


class ForbiddenError(ApiError):
    """The user is authenticated, but not authorized; or a page that is not ours uses the cookie.

    Log in as an admin. Other users see only themselves, and change no role. With the cookie, call
    from a page of PUBLIC_URL, or of an origin in CORS_ORIGINS.
    """

    status = 403
    message = "You may not do this"


class EmailNotVerifiedError(ApiError):
    """The email must be verified before a second factor or a passkey can be added.

    Offer to send the link again, by `/api/auth/email/resend`.
    """

    status = 403
    message = "Confirm your email address first"


class AccountDisabledError(ApiError):
    """The password or the passkey is right, but an operator has disabled the account.

    Say so; only the operator can help.
    """

    status = 403
    message = "This account is disabled"


class UserNotExistsError(ApiError):
    """No user has this id.

    Discard the id: the user was deleted, or never existed.
    """

    status = 404
    message = "User with given id doesn't exist"


class SessionNotExistsError(ApiError):
    """The user has no session with this id.

    List the sessions again: this one has ended already.
    """

    status = 404
    message = "Session with given id doesn't exist"


class KeyNotExistsError(ApiError):
    """The user has no API key with this id.

    List the keys again: this one was removed already.
    """

    status = 404
    message = "Key with given id doesn't exist"


class PasskeyNotExistsError(ApiError):
    """The user has no passkey with this id.

    List the passkeys again: this one was removed already.
    """

    status = 404
    message = "Passkey with given id doesn't exist"


class LastAdminError(ApiError):
    """The change would leave no admin.

    Make another user an admin first.
    """

    status = 409
    message = "The last admin can't be deleted, demoted or disabled"


class ConflictError(ApiError):
    """Another request has changed what this one is about.

    Read it again, and repeat the request if it is still meant.
    """

    status = 409
    message = "The user was changed meanwhile, try again"


class MovieAlreadyExistsError(ApiError):
    """Another movie has this name.

    Choose another name, or search for that movie.
    """

    status = 400
    message = "Movie with given name already exists"


class MovieNotExistsError(ApiError):
    """No movie has this id.

    Discard the id: the movie was deleted, or never existed.
    """

    status = 404
    message = "Movie with given id doesn't exist"


class UpdatingMovieError(ApiError):
    """Only the user who added a movie may change it.

    Offer the change only where `added_by` is the user.
    """

    status = 403
    message = "Updating movie added by other is forbidden"


class DeletingMovieError(ApiError):
    """Only the user who added a movie, or an admin, may delete it.

    Offer the deletion only to these.
    """

    status = 403
    message = "Deleting movie added by other is forbidden"


class TooManyRequestsError(ApiError):
    """A rate limit is exceeded.

    Wait for the seconds of `Retry-After`; until then even a right request is refused.
    """

    status = 429
    message = "Too many requests, try again later"

    def __init__(self, retry_after: int = 60, limit: str = "", key: str = "") -> None:
        """Take the seconds until the next request is allowed, and for the log what was counted."""
        super().__init__()
        self.retry_after = retry_after
        self.limit = limit
        self.key = key


class ServiceUnavailableError(ApiError):
    """The database is away, the hashing pool full, or the server has no key for second factors.

    Repeat the request after the seconds of `Retry-After`.
    """

    status = 503
    message = "The service is busy, try again in a moment"
    retry_after = 5


class InternalServerError(ApiError):
    """A bug of the product.

    Report it with the `X-Request-ID` of the response, which the log has too.
    """

    status = 500
    message = "Something went wrong"
