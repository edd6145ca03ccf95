"""One path and one shape for every error: `{"message", "status", "error"}`, some with `errors`."""

import json
import logging
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import BadRequest, HTTPException, default_exceptions

from database.db import DATABASE_ERRORS
from services.errors import ApiError, InternalServerError, ServiceUnavailableError, TokenError

Headers = dict[str, str]

RETRY_AFTER_SECONDS = 5

logger = logging.getLogger(__name__)


def initialize_errors(app: Flask) -> None:
    """Answer whatever is raised, the same with TESTING on and off."""
    app.register_error_handler(Exception, answer)


def answer(error: Exception) -> Response:
    """Return the answer to an error: what Flask refuses, what we refuse by name, the rest."""
    if isinstance(error, HTTPException) and error.code:
        name = default_exceptions.get(error.code, BadRequest).__name__ + "Error"
        name = name.replace("RequestEntityTooLarge", "RequestTooLarge")
        return _json(error.code, name, str(error.description), dict(error.get_headers()))
    if isinstance(error, DATABASE_ERRORS):
        logger.error("%s %s: database: %s", request.method, request.url_rule, error)
        error = ServiceUnavailableError()
    if not isinstance(error, ApiError):
        logger.error("%s %s failed", request.method, request.url_rule, exc_info=error)
        error = InternalServerError()
    more = {"errors": error.errors} if error.errors else {}
    return _json(error.status, type(error).__name__, error.message, _headers(error), **more)


def _headers(error: ApiError) -> Headers:
    """Say how to authenticate with a 401 (RFC 6750 §3), when to try again with a 503."""
    if error.status == 401:
        bad_token = isinstance(error, TokenError)
        return {"WWW-Authenticate": 'Bearer error="invalid_token"' if bad_token else "Bearer"}
    return {"Retry-After": str(RETRY_AFTER_SECONDS)} if error.status == 503 else {}


def _json(status: int, name: str, message: str, headers: Headers, **more: Any) -> Response:
    body = {"message": message, "status": status, "error": name, **more}
    return Response(json.dumps(body) + "\n", status, headers, mimetype="application/json")
