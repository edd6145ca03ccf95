"""The refusals a client may see, by name; they travel up to resources.errors, which answers."""

Errors = dict[str, list[str]]


class ApiError(Exception):
    """A refusal with its HTTP status and its message.

    `errors` says more of a validation error: a list of sentences for each field. `retry_after`
    is in how many seconds it may be otherwise.
    """

    status: int
    message: str
    retry_after: int | None = None

    def __init__(self, message: str = "", errors: Errors | None = None) -> None:
        """Keep the class's own message unless another says it better."""
        self.message = message or self.message
        super().__init__(self.message)
        self.errors = errors


class SchemaValidationError(ApiError):
    """A field is missing, unknown or not fit; `errors` says which and why."""

    status = 400
    message = "Request is missing required fields"


class EmailAlreadyExistsError(ApiError):
    """The address has an account."""

    status = 400
    message = "User with given email address already exists"


class UnauthorizedError(ApiError):
    """The address is unknown or the password is wrong: never says which."""

    status = 401
    message = "Invalid username or password"


class MissingTokenError(ApiError):
    """There is no bearer token in the request."""

    status = 401
    message = "Missing or invalid authorization header"


class TokenError(ApiError):
    """A token came, and does not open this."""

    status = 401


class BadTokenError(TokenError):
    """The token is not ours, not for this, or of a session that has ended."""

    message = "Invalid token"


class ExpiredTokenError(TokenError):
    """The token's time is over."""

    message = "Token has expired"


class UsedTokenError(TokenError):
    """The password was changed after the reset token was sent."""

    message = "Reset token has already been used"


class ForbiddenError(ApiError):
    """The user is known, and not allowed."""

    status = 403
    message = "You may not do this"


class UserNotExistsError(ApiError):
    """Nobody has that id."""

    status = 404
    message = "User with given id doesn't exist"


class SessionNotExistsError(ApiError):
    """The user has no session with that id."""

    status = 404
    message = "Session with given id doesn't exist"


class LastAdminError(ApiError):
    """Without this one nobody could look after the users."""

    status = 409
    message = "The last admin can't be deleted or demoted"


class MovieAlreadyExistsError(ApiError):
    """Another movie has that name."""

    status = 400
    message = "Movie with given name already exists"


class MovieNotExistsError(ApiError):
    """No movie has that id."""

    status = 404
    message = "Movie with given id doesn't exist"


class UpdatingMovieError(ApiError):
    """Only who added a movie may change it."""

    status = 403
    message = "Updating movie added by other is forbidden"


class DeletingMovieError(ApiError):
    """Only who added a movie, or an admin, may delete it."""

    status = 403
    message = "Deleting movie added by other is forbidden"


class TooManyRequestsError(ApiError):
    """Somebody has tried more often than a limit allows."""

    status = 429
    message = "Too many requests, try again later"

    def __init__(self, retry_after: int = 60) -> None:
        """Take the seconds until the next try counts."""
        super().__init__()
        self.retry_after = retry_after


class ServiceUnavailableError(ApiError):
    """The database is away, or too many wait for what takes time."""

    status = 503
    message = "The service is busy, try again in a moment"
    retry_after = 5


class InternalServerError(ApiError):
    """A defect of ours."""

    status = 500
    message = "Something went wrong"
