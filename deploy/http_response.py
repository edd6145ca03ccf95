"""A response, sent as PEP 3333 and RFC 9112 say, its head with the beginning of its body."""

import re
import socket
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from typing import Any
from wsgiref.util import is_hop_by_hop

from deploy.http_request import Request

WITHOUT_BODY = ("204", "304")
# RFC 9110 §5.5
LINE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Response:
    """The response to a request, of which an application gets `start_response`."""

    def __init__(self, request: Request, sock: socket.socket) -> None:
        """Send to a socket."""
        self.headers_sent = False
        self.is_last = request.should_close()
        self._request, self._sock = request, sock
        self._head = b""
        self._has_body = self._is_chunked = False
        self._left: int | None = None  # of the bytes that Content-Length says

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        """Keep the head for the first bytes of the body; too late for it, raise what exc_info has.

        Raises:
            ValueError: a line break in a header would begin another header.
        """
        if exc_info and self.headers_sent:
            raise exc_info[1]
        own = [(name, value) for name, value in headers if not is_hop_by_hop(name)]
        lines = [f"HTTP/1.1 {status}", *[f"{name}: {value}" for name, value in own]]
        if not all(map(LINE.fullmatch, lines)):
            raise ValueError("A control character in a header, or one outside latin-1")
        length = next((value for name, value in own if name.lower() == "content-length"), None)
        self._left = int(length) if length is not None else None
        self._has_body = self._request.method != "HEAD" and status[:3] not in WITHOUT_BODY
        is_unbounded = self._has_body and self._left is None
        self._is_chunked = is_unbounded and self._request.version > (1, 0)
        self.is_last = self.is_last or (is_unbounded and not self._is_chunked)
        self._head = "\r\n".join(lines).encode("latin-1")
        return self.write

    def send(self, chunks: Any) -> None:
        """Send what an application returns."""
        try:
            for chunk in chunks:
                self.write(chunk)
            self._end()
        finally:
            if hasattr(chunks, "close"):
                chunks.close()

    def write(self, data: bytes) -> None:
        """Send a part of the body, no more than Content-Length says."""
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        if data and self._has_body:
            part = b"%X\r\n%b\r\n" % (len(data), data) if self._is_chunked else data
            self._sock.sendall(self._take_head() + part)

    def _end(self) -> None:
        """Send what is left: the head, or the end of the chunks."""
        if end := self._take_head() + (b"0\r\n\r\n" if self._is_chunked else b""):
            self._sock.sendall(end)
        # The client waits for bytes that don't come.
        self.is_last = self.is_last or (self._has_body and bool(self._left))

    def _take_head(self) -> bytes:
        if self.headers_sent:
            return b""
        if not self._head:
            raise RuntimeError("The application has begun no response")
        self.headers_sent = True
        date, end = _date(int(time.time())), "close" if self.is_last else "keep-alive"
        lines = ["", "Server: gunicorn", f"Date: {date}", f"Connection: {end}"]
        if self._is_chunked:
            lines.append("Transfer-Encoding: chunked")
        return self._head + "\r\n".join([*lines, "", ""]).encode()


@lru_cache(1)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
