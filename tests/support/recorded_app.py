"""An application between the server and the real one: it notes requests, and fails some."""

from collections.abc import Iterable
from typing import Any

from flask import Flask

AWAY = [("Content-Type", "application/json"), ("Access-Control-Allow-Origin", "*")]


class RecordedApp:
    """Passes requests to an application, and notes them."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.requests: list[str] = []
        # The request whose next response breaks off, and one that gets 503.
        self.cut = self.away = ""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        self.requests.append(request)
        if request == self.away:
            start_response("503 Service Unavailable", AWAY)
            return [b'{"error": "ServiceUnavailableError"}']
        body = self.app(environ, start_response)
        if request != self.cut:
            return body
        self.cut = ""
        return [b"".join(body)[:20]]  # shorter than its Content-Length: the server disconnects
