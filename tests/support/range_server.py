"""A range API of stolen passwords on loopback, of which a test sets the answers."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RequestHandler = Callable[[BaseHTTPRequestHandler], None]


def sha1(password: str) -> str:
    return hashlib.sha1(password.encode()).hexdigest().upper()


class RangeServer:
    """The API: it knows the passwords in `stolen`, unless a test sets another `handler`."""

    def __init__(self) -> None:
        self.stolen: list[str] = []
        self.paths: list[str] = []
        self.paddings: list[str | None] = []
        self.handler: RequestHandler = self.send_range
        self.released = threading.Event()

    @property
    def url(self) -> str:
        """Return what PASSWORD_BREACHED has."""
        return f"http://127.0.0.1:{self.server.server_port}/range/"

    @contextmanager
    def run(self) -> Iterator[None]:
        """Listen until the end of the block."""
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.paths.append(self.path)
                api.paddings.append(self.headers["Add-Padding"])
                with suppress(ConnectionError):  # the client has closed it
                    api.handler(self)

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

    def send_range(self, request: BaseHTTPRequestHandler) -> None:
        """Answer as haveibeenpwned.com does, with a line of padding."""
        prefix = request.path[-5:]
        digests = [digest[5:] for digest in map(sha1, self.stolen) if digest.startswith(prefix)]
        respond(request, "\r\n".join([f"{'0' * 34}A:0", *(f"{it}:3" for it in digests)]).encode())

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
        self.send_range(request)


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
