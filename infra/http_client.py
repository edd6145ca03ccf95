"""HTTP requests with one deadline for all that they take; no redirect is followed.

The timeout of urllib is for each read, and none is for DNS: a server that sends a byte now and
then would be awaited without end. So threads of a pool wait, and a connection ends at its deadline.
"""

import socket
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from typing import Any, TypeVar
from urllib.error import URLError

# TimeoutError is an OSError; a URL or an answer that can't be read raises ValueError.
HTTP_ERRORS = (OSError, ValueError, HTTPException)

T = TypeVar("T")


class Request(urllib.request.Request):
    """A request whose connection another thread can end."""

    _is_aborted = False
    _connection: socket.socket | None = None

    def connect(self, address: tuple[str, int], seconds: float, *args: Any) -> socket.socket:
        """Connect to any of the addresses of a host, in place of socket.create_connection."""
        count = len(socket.getaddrinfo(*address, type=socket.SOCK_STREAM))
        connected = socket.create_connection(address, seconds / count, *args)
        connected.settimeout(seconds)
        self._connection = connected.dup()  # the handshake of TLS detaches the other one
        if self._is_aborted:
            self.abort()
        return connected

    def abort(self) -> None:
        """End the connection, now or as soon as it is open."""
        self._is_aborted = True
        if self._connection:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
            self._connection.close()


class Client:
    """A pool of threads that wait for responses; DNS may hold one of them beyond the deadline."""

    def __init__(self, name: str, threads: int) -> None:
        """Take how many requests may wait at once: others wait for these, until their deadline."""
        self._pool = ThreadPoolExecutor(threads, name)

    def send(self, request: Request, seconds: float, read: Callable[[HTTPResponse], T]) -> T:
        """Return what `read` returns of the response, whatever its status; raises HTTP_ERRORS."""
        future = self._pool.submit(_send, request, seconds, read)
        try:
            return future.result(seconds)
        finally:
            future.cancel()
            request.abort()


def name_of(error: Exception) -> str:
    """Return the name of one of HTTP_ERRORS, for the log: its text may have the URL."""
    cause = error.reason if isinstance(error, URLError) else error
    return type(cause).__name__ if isinstance(cause, Exception) else type(error).__name__


def _send(request: Request, seconds: float, read: Callable[[HTTPResponse], T]) -> T:
    opener = _direct_opener if request.type == "http" else _opener
    with opener.open(request, timeout=seconds) as response:
        return read(response)


class _EveryStatus(urllib.request.HTTPErrorProcessor):
    def http_response(
        self, request: urllib.request.Request, response: HTTPResponse
    ) -> HTTPResponse:
        """Return it whatever its status is: so no redirect is followed, which may lead anywhere."""
        return response

    https_response = http_response


class _Abortable(urllib.request.AbstractHTTPHandler):
    def do_open(self, http_class: Any, req: Any, **http_conn_args: Any) -> Any:
        """Let the request open its connection."""

        def connection_to(host: str, **options: Any) -> Any:
            connection = http_class(host, **options)
            connection._create_connection = req.connect  # private in http.client
            return connection

        return super().do_open(connection_to, req, **http_conn_args)


class _HttpHandler(_Abortable, urllib.request.HTTPHandler):
    pass


class _HttpsHandler(_Abortable, urllib.request.HTTPSHandler):
    pass


_handlers = (_EveryStatus, _HttpHandler, _HttpsHandler)
_opener = urllib.request.build_opener(*_handlers)
# Plain HTTP is for this machine alone: no proxy of the environment gets to read it.
_direct_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), *_handlers)
