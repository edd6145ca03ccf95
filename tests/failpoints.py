"""Servers that die at a step of a request, by `kill -9`.

Run as a program, it imports the product once, and forks a server for each line of standard input:
the number of the database command after which it dies.
"""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import Any

import requests
import waitress
from flask import has_request_context
from pymongo import monitoring

from app import create_app
from tests.servers import HOME, environment


class Failpoint(monitoring.CommandListener):
    """Kills the process when the n-th command of a request is done; the outbox's do not count."""

    def __init__(self, number: int) -> None:
        self._left = number

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        pass

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        if has_request_context():
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    failed = succeeded


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead need no burial
    for line in sys.stdin:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            if pid := os.fork():
                print(pid, listener.getsockname()[1], flush=True)
            else:
                monitoring.register(Failpoint(int(line)))
                waitress.create_server(create_app(), sockets=[listener]).run()


class Mortal:
    """One of the servers."""

    def __init__(self, pid: int, port: int) -> None:
        self._pid, self._url = pid, f"http://127.0.0.1:{port}"

    def ask(self, method: str, path: str, token: str = "", **fields: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = self._url + path
        return requests.request(method, url, headers=headers, json=fields, timeout=30)

    def dies_of(self, *request: Any, **fields: Any) -> bool:
        """Say whether it died of a request; an answer must be a 200."""
        try:
            assert self.ask(*request, **fields).status_code == 200
        except requests.ConnectionError:
            return True
        return False

    def kill(self) -> None:
        """End it, should it still live."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)


class Mortals:
    """The program that forks them, with the settings given."""

    def __init__(self, **settings: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.failpoints"],
            cwd=HOME,
            env=environment(**settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def start(self, number: int = 0) -> Mortal:
        """Start one that dies after so many commands of a request; with 0, of none."""
        print(number, file=self._process.stdin, flush=True)
        return Mortal(*map(int, self._process.stdout.readline().split()))

    def end(self) -> None:
        """End the program and every server of it."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


if __name__ == "__main__":
    main()
