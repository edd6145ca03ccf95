"""Clients in a process of their own: in a closed loop, or at a rate that is offered.

One thread and a selector, so that the clients take as little of the machine as possible.
"""

import heapq
import json
import random
import selectors
import socket
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
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

    Without a rate, a client sends the next request after a response. With one, requests come at
    random times, as those of independent users, however slow the server is: a request that its
    client sends late, because it still waits for a response, takes the time since it was due.

    TOKEN in a request stands for the refresh token of the client's last response.
    """

    port: int
    requests: list[str]
    clients: int = CLIENTS
    seconds: float = SECONDS
    pause: float = 0  # of a client between a response and its next request, in seconds
    rate: float | None = None  # requests per second of all clients together
    tokens: list[str] | None = None
    count: int | None = None  # end after so many requests, whatever seconds is


@dataclass
class Outcome:
    """The responses per second, and how long they took, in milliseconds."""

    rate: float
    p50: float
    p95: float
    p99: float


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
    """Run the clients and wait; raises RuntimeError after any response except a 200, 202 or 204."""
    command = [sys.executable, "-m", "bench.load"]
    done = subprocess.run(command, input=json.dumps(asdict(load)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Outcome(**json.loads(done.stdout))


def run_together(*loads: Load) -> list[Outcome]:
    """Run the clients of several loads at the same time, those of each in a process."""
    with ThreadPoolExecutor(len(loads)) as pool:
        return list(pool.map(run, loads))


class Client:
    """A connection that is kept for a while, its last request and the response to it."""

    def __init__(self, load: Load, number: int, selector: selectors.BaseSelector) -> None:
        """Schedule the first request."""
        self.number = number
        self.seconds = 0.0  # that the last response took
        self.due = time.perf_counter()  # when the next request is to be sent
        self._load, self._next, self._selector = load, number, selector
        self._token = load.tokens[number] if load.tokens else ""
        self._sent = 0
        self._random = random.Random(number)  # noqa: S311  # the same times in each run
        self._schedule()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._load.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(self._socket, selectors.EVENT_READ, self)

    def close(self) -> None:
        """Close the connection, which a server may do first while no request follows."""
        self._selector.unregister(self._socket)
        self._socket.close()

    def _schedule(self) -> None:
        if self._load.rate:
            self.due += self._random.expovariate(self._load.rate / self._load.clients)
        elif self._sent:
            self.due = time.perf_counter() + self._load.pause

    def send(self) -> None:
        """Send the next request; connect only now, because a server's thread may wait for it."""
        if self._sent % REQUESTS_PER_CONNECTION == 0:
            if self._sent:
                self.close()
            self._connect()
        text = self._load.requests[self._next % len(self._load.requests)]
        self._next += self._load.clients
        self._sent += 1
        self._received = b""
        self._began = self.due if self._load.rate else time.perf_counter()
        self._socket.sendall(text.replace(TOKEN, self._token).encode())

    def receive(self) -> bool:
        """Read what has arrived; return whether the response is complete.

        Raises:
            RuntimeError: the connection was closed, or the status is not 200, 202 or 204.
        """
        received = self._socket.recv(1 << 18)
        if not received:
            raise RuntimeError(f"Closed after {self._received!r}")
        self._received += received
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or not _is_complete(head.lower(), body):
            return False
        self.seconds = time.perf_counter() - self._began
        self._schedule()
        if head.split(b" ", 2)[1] not in (b"200", b"202", b"204"):
            raise RuntimeError(self._received.decode())
        if self._load.tokens:
            self._token = json.loads(body)["refresh_token"]
        return True


def _is_complete(head: bytes, body: bytes) -> bool:
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    length = head.partition(b"content-length:")[2].split(b"\r", 1)[0]
    return len(body) >= int(length or 0)  # a 204 has none


def _run(load: Load) -> Outcome:
    """Send requests until time or count is reached; then wait for the responses still due."""
    selector = selectors.SelectSelector()  # its timeout is exact, epoll's is in milliseconds
    begin = time.perf_counter()
    clients = [Client(load, number, selector) for number in range(load.clients)]
    waiting = [(client.due, number) for number, client in enumerate(clients)]
    heapq.heapify(waiting)
    durations: list[float] = []
    sent, in_time = len(clients), 0
    while sent > len(durations):
        while waiting and waiting[0][0] <= time.perf_counter():
            clients[heapq.heappop(waiting)[1]].send()
        pause = max(0, waiting[0][0] - time.perf_counter()) if waiting else None
        for key, _ in selector.select(pause):
            client = key.data
            if not client.receive():
                continue
            durations.append(client.seconds)
            in_time += time.perf_counter() < begin + load.seconds
            if sent < load.count if load.count else client.due < begin + load.seconds:
                sent += 1
                heapq.heappush(waiting, (client.due, client.number))
            else:
                client.close()
    seconds = time.perf_counter() - begin
    return _outcome(durations, len(durations) / seconds if load.count else in_time / load.seconds)


def _outcome(durations: list[float], rate: float) -> Outcome:
    milliseconds = sorted(1000 * duration for duration in durations)
    p95, p99 = (milliseconds[int(len(milliseconds) * share)] for share in (0.95, 0.99))
    return Outcome(rate, statistics.median(milliseconds), p95, p99)


if __name__ == "__main__":
    print(json.dumps(asdict(_run(Load(**json.load(sys.stdin))))))
