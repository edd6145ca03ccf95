"""JSON responses, of results and of errors."""

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response

JSON = "application/json"


def json_response(data: Any, status: int, headers: Mapping[str, Any] | None = None) -> Response:
    """Return a response with data as JSON and a line end."""
    body = orjson.dumps(data, option=orjson.OPT_APPEND_NEWLINE)
    return Response(body, status, dict(headers or {}), mimetype=JSON)
