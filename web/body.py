"""Reading the body of a request."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

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

FORM = "application/x-www-form-urlencoded"
# Room for the longest parameters, percent-encoded: 400 and 200 characters of 12, a cursor.
MAX_QUERY_BYTES = 16 * 1024
MAX_FORM_FIELDS = 100

NOT_JSON = "The body is not valid JSON in UTF-8"
WRONG_CONTENT_TYPE = "The body must be JSON, with Content-Type: application/json"


def read_body() -> bytes:
    """Return the whole body.

    gunicorn reads chunks when they are asked for, and has errors of its own for broken ones.

    Raises:
        RequestEntityTooLarge, BadRequest
    """
    environ = request.environ
    if not environ.get("CONTENT_LENGTH") and "HTTP_TRANSFER_ENCODING" not in environ:
        return b""  # RFC 9112 §6.3
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge  # before it is read: the server passes on only a part of it
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
    if _media_type() != JSON:
        raise UnsupportedMediaType(WRONG_CONTENT_TYPE)
    try:
        data = orjson.loads(body)  # unlike json, it refuses NaN and half a surrogate pair
    except orjson.JSONDecodeError:
        raise BadRequest(NOT_JSON) from None
    if not isinstance(data, dict):
        raise BadRequest("The body must be a JSON object")
    return data


def read_form() -> dict[str, str]:
    """Return the fields of a form; an empty body is an empty one.

    Raises:
        UnsupportedMediaType, BadRequest, RequestEntityTooLarge
    """
    body = read_body()
    if body and _media_type() != FORM:
        raise UnsupportedMediaType(f"The body must be a form, with Content-Type: {FORM}")
    try:
        fields = parse_qsl(body.decode(), True, max_num_fields=MAX_FORM_FIELDS, errors="strict")
    except ValueError:
        raise BadRequest("The body is not a valid form in UTF-8") from None
    return dict(fields)


def read_query() -> Mapping[str, str]:
    """Return the query parameters; raises BadRequest if there is too much to parse."""
    if len(request.query_string) > MAX_QUERY_BYTES:
        raise BadRequest("The query is too long")
    return request.args if request.query_string else {}


def _media_type() -> str:
    """Return the Content-Type without its parameters, which Werkzeug would parse."""
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
