"""One path and one shape for every error: `{"message", "status", "error"}`, some with `errors`."""

import logging
from collections.abc import Mapping

from flask import Flask, Response, jsonify, request
from pymongo.errors import PyMongoError
from werkzeug.exceptions import HTTPException

from services.errors import ApiError, ServiceUnavailableError, TokenError

RETRY_AFTER_SECONDS = 5
NAMES = {
    400: "BadRequestError",
    404: "NotFoundError",
    405: "MethodNotAllowedError",
    413: "RequestTooLargeError",
    415: "UnsupportedMediaTypeError",
}

logger = logging.getLogger(__name__)


def initialize_errors(app: Flask) -> None:
    """Answer whatever is raised, the same with TESTING on and off."""
    app.register_error_handler(Exception, answer)


def answer(error: Exception) -> Response:
    """Return the answer to an error: what we refuse by name, what Flask refuses, the rest."""
    if isinstance(error, ApiError):
        return _refusal(error)
    if isinstance(error, HTTPException) and error.code:
        name = NAMES.get(error.code, "BadRequestError")
        headers = {key: value for key, value in error.get_headers() if key != "Content-Type"}
        return _json(error.code, name, str(error.description), headers)
    if isinstance(error, PyMongoError):
        logger.error("%s %s: database: %s", request.method, request.url_rule, error)
        return _refusal(ServiceUnavailableError())
    logger.error("%s %s failed", request.method, request.url_rule, exc_info=error)
    return _json(500, "InternalServerError", ApiError.message)


def _refusal(error: ApiError) -> Response:
    """Say how to authenticate with a 401 (RFC 6750 §3), when to try again with a 503."""
    headers = {}
    if error.status == 401:
        bad_token = isinstance(error, TokenError)
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"' if bad_token else "Bearer"
    if error.status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return _json(error.status, type(error).__name__, error.message, headers, error.errors)


def _json(
    status: int,
    name: str,
    message: str,
    headers: Mapping[str, str] | None = None,
    errors: dict[str, list[str]] | None = None,
) -> Response:
    body = {"message": message, "status": status, "error": name}
    response = jsonify({**body, "errors": errors} if errors else body)
    response.status_code = status
    response.headers.update(headers or {})
    return response
