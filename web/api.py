"""How Flask-RESTful is used: for its resources alone."""

from typing import Any

import flask_restful
from flask import Response

from web.json_response import json_response


class Api(flask_restful.Api):
    """Flask-RESTful without its own error handling and content negotiation.

    web.errors handles errors; every response is JSON, whatever Accept says.
    """

    def error_router(self, original_handler: Any, e: Exception) -> Any:
        """Leave the error to Flask."""
        return original_handler(e)

    def make_response(self, data: Any, status: int, headers: Any = None, **_: Any) -> Response:
        """Return data as JSON."""
        return json_response(data, status, headers)
