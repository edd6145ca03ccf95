"""Servers that crash at a step of a request, by `kill -9`.

Run as a program, it imports the product once, and forks a server for each line of standard input:
the number of the database command after which the server crashes.
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
from tests.support.processes import HOME, environment


class Failpoint(monitoring.CommandListener):
    """Kills the process after the n-th command of a request; the worker's do not count."""

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
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forks that have ended leave no zombies
    for line in sys.stdin:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            if pid := os.fork():
                print(pid, listener.getsockname()[1], flush=True)
            else:
                monitoring.register(Failpoint(int(line)))
                waitress.create_server(create_app(), sockets=[listener]).run()


class CrashingServer:
    """One of the servers."""

    def __init__(self, pid: int, port: int) -> None:
        self._pid, self._url = pid, f"http://127.0.0.1:{port}"

    def request(self, method: str, path: str, token: str = "", **fields: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = self._url + path
        return requests.request(method, url, headers=headers, json=fields, timeout=30)

    def crashes_on(self, *request: Any, **fields: Any) -> bool:
        """Return whether a request made the server crash; a response must be a 200."""
        try:
            assert self.request(*request, **fields).status_code == 200
        except requests.ConnectionError:
            return True
        return False

    def kill(self) -> None:
        """Kill the server if it still runs."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)


class CrashingServers:
    """The program that forks the servers, with the settings given."""

    def __init__(self, **settings: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.crashing_server"],
            cwd=HOME,
            env=environment(**settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def start(self, number: int = 0) -> CrashingServer:
        """Start a server that crashes after so many commands of a request; with 0, never."""
        print(number, file=self._process.stdin, flush=True)
        return CrashingServer(*map(int, self._process.stdout.readline().split()))

    def kill(self) -> None:
        """Kill the program and all its servers."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


if __name__ == "__main__":
    main()
