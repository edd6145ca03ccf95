"""One path and one shape for every error: `{"message", "status", "error"}`, some with `errors`."""

import logging
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import BadRequest, HTTPException, default_exceptions

from database.db import DATABASE_ERRORS
from resources.representation import as_json
from services.errors import ApiError, InternalServerError, ServiceUnavailableError, TokenError

Headers = dict[str, str]

logger = logging.getLogger(__name__)


def initialize_errors(app: Flask) -> None:
    """Answer whatever is raised, the same with TESTING on and off."""
    app.register_error_handler(Exception, answer)


def answer(error: Exception) -> Response:
    """Return the answer to an error: what Flask refuses, what we refuse by name, the rest."""
    if isinstance(error, HTTPException) and error.code:
        return _json(error)
    if isinstance(error, DATABASE_ERRORS):
        logger.error("%s %s: database: %s", request.method, request.url_rule, error)
        error = ServiceUnavailableError()
    if not isinstance(error, ApiError):
        logger.error("%s %s failed", request.method, request.url_rule, exc_info=error)
        error = InternalServerError()
    return _json(error)


def facts_of(error: ApiError | HTTPException) -> dict[str, Any]:
    """Return the body of the answer to an error."""
    if isinstance(error, HTTPException):
        code = error.code or BadRequest.code
        name = default_exceptions.get(code, BadRequest).__name__ + "Error"
        name = name.replace("RequestEntityTooLarge", "RequestTooLarge")
        return {"message": error.description, "status": code, "error": name}
    more = {"errors": error.errors} if error.errors else {}
    facts = {"message": error.message, "status": error.status, "error": type(error).__name__}
    return {**facts, **more}


def headers_of(error: ApiError | HTTPException) -> Headers:
    """Say how to authenticate with a 401 (RFC 6750 §3), when to try again with a 429 or 503."""
    if isinstance(error, HTTPException):
        return dict(error.get_headers())
    if error.status == 401:
        bad_token = isinstance(error, TokenError)
        return {"WWW-Authenticate": 'Bearer error="invalid_token"' if bad_token else "Bearer"}
    return {"Retry-After": str(error.retry_after)} if error.retry_after else {}


def _json(error: ApiError | HTTPException) -> Response:
    facts = facts_of(error)
    return as_json(facts, facts["status"], headers_of(error))
