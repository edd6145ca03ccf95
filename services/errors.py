"""The named errors that a client may see; web.errors turns them into responses."""

Errors = dict[str, list[str]]

MISSING_FIELD = "Missing data for required field."
UNKNOWN_FIELD = "Unknown field."


class ApiError(Exception):
    """An error with its HTTP status and its message.

    `errors` has a list of sentences for each invalid field. `retry_after` is in seconds.
    """

    status: int
    message: str
    retry_after: int | None = None

    def __init__(self, message: str = "", errors: Errors | None = None) -> None:
        """Use the message of the class unless another is given."""
        self.message = message or self.message
        super().__init__(self.message)
        self.errors = errors


class SchemaValidationError(ApiError):
    """A field is missing, unknown or not valid; `errors` says which and why."""

    status = 400
    message = "Some fields are not valid, see errors"

    def __init__(self, errors: Errors) -> None:
        """Use the tutorial's message if a field is missing or unknown: its own tests ask for it."""
        sentences = {sentence for field in errors.values() for sentence in field}
        incomplete = sentences & {MISSING_FIELD, UNKNOWN_FIELD}
        super().__init__("Request is missing required fields" if incomplete else "", errors)


class EmailAlreadyExistsError(ApiError):
    """The email belongs to another user."""

    status = 400
    message = "User with given email address already exists"


class UnauthorizedError(ApiError):
    """The email is unknown or the password is wrong; the response never says which."""

    status = 401
    message = "Invalid username or password"


class MissingTokenError(ApiError):
    """The request has no bearer token."""

    status = 401
    message = "Missing or invalid authorization header"


class TokenError(ApiError):
    """The request has a token, and it is not valid here."""

    status = 401


class BadTokenError(TokenError):
    """The token is forged, or has another scope."""

    message = "Invalid token"


class SupersededTokenError(TokenError):
    """The session continues with later tokens: the client has them, or may refresh."""

    message = "Token was replaced by a refresh"


class SessionEndedError(TokenError):
    """The session was revoked, or its user deleted: the client must log in."""

    message = "Session has ended"


class ExpiredTokenError(TokenError):
    """The token has expired."""

    message = "Token has expired"


class UsedTokenError(TokenError):
    """The password was changed after the reset token was signed."""

    message = "Reset token has already been used"


class ForbiddenError(ApiError):
    """The user is authenticated, but not authorized."""

    status = 403
    message = "You may not do this"


class UserNotExistsError(ApiError):
    """No user has this id."""

    status = 404
    message = "User with given id doesn't exist"


class SessionNotExistsError(ApiError):
    """The user has no session with this id."""

    status = 404
    message = "Session with given id doesn't exist"


class LastAdminError(ApiError):
    """The change would leave no admin."""

    status = 409
    message = "The last admin can't be deleted or demoted"


class ConflictError(ApiError):
    """Another request has changed what this one is about."""

    status = 409
    message = "The user was changed meanwhile, try again"


class MovieAlreadyExistsError(ApiError):
    """Another movie has this name."""

    status = 400
    message = "Movie with given name already exists"


class MovieNotExistsError(ApiError):
    """No movie has this id."""

    status = 404
    message = "Movie with given id doesn't exist"


class UpdatingMovieError(ApiError):
    """Only the user who added a movie may change it."""

    status = 403
    message = "Updating movie added by other is forbidden"


class DeletingMovieError(ApiError):
    """Only the user who added a movie, or an admin, may delete it."""

    status = 403
    message = "Deleting movie added by other is forbidden"


class TooManyRequestsError(ApiError):
    """A rate limit is exceeded."""

    status = 429
    message = "Too many requests, try again later"

    def __init__(self, retry_after: int = 60) -> None:
        """Take the seconds until the next request is allowed."""
        super().__init__()
        self.retry_after = retry_after


class ServiceUnavailableError(ApiError):
    """The database is away, or the hashing pool is full."""

    status = 503
    message = "The service is busy, try again in a moment"
    retry_after = 5


class InternalServerError(ApiError):
    """A bug of the product."""

    status = 500
    message = "Something went wrong"
