"""An HTTP server on loopback whose responses a test sets."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RequestHandler = Callable[[BaseHTTPRequestHandler], None]


class ScriptedServer:
    """The server: it notes each request, and answers as `handler` does."""

    def __init__(self) -> None:
        self.handler: RequestHandler = self.succeed
        self.released = threading.Event()

    @contextmanager
    def run(self) -> Iterator[None]:
        """Listen until the end of the block."""
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                scripted.note(self)
                with suppress(ConnectionError):  # the client has closed it
                    scripted.handler(self)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        thread.start()
        yield
        self.released.set()
        self.server.shutdown()
        thread.join()
        self.server.server_close()

    def note(self, request: BaseHTTPRequestHandler) -> None:
        """Remember a request, before it is answered."""

    def succeed(self, request: BaseHTTPRequestHandler) -> None:
        """Answer that all is well."""
        respond(request, b"")

    def fail(self, request: BaseHTTPRequestHandler) -> None:
        """Answer that something is wrong."""
        respond(request, b"", 500)

    def drip(self, request: BaseHTTPRequestHandler) -> None:
        """Begin to send a head, until the test sets `released` or the client has enough."""
        while not self.released.wait(0.05):
            request.wfile.write(b"H")

    def hold(self, request: BaseHTTPRequestHandler) -> None:
        """Answer once the test sets `released`."""
        self.released.wait(60)
        self.succeed(request)


def respond(
    request: BaseHTTPRequestHandler,
    body: bytes,
    status: int = 200,
    length: int | None = None,
    location: str = "",
) -> None:
    """Send a response, with another length than it has if one is given."""
    request.send_response(status)
    request.send_header("Content-Length", str(len(body) if length is None else length))
    if location:
        request.send_header("Location", location)
    request.end_headers()
    request.wfile.write(body)
