"""A front end of another origin than the API: a page and its modules, at each name of here."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b'<!doctype html><title>A page</title><link rel="icon" href="data:,">'


class FrontEnd:
    """What is served: an empty page at /, and the modules by their paths."""

    def __init__(self) -> None:
        self.modules: dict[str, str] = {}
        # The Set-Cookie headers of the page; bytes that are not ASCII as Latin-1.
        self.cookies: list[str] = []
        self.port = 0

    @contextmanager
    def run(self) -> Iterator[None]:
        """Listen until the end of the block."""
        front_end = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                front_end.respond(self)

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.port = server.server_port
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            yield
            server.shutdown()
            thread.join()

    def respond(self, request: BaseHTTPRequestHandler) -> None:
        """Send a module, or the page with its cookies."""
        module = self.modules.get(request.path)
        kind, body = ("text/html", PAGE) if module is None else ("text/javascript", module.encode())
        request.send_response(200)
        request.send_header("Content-Type", f"{kind}; charset=utf-8")
        for cookie in self.cookies if module is None else []:
            request.send_header("Set-Cookie", cookie)
        request.end_headers()
        request.wfile.write(body)
