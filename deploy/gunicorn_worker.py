"""gunicorn's worker with threads, which shares connections evenly and refuses none at its stop.

No thread waits for a client: it gets a request when all of it has arrived, in time.
"""

import errno
import select
import selectors
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gunicorn.http import get_parser
from gunicorn.http.errors import InvalidHeader, UnsupportedTransferCoding
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from deploy.request_buffer import RECEIVED_BYTES, RequestBuffer, State
from infra.http_host import is_host

# How long a worker waits before it accepts, per connection that it has, and at most.
SECONDS_PER_CONNECTION = 0.00005
MAX_SECONDS = 0.001
# From the beginning of a request to its last byte.
REQUEST_SECONDS = 20.0
# How long a client may take to read a response that the buffers of the connection don't hold.
RESPONSE_SECONDS = 30.0
# How long a client that is refused may go on sending before the connection is reset.
LINGER_SECONDS = 2.0

REFUSALS = {
    State.LONG_HEAD: "431 Request Header Fields Too Large",
    State.LONG_BODY: "413 Content Too Large",
}
TIMEOUT = "408 Request Timeout"


class Connection(TConn):
    """A connection whose parser reads from memory what has arrived."""

    def __init__(self, cfg: Any, sock: Any, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.parser = get_parser(cfg, (), client)
        self.data_ready = True
        self.is_cut = False  # not all of the request is here
        self.receive_next()

    def receive_next(self) -> None:
        """Begin to receive a request, of which a part may have come with the one before."""
        self.request = RequestBuffer(self.parser.unreader.take_buffered())
        self.is_continued = False
        self.expire_in(REQUEST_SECONDS)

    def expire_in(self, seconds: float) -> None:
        """Wait for the client in the worker's poller, for so long."""
        self.sock.setblocking(False)
        self.timeout = time.monotonic() + seconds

    def send_head(self, *lines: str) -> None:
        """Send a response that has no body, if there is room for it."""
        with suppress(OSError):
            self.sock.send("\r\n".join([*lines, "", ""]).encode())

    def send_continue(self) -> None:
        """Ask for the body, once, if the client waits for that."""
        if not self.is_continued and self.request.awaits_continue():
            self.is_continued = True
            self.send_head("HTTP/1.1 100 Continue")

    def refuse(self, status: str) -> None:
        """Send a status that ends the connection."""
        self.send_head(f"HTTP/1.1 {status}", "Connection: close", "Content-Length: 0")

    def close(self, graceful: bool = False) -> None:
        """Close the connection at once; the worker has waited for the client if need be."""
        super().close()


class Worker(ThreadWorker):
    """A ThreadWorker that takes no more than its share of connections.

    gunicorn's own workers race for each connection: of two, one often has all those that a proxy
    keeps open, and one core is idle. At its stop gunicorn keeps the port open but accepts nobody:
    a connection in the backlog, which may have sent a request, is reset (issues 2409 and 3397).
    """

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse TLS, which the connections don't speak."""
        if cfg.is_ssl:
            sys.exit("This worker speaks no TLS: let a proxy do that.")

    def accept(self, listener: Any) -> None:
        """Accept a connection, unless a worker with fewer of them was faster."""
        time.sleep(min(self.nr_conns * SECONDS_PER_CONNECTION, MAX_SECONDS))
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return
        self.nr_conns += 1
        self._receive(Connection(self.cfg, client, address, listener.getsockname()))

    def enqueue_req(self, conn: Connection) -> None:
        """Receive the next request of a connection, then pass it to a thread."""
        conn.receive_next()
        self._receive(conn)

    def _receive(self, conn: Connection) -> None:
        state = conn.request.receive(conn.sock)
        if state is State.INCOMPLETE:
            conn.send_continue()
            self._poll(conn, self._receive)
        elif state is State.GONE:
            self._close(conn)
        elif state in REFUSALS:
            conn.refuse(REFUSALS[state])
            self._linger(conn)
        else:
            conn.is_cut = state is State.REFUSED
            conn.parser.unreader.unread(bytes(conn.request.data))
            super().enqueue_req(conn)

    def _poll(self, conn: Connection, resume: Callable[[Connection], None]) -> None:
        """Call resume when the client sends something before the connection expires."""

        def on_readable(_: Any) -> None:
            self._stop_waiting(conn)
            resume(conn)

        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, on_readable)

    def _stop_waiting(self, conn: Connection) -> None:
        self.poller.unregister(conn.sock)
        self.pending_conns.remove(conn)

    def _close(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.close()

    def _linger(self, conn: Connection) -> None:
        """Close for writing, and read on until the client has closed too (RFC 9112 §9.6).

        A reset would destroy a response that is not read yet. gunicorn waits too, but serves
        nobody meanwhile.
        """
        conn.expire_in(LINGER_SECONDS)
        with suppress(OSError):
            conn.sock.shutdown(socket.SHUT_WR)
        self._poll(conn, self._drain)

    def _drain(self, conn: Connection) -> None:
        try:
            data = conn.sock.recv(RECEIVED_BYTES)
        except OSError:
            data = b""
        if data:
            self._poll(conn, self._drain)
        else:
            self._close(conn)

    def murder_pending(self) -> None:
        """Close the connections that have expired."""
        now = time.monotonic()
        for conn in [conn for conn in self.pending_conns if conn.timeout <= now]:
            self._stop_waiting(conn)
            if conn.request.data:
                conn.refuse(TIMEOUT)
            self._close(conn)

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """Serve a request in a thread, to a client that reads the response."""
        hosts = [value for name, value in req.headers if name == "HOST"]
        if (not hosts and req.version > (1, 0)) or not all(map(is_host, hosts)):
            raise InvalidHeader("HOST", req=req)
        req._expected_100_continue = False  # the body is here
        if conn.is_cut:
            req.force_close()
        conn.sock.settimeout(RESPONSE_SECONDS)
        try:
            return super().handle_request(req, conn)
        except TimeoutError:
            raise StopIteration from None  # gunicorn's sign to close without a word

    def finish_request(self, conn: Connection, fs: Any) -> None:
        """Close the connection or wait for its next request."""
        if fs.cancelled() or fs.exception() or not fs.result():
            self._linger(conn)
        else:
            super().finish_request(conn, fs)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Respond to a request that can't be parsed."""
        if isinstance(exc, UnsupportedTransferCoding):
            exc = InvalidHeader("TRANSFER-ENCODING", req=req)
        super().handle_error(req, client, addr, exc)

    def set_accept_enabled(self, enabled: bool) -> None:
        """When the worker stops, accept the backlog and close the port."""
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            # get_backlog keeps the interpreter locked, so that little can arrive before the port
            # is closed; only Linux has it.
            while select.select([listener], [], [], 0)[0] or listener.get_backlog() > 0:
                self.accept(listener)
            listener.close()
        self._cap_idle()

    def _cap_idle(self) -> None:
        for conn in self.pending_conns:
            if not conn.request.data:
                conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
