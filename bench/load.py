"""Clients that each send the next request after a response: a closed loop, in a process of its own.

One thread and a selector, so that the clients take as little of the machine as possible.
"""

import json
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

CLIENTS = 8
SECONDS = 2.0
# Then a client connects again: which of a server's processes has most connections varies.
REQUESTS_PER_CONNECTION = 100
TOKEN = "{token}"


@dataclass
class Load:
    """Which requests to send where, and for how long. Each client goes through them in turn.

    TOKEN in a request stands for the refresh token of the client's last response.
    """

    port: int
    requests: list[str]
    clients: int = CLIENTS
    seconds: float = SECONDS
    pause: float = 0  # of a client between a response and its next request, in seconds
    tokens: list[str] | None = None
    count: int | None = None  # end after so many requests, whatever seconds is


@dataclass
class Outcome:
    """The responses per second, and how long they took, in milliseconds."""

    rate: float
    p50: float
    p95: float


def request(method: str, path: str, body: Any = None, **headers: str) -> str:
    """Return a request as it is transmitted; in the name of a header `_` becomes `-`.

    The body is text, or is sent as JSON.
    """
    content = "" if body is None else body if isinstance(body, str) else json.dumps(body)
    if content:
        headers = {"Content_Type": "application/json", **headers}
    headers["Content_Length"] = str(len(content.encode()))
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", content])


def run(load: Load) -> Outcome:
    """Run the clients and wait; raises RuntimeError after any response except a 200 or 202."""
    command = [sys.executable, "-m", "bench.load"]
    done = subprocess.run(command, input=json.dumps(asdict(load)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Outcome(**json.loads(done.stdout))


class Client:
    """A connection that is kept for a while, its last request and the response to it."""

    def __init__(self, load: Load, number: int, selector: selectors.BaseSelector) -> None:
        """Send the first request."""
        self.seconds = 0.0  # that the last response took
        self._load, self._next, self._selector = load, number, selector
        self._token = load.tokens[number] if load.tokens else ""
        self._sent = 0
        self._connect()
        self.send()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._load.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(self._socket, selectors.EVENT_READ, self)

    def send(self) -> None:
        """Send the next request."""
        if self._sent and self._sent % REQUESTS_PER_CONNECTION == 0:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._connect()
        text = self._load.requests[self._next % len(self._load.requests)]
        self._next += self._load.clients
        self._sent += 1
        self._received = b""
        self._sent_at = time.perf_counter()
        self._socket.sendall(text.replace(TOKEN, self._token).encode())

    def receive(self) -> bool:
        """Read what has arrived; return whether the response is complete.

        Raises:
            RuntimeError: the connection was closed, or the status is not 200 or 202.
        """
        received = self._socket.recv(1 << 18)
        if not received:
            raise RuntimeError(f"Closed after {self._received!r}")
        self._received += received
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _content_length(head):
            return False
        self.seconds = time.perf_counter() - self._sent_at
        if head.split(b" ", 2)[1] not in (b"200", b"202"):
            raise RuntimeError(self._received.decode())
        if self._load.tokens:
            self._token = json.loads(body)["refresh_token"]
        return True


def _content_length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].split(b"\r", 1)[0])


def _run(load: Load) -> Outcome:
    """Send requests until time or count is reached; then wait for the responses still due."""
    selector = selectors.DefaultSelector()
    begin = time.perf_counter()
    clients = [Client(load, number, selector) for number in range(load.clients)]
    durations: list[float] = []
    sent, pausing = len(clients), deque[tuple[float, Client]]()
    while sent > len(durations):
        now = time.perf_counter()
        while pausing and pausing[0][0] <= now:
            pausing.popleft()[1].send()
        for key, _ in selector.select(pausing[0][0] - now if pausing else None):
            client = key.data
            if not client.receive():
                continue
            durations.append(client.seconds)
            if sent < load.count if load.count else now - begin < load.seconds:
                sent += 1
                pausing.append((time.perf_counter() + load.pause, client))
    return _outcome(durations, time.perf_counter() - begin)


def _outcome(durations: list[float], seconds: float) -> Outcome:
    milliseconds = sorted(1000 * duration for duration in durations)
    p95 = milliseconds[int(len(milliseconds) * 0.95)]
    return Outcome(len(milliseconds) / seconds, statistics.median(milliseconds), p95)


if __name__ == "__main__":
    print(json.dumps(asdict(_run(Load(**json.load(sys.stdin))))))
