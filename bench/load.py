"""Clients that each ask again once they are answered: a closed loop, in a process of its own.

One thread and a selector, so that the clients take as little of the machine as they can.
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
# Then a client connects anew: of a server's processes now one gets more of them, now another.
REQUESTS_A_CONNECTION = 100
TOKEN = "{token}"


@dataclass
class Load:
    """What to ask whom, and for how long. Each client goes through the requests in turn.

    TOKEN in a request stands for the refresh token of the client's last answer.
    """

    port: int
    requests: list[str]
    clients: int = CLIENTS
    seconds: float = SECONDS
    pause: float = 0  # of a client between an answer and what it asks next, in seconds
    tokens: list[str] | None = None
    count: int | None = None  # end after so many, whatever seconds says


@dataclass
class Outcome:
    """What came of a load: answers a second, and how long they took, in milliseconds."""

    rate: float
    p50: float
    p95: float


def request(method: str, path: str, body: Any = None, **headers: str) -> str:
    """Return a request as it goes over the wire; of a header's name `_` becomes `-`.

    The body is text, or goes as JSON.
    """
    content = "" if body is None else body if isinstance(body, str) else json.dumps(body)
    if content:
        headers = {"Content_Type": "application/json", **headers}
    headers["Content_Length"] = str(len(content.encode()))
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", content])


def run(load: Load) -> Outcome:
    """Put the clients to work and wait; raises RuntimeError for any answer but a 200."""
    command = [sys.executable, "-m", "bench.load"]
    done = subprocess.run(command, input=json.dumps(asdict(load)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Outcome(**json.loads(done.stdout))


class Client:
    """A connection that is kept for a while, and what was asked and answered on it."""

    def __init__(self, load: Load, number: int, selector: selectors.BaseSelector) -> None:
        """Ask for the first time."""
        self.took = 0.0  # by the last answer, in seconds
        self._load, self._turn, self._selector = load, number, selector
        self._token = load.tokens[number] if load.tokens else ""
        self._asked = 0
        self._connect()
        self.ask()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._load.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(self._socket, selectors.EVENT_READ, self)

    def ask(self) -> None:
        """Ask for the next time."""
        if self._asked and self._asked % REQUESTS_A_CONNECTION == 0:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._connect()
        text = self._load.requests[self._turn % len(self._load.requests)]
        self._turn += self._load.clients
        self._asked += 1
        self._received = b""
        self._began = time.perf_counter()
        self._socket.sendall(text.replace(TOKEN, self._token).encode())

    def read(self) -> bool:
        """Take in what has come; say whether the answer is whole. Raises RuntimeError."""
        received = self._socket.recv(1 << 18)
        if not received:
            raise RuntimeError(f"Closed after {self._received!r}")
        self._received += received
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return False
        self.took = time.perf_counter() - self._began
        if head.split(b" ", 2)[1] not in (b"200", b"202"):
            raise RuntimeError(self._received.decode())
        if self._load.tokens:
            self._token = json.loads(body)["refresh_token"]
        return True


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].split(b"\r", 1)[0])


def _run(load: Load) -> Outcome:
    """Ask until the time is up or enough was asked; then wait for the answers still due."""
    selector = selectors.DefaultSelector()
    begin = time.perf_counter()
    clients = [Client(load, number, selector) for number in range(load.clients)]
    done: list[float] = []
    asked, resting = len(clients), deque[tuple[float, Client]]()
    while asked > len(done):
        now = time.perf_counter()
        while resting and resting[0][0] <= now:
            _, client = resting.popleft()
            client.ask()
        for key, _ in selector.select(resting[0][0] - now if resting else None):
            client = key.data
            if not client.read():
                continue
            done.append(client.took)
            if asked < load.count if load.count else now - begin < load.seconds:
                asked += 1
                resting.append((time.perf_counter() + load.pause, client))
    milliseconds = sorted(1000 * each for each in done)
    rate = len(done) / (time.perf_counter() - begin)
    p95 = milliseconds[int(len(done) * 0.95)]
    return Outcome(rate, statistics.median(milliseconds), p95)


if __name__ == "__main__":
    print(json.dumps(asdict(_run(Load(**json.load(sys.stdin))))))
