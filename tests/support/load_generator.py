"""Clients that send the next request as soon as they have a response, in a process of their own.

`python -m tests.support.load_generator PORT CLIENTS SECONDS REQUEST` prints how long it took until
the last response, and status → seconds of each response, as JSON.
"""

import http.client
import json
import secrets
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable

from tests.support.processes import HOME

JSON = {"Content-Type": "application/json"}

Send = Callable[[http.client.HTTPConnection], None]


def movies(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/api/movies")


def login(connection: http.client.HTTPConnection) -> None:
    fields = {"email": f"{secrets.token_hex(8)}@example.com", "password": "wrong"}
    connection.request("POST", "/api/auth/login", json.dumps(fields), JSON)


REQUESTS = {"movies": movies, "login": login}


def start(port: int, clients: int, seconds: float, send: Send) -> "subprocess.Popen[str]":
    """Start clients; send is one of the functions above."""
    arguments = [str(port), str(clients), str(seconds), send.__name__]
    command = [sys.executable, "-m", "tests.support.load_generator", *arguments]
    return subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, text=True)


def responses(generator: "subprocess.Popen[str]") -> tuple[float, dict[int, list[float]]]:
    """Return, when all have ended, how long it took and status → seconds of each response."""
    seconds, by_status = json.loads(generator.communicate()[0])
    return seconds, {int(status): sorted(times) for status, times in by_status.items()}


def _run_client(port: int, send: Send, until: float, by_status: dict[int, list[float]]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while (begin := time.monotonic()) < until:
        send(connection)
        response = connection.getresponse()
        response.read()
        by_status[response.status].append(time.monotonic() - begin)


def _main(port: str, clients: str, seconds: str, request: str) -> None:
    begin, by_status = time.monotonic(), defaultdict(list)
    arguments = int(port), REQUESTS[request], begin + float(seconds), by_status
    threads = [threading.Thread(target=_run_client, args=arguments) for _ in range(int(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps([time.monotonic() - begin, by_status]))


if __name__ == "__main__":
    _main(*sys.argv[1:])
