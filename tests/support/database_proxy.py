"""A TCP proxy between the product and its database: it can freeze, drop and refuse."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards bytes to a port on loopback, except during an outage."""

    def __init__(self, target: int) -> None:
        self.forwarded: list[bytes] = []  # in both directions
        self.freeze_after: bytes | None = None  # the bytes after which nothing is forwarded
        self._target = target
        self._forwarding = threading.Event()
        self._forwarding.set()
        self._dropping = False
        self._ends: list[socket.socket] = []
        self._listen(0)

    def _listen(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port), backlog=100)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client = listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._target))
                self._ends += [client, server]
                if self._dropping:
                    self._reset()
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._forwarding.wait()
                sink.sendall(data)
                self.forwarded.append(data)
                if self.freeze_after and self.freeze_after in data:
                    self.freeze()
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def freeze(self) -> None:
        """Accept connections and bytes and forward nothing, as if the server were stopped."""
        self._forwarding.clear()

    def drop(self) -> None:
        """Reset every connection, and each new one at once."""
        self._dropping = True
        self._reset()

    def refuse(self) -> None:
        """Reset every connection, and stop listening."""
        with self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
        self._reset()

    def recover(self) -> None:
        """End the outage; what was frozen is forwarded late."""
        self.freeze_after, self._dropping = None, False
        self._forwarding.set()
        if self._listener.fileno() < 0:
            self._listen(self.port)

    def _reset(self) -> None:
        ends, self._ends = self._ends, []
        for end in ends:
            with end, suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
                end.shutdown(socket.SHUT_RDWR)  # else it stays open in the thread that reads it


@contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    """Yield a proxy to a port on loopback."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.recover()
        proxy.refuse()
