"""A client's connection: what has arrived of its next request, and what it is sent at once."""

import socket
import sys
from contextlib import suppress
from typing import Any

from deploy.request_buffer import RequestBuffer


class Connection:
    """A connection, and the part of an application's environment that all its requests have.

    Either the worker waits for the client, until `expires_at`, or a thread serves its request.
    """

    def __init__(self, sock: socket.socket, client: Any, server: Any, is_one_of_many: bool) -> None:
        """Receive the first request of a client."""
        self.sock, self.client = sock, client
        is_unix = not isinstance(server, tuple)
        host, port = ("localhost", 80) if is_unix else server[:2]
        client_ip, client_port = ("", 0) if is_unix else client[:2]
        self.environ = {
            "REMOTE_ADDR": client_ip,
            "REMOTE_PORT": str(client_port),
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            "SCRIPT_NAME": "",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.input_terminated": True,
            "wsgi.multithread": True,
            "wsgi.multiprocess": is_one_of_many,
            "wsgi.run_once": False,
        }
        self.is_waiting = False
        self.is_cut = False  # not all of the request is here
        self.expires_at = 0.0  # by time.monotonic()
        self.receive_next(b"")

    def receive_next(self, data: bytes) -> None:
        """Begin to receive a request, of which some data may have come with the one before."""
        self.sock.setblocking(False)
        self.request = RequestBuffer(data)

    def send_head(self, *lines: str) -> None:
        """Send a response that has no body, if there is room for it."""
        with suppress(OSError):
            self.sock.send("\r\n".join([*lines, "", ""]).encode())

    def send_continue(self) -> None:
        """Ask for the body if the client waits for that."""
        if self.request.awaits_continue():
            self.send_head("HTTP/1.1 100 Continue")

    def refuse(self, status: str) -> None:
        """Send a status that ends the connection."""
        self.send_head(f"HTTP/1.1 {status}", "Connection: close", "Content-Length: 0")
