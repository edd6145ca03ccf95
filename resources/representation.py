"""JSON as it goes out, of answers and of errors."""

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response

JSON = "application/json"


def as_json(data: Any, status: int, headers: Mapping[str, Any] | None = None) -> Response:
    """Return an answer with data in JSON, a line of text."""
    body = orjson.dumps(data, option=orjson.OPT_APPEND_NEWLINE)
    return Response(body, status, dict(headers or {}), mimetype=JSON)
