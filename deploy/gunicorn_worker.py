"""gunicorn's worker: one thread waits for clients, others serve requests that have arrived whole.

gunicorn's own worker with threads, gthread, lets slow clients occupy them, and of two of its
workers one often has all connections that a proxy keeps open: they race for each. At its stop it
keeps the port open but accepts nobody: a connection in the backlog, which may have sent a request,
is reset (issues 2409 and 3397). And it takes each connection back to the thread that waits, twice
as many changes of threads as needed.
"""

import errno
import os
import select
import selectors
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.workers.base import Worker as GunicornWorker

from deploy.connection import Connection
from deploy.http_request import Request, read_request
from deploy.http_response import Response
from deploy.request_buffer import RECEIVED_BYTES, State
from deploy.threads import Threads

# How long a worker waits before it accepts, per connection that it has, and at most.
SECONDS_PER_CONNECTION = 0.00005
MAX_SECONDS = 0.001
# From the beginning of a request to its last byte.
REQUEST_SECONDS = 20.0
# How long a client may take to read a response that the buffers of the connection don't hold.
RESPONSE_SECONDS = 30.0
# How long a client that is refused may go on sending before the connection is reset.
LINGER_SECONDS = 2.0
# How long a worker that stops waits for a request that a client may be sending already.
STOP_SECONDS = 2.0
# How often it looks for connections that have expired; while it stops, whether any is left.
BEAT_SECONDS = 1.0
STOP_BEAT_SECONDS = 0.1

REFUSALS = {
    State.INVALID: "400 Bad Request",
    State.LONG_HEAD: "431 Request Header Fields Too Large",
    State.LONG_BODY: "413 Content Too Large",
}
TIMEOUT = "408 Request Timeout"


