"""Clients that log in again as soon as they have a response, in a process of their own.

`python -m tests.support.load_generator PORT CLIENTS` does so until it is killed.
"""

import http.client
import json
import secrets
import subprocess
import sys
import threading

from tests.support.processes import HOME

JSON = {"Content-Type": "application/json"}


def start(port: int, clients: int) -> "subprocess.Popen[bytes]":
    """Start so many clients."""
    command = [sys.executable, "-m", "tests.support.load_generator", str(port), str(clients)]
    return subprocess.Popen(command, cwd=HOME)


def _log_in_again_and_again(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while True:
        fields = {"email": f"{secrets.token_hex(8)}@example.com", "password": "wrong"}
        connection.request("POST", "/api/auth/login", json.dumps(fields), JSON)
        connection.getresponse().read()


def _main(port: str, clients: str) -> None:
    for _ in range(int(clients)):
        threading.Thread(target=_log_in_again_and_again, args=[int(port)]).start()


if __name__ == "__main__":
    _main(*sys.argv[1:])
