"""waitress, as strict as a server that no proxy protects must be.

By itself it accepts heads that another server reads otherwise (request smuggling, RFC 9112 §11.2),
and waits for as long as a client sends a byte now and then.
"""

import re
import resource
import socket
import time
from collections import defaultdict
from contextlib import suppress
from typing import Any, TypeAlias

import waitress
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError, TransferEncodingNotImplemented
from waitress.server import BaseWSGIServer, MultiSocketServer
from waitress.task import ErrorTask
from waitress.utilities import BadRequest

from infra.chunked_body import ChunkedBody
from infra.http_head import REQUEST_LINE, has_valid_host, is_valid_coding

MAX_CONNECTIONS = 1_000
# Of the files that a process may open, so many are left for the database, logs and pipes.
OTHER_FILES = 100
IDLE_SECONDS = 20
# From the first byte of a request to its last.
REQUEST_SECONDS = 20
# How long a client that is refused may go on sending before the connection is reset.
LINGER_SECONDS = 2
MAX_HEAD_BYTES = 32 * 1024
MAX_BODY_BYTES = 1024 * 1024

# int() raises ValueError for 4,300 digits and more.
LENGTH = re.compile(r"[0-9]{1,15}", re.ASCII)
# A head may follow empty lines (RFC 9112 §2.2), no other white space.
HEAD_START = re.compile(rb"(\r\n)*(\r?\Z|[!-~])")
Server: TypeAlias = BaseWSGIServer | MultiSocketServer


def create_server(application: Any, threads: int, **where: Any) -> Server:
    """Return a server whose run() serves a WSGI application on host and port, or on sockets.

    Raises:
        OSError, ValueError: it can't listen there.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = MAX_CONNECTIONS if files == resource.RLIM_INFINITY else max(files - OTHER_FILES, 1)
    dispatchers: dict[int, Any] = {}
    server: Server = waitress.create_server(
        application,
        map=dispatchers,
        threads=threads,
        ident=None,
        clear_untrusted_proxy_headers=False,  # the application decides about them
        connection_limit=min(MAX_CONNECTIONS, room),
        asyncore_use_poll=True,  # select() fails on the 1,024th file
        channel_timeout=IDLE_SECONDS,
        cleanup_interval=1,
        max_request_header_size=MAX_HEAD_BYTES,
        max_request_body_size=MAX_BODY_BYTES + 1,
        **where,
    )
    for dispatcher in dispatchers.values():
        if isinstance(dispatcher, BaseWSGIServer):
            dispatcher.channel_class = Channel
    return server


def check_head(head: bytes) -> None:
    """Refuse a head whose meaning depends on who reads it (RFC 9112 §3.2, §5.2, §6).

    Raises:
        ParsingError: what is wrong with it.
    """
    first, *lines = head.rstrip(b"\r\n").split(b"\r\n")
    request_line = REQUEST_LINE.fullmatch(first)
    if request_line is None:
        raise ParsingError("Invalid request line")
    fields: dict[bytes, list[str]] = defaultdict(list)
    for line in lines:
        if line.startswith((b" ", b"\t")):
            raise ParsingError("Folded header line")
        name, _, value = line.partition(b":")
        fields[name.lower()].append(value.strip(b" \t").decode("latin-1"))
    minor_version = int(request_line[3])
    if not has_valid_host(fields[b"host"], minor_version):
        raise ParsingError("Needs one valid Host header")
    _check_framing(fields[b"content-length"], fields[b"transfer-encoding"], minor_version)


def _check_framing(lengths: list[str], codings: list[str], minor_version: int) -> None:
    if len(lengths) + len(codings) > 1:
        raise ParsingError("Ambiguous length of the body")
    if not all(map(LENGTH.fullmatch, lengths)):
        raise ParsingError("Invalid Content-Length")
    if not all(is_valid_coding(it, minor_version) for it in codings):
        raise ParsingError("Invalid Transfer-Encoding")


class Parser(HTTPRequestParser):
    """A request as it arrives."""

    body_rcv: Any = None

    def __init__(self, adj: Any) -> None:
        super().__init__(adj)
        self.deadline = time.monotonic() + REQUEST_SECONDS

    def received(self, data: bytes) -> int:
        """Read data, and refuse it at once if it can't become a request."""
        if self.body_rcv is None and not HEAD_START.match(self.header_plus + data):
            return self._refuse("Invalid start of a request", len(data))
        consumed = int(super().received(data))
        head = self.header_plus
        if not self.headers_finished and head.count(b"\n") != head.count(b"\r\n"):
            return self._refuse("A line ends with LF alone", len(data))
        if self.error:
            self.expect_continue = False
        return consumed

    def parse_header(self, head: bytes) -> None:
        """Read the head; raises ParsingError."""
        check_head(head)
        try:
            super().parse_header(head)
        except (ValueError, TransferEncodingNotImplemented) as error:
            raise ParsingError(str(error)) from None
        if self.chunked:
            self.body_rcv = ChunkedBody(self.body_rcv.getbuf())
        elif self.body_rcv is None:
            self.expect_continue = False  # waitress would wait for a body

    def _refuse(self, reason: str, consumed: int) -> int:
        self.error = BadRequest(reason)
        self.completed = True
        return consumed


class Refusal(ErrorTask):
    """The response to a request that is not passed to the application."""

    def execute(self) -> None:
        """Send it, and close the connection in a way that lets the client read it."""
        self.channel.lingers = True
        super().execute()


class Channel(HTTPChannel):
    """A connection with a deadline for each request."""

    parser_class = Parser
    error_task_class = Refusal
    # A reset would destroy a response that the client has not read while it sends a long body.
    lingers = False
    _closed_at: float | None = None

    def readable(self) -> bool:
        """Return whether to read; called at least once a second."""
        now = time.monotonic()
        if self._closed_at is not None:
            self.will_close = now > self._closed_at + LINGER_SECONDS
            return True
        if self.request is not None and now > self.request.deadline:
            self.will_close = True
        return bool(super().readable())

    def handle_read(self) -> None:
        """Read what has arrived; of a client that was refused, throw it away."""
        if self._closed_at is None:
            super().handle_read()
        else:
            with suppress(OSError):
                self.recv(self.adj.recv_bytes)

    def handle_close(self) -> None:
        """Close the connection, at the first call only for writing if the client was refused."""
        if not self.lingers or self._closed_at is not None:
            super().handle_close()
            return
        self._closed_at = time.monotonic()
        self.will_close = False
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
