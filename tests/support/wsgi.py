"""Requests to an application in this thread, without a server or a client that cost time too."""

import io
import time
from collections.abc import Iterable
from typing import Any

from flask import Flask

Header = tuple[str, str]


def processor_seconds(app: Flask, environ: dict[str, Any]) -> tuple[float, int, bytes]:
    """Return the processor time of this thread for a request, its status and its body."""
    statuses: list[str] = []

    def start_response(status: str, headers: list[Header], *_: Any) -> Any:
        statuses.append(status)

    before = time.thread_time()
    response: Any = app(environ, start_response)
    body = b"".join(response)
    response.close()
    seconds = time.thread_time() - before
    return seconds, int(statuses[0][:3]), body


def environ(
    method: str, path: str, query: str = "", body: bytes = b"", headers: Iterable[Header] = ()
) -> dict[str, Any]:
    """Return a request as a WSGI server passes it on: its bytes as Latin-1."""
    names = {name: name.upper().replace("-", "_") for name, _ in headers}
    content = ("CONTENT_TYPE", "CONTENT_LENGTH")
    variables = {name: name if name in content else f"HTTP_{name}" for name in names.values()}
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": latin_1(path),
        "QUERY_STRING": latin_1(query),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "5000",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "HTTP_HOST": "localhost",
        **{variables[names[name]]: latin_1(value) for name, value in headers},
    }


def latin_1(text: str) -> str:
    return text.encode().decode("latin-1")
