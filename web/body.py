"""Reading the body of a request."""

from typing import Any

import orjson
from flask import request
from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    RequestEntityTooLarge,
    UnsupportedMediaType,
)

from config import MAX_BODY_BYTES
from web.json_response import JSON

NOT_JSON = "The body is not valid JSON in UTF-8"
WRONG_CONTENT_TYPE = "The body must be JSON, with Content-Type: application/json"


def read_body() -> bytes:
    """Return the whole body.

    gunicorn reads chunks when they are asked for, and has errors of its own for broken ones.

    Raises:
        RequestEntityTooLarge, BadRequest
    """
    if not request.content_length and "Transfer-Encoding" not in request.headers:
        return b""  # RFC 9112 §6.3
    try:
        body = request.get_data()
    except HTTPException:
        raise
    except Exception as error:
        raise BadRequest("The body can't be read") from error
    if len(body) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    return body


def read_json() -> dict[str, Any]:
    """Return the body, which must be a JSON object (RFC 8259); an empty body is an empty one.

    Raises:
        UnsupportedMediaType, BadRequest, RequestEntityTooLarge
    """
    body = read_body()
    if not body:
        return {}
    if request.mimetype != JSON:
        raise UnsupportedMediaType(WRONG_CONTENT_TYPE)
    try:
        data = orjson.loads(body)  # unlike json, it refuses NaN and half a surrogate pair
    except orjson.JSONDecodeError:
        raise BadRequest(NOT_JSON) from None
    if not isinstance(data, dict):
        raise BadRequest("The body must be a JSON object")
    return data
