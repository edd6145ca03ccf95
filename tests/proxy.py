"""What stands between the product and its database in a test: it can freeze, drop and refuse."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

RESET = struct.pack("ii", 1, 0)  # closed with this linger, a connection ends by a reset


class Proxy:
    """Passes bytes on to a port on loopback, until it is told otherwise."""

    def __init__(self, target: int) -> None:
        self.said: list[bytes] = []  # what passed, in both directions
        self.freeze_at: bytes | None = None
        self._target = target
        self._flows = threading.Event()
        self._flows.set()
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
                self._flows.wait()
                sink.sendall(data)
                self.said.append(data)
                if self.freeze_at and self.freeze_at in data:
                    self.freeze()
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def freeze(self) -> None:
        """Take connections and bytes, and pass nothing on, as before a server that was stopped."""
        self._flows.clear()

    def drop(self) -> None:
        """Reset every connection, and each new one at once."""
        self._dropping = True
        self._reset()

    def refuse(self) -> None:
        """Reset every connection, and listen no more."""
        with self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
        self._reset()

    def heal(self) -> None:
        """Be as before; what was frozen comes late."""
        self.freeze_at, self._dropping = None, False
        self._flows.set()
        if self._listener.fileno() < 0:
            self._listen(self.port)

    def _reset(self) -> None:
        ends, self._ends = self._ends, []
        for end in ends:
            with end, suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.shutdown(socket.SHUT_RDWR)  # else it stays open in the thread that reads it


@contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    """Stand before a port of loopback."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.heal()
        proxy.refuse()
