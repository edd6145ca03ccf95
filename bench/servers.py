"""What is measured, in processes of its own: servers under gunicorn, and a mail server."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.servers import HOME, environment
from tests.smtp import free_port

START_SECONDS = 30.0
GUNICORN = [sys.executable, "-m", "gunicorn"]
# Limits as in production, only so wide that they refuse nobody.
LIMITED = [
    *("LOGIN_PER_ADDRESS", "LOGIN_PER_IP", "FORGOT_PER_ADDRESS", "FORGOT_PER_IP"),
    "REFRESH_PER_IP",
]
SETTINGS: dict[str, Any] = {
    "APP_ENV": "production",
    "JWT_SECRET_KEY": "a key for measurements of more than 32 bytes",
    "PUBLIC_URL": "https://movie-bag.example",
    "MAIL_SERVER": "127.0.0.1",
    **{f"RATELIMIT_{name}": "1000000 per second" for name in LIMITED},
}


class Server:
    """A command that listens on PORT, with its log in a file of folder."""

    def __init__(self, folder: Path, *command: str, cwd: Path = HOME, **env: Any) -> None:
        """Start it, and wait until it listens. Raises RuntimeError with its log if it does not."""
        self.port = free_port()
        self._log = folder / f"{self.port}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [part.replace("PORT", str(self.port)) for part in command],
                cwd=cwd,
                env=environment(**{**env, "PORT": self.port}),
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while not _listens(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self._log.read_text())
            time.sleep(0.05)

    def worker(self) -> int:
        """Return a process that answers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text().split()[0])

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()

    def said(self) -> list[Any]:
        """Return the lines of its log, which are JSON."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]


def product(folder: Path, workers: int = 2, threads: int = 4, **env: Any) -> Server:
    """Serve the product."""
    command = [*GUNICORN, "--bind", "127.0.0.1:PORT", *_size(workers, threads)]
    return Server(folder, *command, **{**SETTINGS, **env})


def bare(folder: Path, **env: Any) -> Server:
    """Serve the limits as the product is served, but for gunicorn.conf.py, which is not there."""
    worker = ["--pythonpath", str(HOME), "--worker-class", "worker.Worker"]
    command = [*GUNICORN, "--bind", "127.0.0.1:PORT", *_size(2, 4), *worker, "bare:app"]
    return Server(folder, *command, cwd=HOME / "bench", **{**SETTINGS, **env})


def sink(folder: Path, seconds_a_mail: float = 0) -> Server:
    """Take mails, and tell of each in a line of the log."""
    command = [sys.executable, "-m", "bench.sink", "PORT", str(seconds_a_mail)]
    return Server(folder, *command)


def _size(workers: int, threads: int) -> list[str]:
    return ["--workers", str(workers), "--threads", str(threads)]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
