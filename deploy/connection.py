"""A client's connection: what has arrived of its next request, and what it is sent at once."""

import socket
from contextlib import suppress
from typing import Any

from gunicorn.http import get_parser

from deploy.request_buffer import RequestBuffer


class Connection:
    """A connection whose parser reads from memory what has arrived.

    Either the worker waits for the client, until `expires_at`, or a thread serves its request.
    """

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any) -> None:
        """Receive the first request of a client."""
        self.sock, self.client, self.server = sock, client, server
        self.parser = get_parser(cfg, (), client)
        self.is_waiting = False
        self.is_cut = False  # not all of the request is here
        self.expires_at = 0.0  # by time.monotonic()
        self.receive_next()

    def receive_next(self) -> None:
        """Begin to receive a request, of which a part may have come with the one before."""
        self.sock.setblocking(False)
        self.request = RequestBuffer(self.parser.unreader.take_buffered())
        self._is_continued = False

    def send_head(self, *lines: str) -> None:
        """Send a response that has no body, if there is room for it."""
        with suppress(OSError):
            self.sock.send("\r\n".join([*lines, "", ""]).encode())

    def send_continue(self) -> None:
        """Ask for the body, once, if the client waits for that."""
        if not self._is_continued and self.request.awaits_continue():
            self._is_continued = True
            self.send_head("HTTP/1.1 100 Continue")

    def refuse(self, status: str) -> None:
        """Send a status that ends the connection."""
        self.send_head(f"HTTP/1.1 {status}", "Connection: close", "Content-Length: 0")