class Worker(GunicornWorker):
    """A worker that takes no more than its share of connections, and refuses none at its stop."""

    alive: bool

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse TLS, which the connections don't speak."""
        if cfg.is_ssl:
            sys.exit("This worker speaks no TLS: let a proxy do that.")

    def run(self) -> None:
        """Serve until gunicorn stops the worker, or has ended itself."""
        self._poller = selectors.DefaultSelector()
        self._threads = Threads(self.cfg.threads)
        self._connections: set[Connection] = set()
        self._is_open = self._lacks_files = False
        self._next_beat = 0.0
        # gunicorn has every signal write to this pipe, which ends the wait.
        wake = partial(os.read, self.PIPE[0], 64)
        self._poller.register(self.PIPE[0], selectors.EVENT_READ, wake)
        while self.alive and self.ppid == os.getppid():
            self._poll(BEAT_SECONDS)
        if self.alive:
            self.log.info("Parent changed, shutting down: %s", self)
        self.alive = False
        self._close_ports()
        self._wait_for_responses()

    def _poll(self, seconds: float) -> None:
        """Wait for clients, so long at most, and do what they ask for."""
        for key, _ in self._poller.select(seconds):
            key.data()
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + seconds
            self._lacks_files = False
            self.notify()
            self._close_expired()
        if self.alive and not (self._is_open or self._lacks_files or self._is_full()):
            self._open_ports()

    def _is_full(self) -> bool:
        limit: int = self.cfg.worker_connections
        return len(self._connections) >= limit

    def _open_ports(self) -> None:
        self._is_open = True
        for listener in self.sockets:
            listener.setblocking(False)
            self._poller.register(listener, selectors.EVENT_READ, partial(self._accept, listener))

    def _leave_ports(self) -> None:
        """Accept no connection for now: the backlog keeps them."""
        if self._is_open:
            self._is_open = False
            for listener in self.sockets:
                self._poller.unregister(listener)

    def _close_ports(self) -> None:
        """Accept who is in the backlog, and nobody else."""
        self._leave_ports()
        for listener in self.sockets:
            # get_backlog keeps the interpreter locked, so that little can arrive before the port
            # is closed; only Linux has it.
            while select.select([listener], [], [], 0)[0] or listener.get_backlog() > 0:
                if not self._accept(listener):
                    break
            listener.close()

    def _wait_for_responses(self) -> None:
        """Serve those who are connected until they have closed, or gunicorn's time is over."""
        end = time.monotonic() + self.cfg.graceful_timeout
        while self._connections and (now := time.monotonic()) < end:
            for conn in [*self._connections]:
                # Each has its time since it was found idle: a response may just have kept it.
                if not conn.request.data:
                    conn.expires_at = min(conn.expires_at, now + STOP_SECONDS)
            self._poll(STOP_BEAT_SECONDS)

    def _accept(self, listener: Any) -> bool:
        """Accept a connection, unless a worker with fewer of them was faster.

        Return whether the process can have another one: of files, it has a limited number.
        """
        if self.alive:  # at its stop the backlog may grow as fast as connections are accepted
            time.sleep(min(len(self._connections) * SECONDS_PER_CONNECTION, MAX_SECONDS))
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ECONNABORTED):
                return True
            self.log.warning("No connection can be accepted: %s; trying again", error)
            self._lacks_files = True  # until the next beat
            self._leave_ports()
            return False
        conn = Connection(client, address, listener.getsockname(), self.cfg.workers > 1)
        self._connections.add(conn)
        self._begin(conn)
        if self._is_full():
            self._leave_ports()
        return True

    def _begin(self, conn: Connection) -> None:
        """Receive a request within its time."""
        conn.expires_at = time.monotonic() + REQUEST_SECONDS
        self._receive(conn)

    def _receive(self, conn: Connection) -> None:
        """Receive what has arrived of a request; a thread serves it once it is whole."""
        state = conn.request.receive(conn.sock)
        if state is State.INCOMPLETE:
            conn.send_continue()
            self._wait_for(conn, self._receive)
        elif state is State.GONE:
            self._close(conn)
        elif state in REFUSALS:
            conn.refuse(REFUSALS[state])
            self._linger(conn)
        else:
            conn.is_cut = state is State.CUT
            self._threads.call(self._serve, conn)

    def _wait_for(self, conn: Connection, resume: Callable[[Connection], None]) -> None:
        """Call resume when the client sends something before the connection expires.

        The last thing that a thread does with a connection: from then on it is the poller's, which
        takes sockets from other threads while it waits (epoll_ctl(2), kqueue(2)).
        """
        conn.is_waiting = True
        on_readable = partial(self._resume, conn, resume)
        self._poller.register(conn.sock, selectors.EVENT_READ, on_readable)

    def _resume(self, conn: Connection, resume: Callable[[Connection], None]) -> None:
        self._stop_waiting(conn)
        resume(conn)

    def _stop_waiting(self, conn: Connection) -> None:
        self._poller.unregister(conn.sock)
        conn.is_waiting = False

    def _close(self, conn: Connection) -> None:
        self._connections.discard(conn)
        conn.sock.close()

    def _close_expired(self) -> None:
        now = time.monotonic()
        for conn in [*self._connections]:
            if conn.is_waiting and conn.expires_at <= now:
                self._stop_waiting(conn)
                if conn.request.data:
                    conn.refuse(TIMEOUT)
                self._close(conn)

    def _linger(self, conn: Connection) -> None:
        """Close for writing, and read on until the client has closed too (RFC 9112 §9.6).

        A reset would destroy a response that is not read yet.
        """
        conn.sock.setblocking(False)
        conn.expires_at = time.monotonic() + LINGER_SECONDS
        with suppress(OSError):
            conn.sock.shutdown(socket.SHUT_WR)
        self._wait_for(conn, self._drain)

    def _drain(self, conn: Connection) -> None:
        try:
            data = conn.sock.recv(RECEIVED_BYTES)
        except OSError:
            data = b""
        if data:
            self._wait_for(conn, self._drain)
        else:
            self._close(conn)

    def _serve(self, conn: Connection) -> None:
        """Serve a request in a thread, and wait for the next one or the end of the connection."""
        is_kept = False
        data, following = conn.request.split()
        try:
            is_kept = self._respond(conn, data)
        finally:
            if is_kept:
                self._keep(conn, following)
            else:
                self._linger(conn)

    def _keep(self, conn: Connection, following: bytes) -> None:
        """Wait for the next request, which may be here already."""
        conn.receive_next(following)
        if following:
            self._begin(conn)
        else:
            conn.expires_at = time.monotonic() + self.cfg.keepalive
            self._wait_for(conn, self._begin)

    def _respond(self, conn: Connection, data: bytes) -> bool:
        """Send the response to a request; return whether the connection can be kept."""
        request = response = None
        conn.sock.settimeout(RESPONSE_SECONDS)
        try:
            request = read_request(data, is_cut=conn.is_cut)
            environ = request.environ(conn.environ)
            response = self._begin_response(request, conn)
            response.send(self.wsgi(environ, response.start_response))
            return not response.is_last
        except BaseException as error:
            # Until the head is sent, no error is the client's.
            if not (response and response.headers_sent):
                self.handle_error(request if response else None, conn.sock, conn.client, error)
            elif isinstance(error, ConnectionError | TimeoutError):
                self.log.debug("A client reads no response: %s", error)
            else:
                self.log.exception("Error handling request")
        return False

    def _begin_response(self, request: Request, conn: Connection) -> Response:
        response = Response(request, conn.sock)
        self._count_request()
        # So many threads can always have a connection that is not kept.
        kept = self.cfg.worker_connections - self.cfg.threads if self.cfg.keepalive else 0
        if conn.is_cut or not self.alive or len(self._connections) > kept:
            response.is_last = True
        return response

    def _count_request(self) -> None:
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:  # another thread may have counted too
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
