"""Clients that ask again as soon as they are answered, in a process of their own.

`python -m tests.hammer PORT CLIENTS SECONDS KIND` prints how long it took until the last answer,
and status → seconds of each answer, as JSON.
"""

import http.client
import json
import secrets
import subprocess
import sys
import threading
import time
from collections import defaultdict

from tests.servers import HOME

JSON = {"Content-Type": "application/json"}


def movies(connection):
    connection.request("GET", "/api/movies")


def login(connection):
    fields = {"email": f"{secrets.token_hex(8)}@example.com", "password": "wrong"}
    connection.request("POST", "/api/auth/login", json.dumps(fields), JSON)


def start(port, clients, seconds, ask):
    """Begin; ask is one of the functions above."""
    arguments = [str(port), str(clients), str(seconds), ask.__name__]
    command = [sys.executable, "-m", "tests.hammer", *arguments]
    return subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, text=True)


def answers(hammer):
    """Return, once it has ended, how long it took and status → seconds of each answer."""
    seconds, answered = json.loads(hammer.communicate()[0])
    return seconds, {int(status): sorted(times) for status, times in answered.items()}


def _hammer(port, ask, until, answered):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while (begin := time.monotonic()) < until:
        ask(connection)
        answer = connection.getresponse()
        answer.read()
        answered[answer.status].append(time.monotonic() - begin)


def _main(port, clients, seconds, ask):
    answered, begin = defaultdict(list), time.monotonic()
    arguments = int(port), {"movies": movies, "login": login}[ask], begin + float(seconds), answered
    threads = [threading.Thread(target=_hammer, args=arguments) for _ in range(int(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps([time.monotonic() - begin, answered]))


if __name__ == "__main__":
    _main(*sys.argv[1:])
