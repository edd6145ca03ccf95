"""Every error becomes one JSON shape: `{"message", "status", "error"}`, some with `errors`."""

import logging
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import BadRequest, HTTPException, default_exceptions

from database.db import DATABASE_ERRORS
from infra import metrics
from services import event_service
from services.errors import (
    ApiError,
    InternalServerError,
    ReauthenticationRequiredError,
    ServiceUnavailableError,
    TokenError,
    TooManyRequestsError,
)
from services.event_service import Event
from web.json_response import json_response

Headers = dict[str, str]

logger = logging.getLogger(__name__)


def initialize_errors(app: Flask) -> None:
    """Return a response for every exception, the same with TESTING on and off."""
    app.register_error_handler(Exception, error_response)


def error_response(error: Exception) -> Response:
    """Return the response to an error: Flask's, ours, the database's, or a bug."""
    if isinstance(error, HTTPException) and error.code:
        return _to_json(error)
    if isinstance(error, DATABASE_ERRORS):
        logger.error("%s %s: database: %s", request.method, request.url_rule, error)
        metrics.UNAVAILABLE.labels(metrics.DATABASE).inc()
        error = ServiceUnavailableError()
    if not isinstance(error, ApiError):
        logger.error("%s %s failed", request.method, request.url_rule, exc_info=error)
        error = InternalServerError()
    _record_refusal(error)
    return _to_json(error)


def _record_refusal(error: ApiError) -> None:
    """Record what may be an attack (OWASP ASVS 5.0, 16.3.2)."""
    user_id = g.get("actor_id")
    if isinstance(error, TokenError):
        event_service.record(Event.TOKEN_REFUSED, reason=type(error).__name__)
    elif isinstance(error, TooManyRequestsError):
        limit, key = error.limit, error.key
        event_service.record(Event.RATE_LIMITED, user_id=user_id, limit=limit, key=key)
    elif error.status == 403 and user_id:
        event_service.record(Event.ACCESS_DENIED, user_id=user_id)


def error_body(error: ApiError | HTTPException) -> dict[str, Any]:
    """Return the JSON object of an error."""
    if isinstance(error, HTTPException):
        code = error.code or BadRequest.code
        name = default_exceptions.get(code, BadRequest).__name__ + "Error"
        name = name.replace("RequestEntityTooLarge", "RequestTooLarge")
        return {"message": error.description, "status": code, "error": name}
    body = {"message": error.message, "status": error.status, "error": type(error).__name__}
    return {**body, **error.members, **({"errors": error.errors} if error.errors else {})}


def error_headers(error: ApiError | HTTPException) -> Headers:
    """Return how to authenticate (401, RFC 6750 §3) and when to try again (429, 503)."""
    if isinstance(error, HTTPException):
        return dict(error.get_headers())
    if error.status == 401:
        return {"WWW-Authenticate": _challenge(error)}
    return {"Retry-After": str(error.retry_after)} if error.retry_after else {}


def _challenge(error: ApiError) -> str:
    if isinstance(error, TokenError):
        return 'Bearer error="invalid_token"'
    if isinstance(error, ReauthenticationRequiredError):  # RFC 9470 §3
        return f'Bearer error="insufficient_user_authentication", max_age={error.max_age}'
    return "Bearer"


def _to_json(error: ApiError | HTTPException) -> Response:
    body = error_body(error)
    return json_response(body, body["status"], error_headers(error))
