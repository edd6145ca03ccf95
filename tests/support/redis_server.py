"""A Redis of the tests' own."""

import shutil
import socket
import subprocess
import time

import pytest

from tests.support.processes import free_port

START_SECONDS = 10


class Redis:
    """A `redis-server` that keeps nothing on disk; it may end and start again on its port."""

    def __init__(self) -> None:
        if shutil.which("redis-server") is None:
            pytest.skip("there is no redis-server on PATH")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_listening():
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.02)

    def _is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """End it, also while it is stopped by a signal."""
        self.process.kill()
        self.process.wait()
