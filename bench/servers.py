"""What is measured, in processes of its own: servers under gunicorn, and a mail server."""

import json
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.support.processes import HOME, environment, free_port

START_SECONDS = 30.0
GUNICORN = [sys.executable, "-m", "gunicorn"]
OWN_WORKER = ["--pythonpath", str(HOME), "--worker-class", "deploy.gunicorn_worker.Worker"]
# Limits are counted as in production, but so wide that they refuse no request.
LIMITED = [
    "LOGIN_PER_EMAIL",
    "LOGIN_PER_IP",
    "FORGOT_PER_EMAIL",
    "FORGOT_PER_IP",
    "REFRESH_PER_IP",
]
SETTINGS: dict[str, Any] = {
    "APP_ENV": "production",
    "JWT_SECRET_KEY": secrets.token_urlsafe(),
    "PUBLIC_URL": "https://movie-bag.example",
    "MAIL_SERVER": "127.0.0.1",
    **{f"RATELIMIT_{name}": "1000000 per second" for name in LIMITED},
}


class Server:
    """A command that listens on PORT, with its log in a file of folder."""

    def __init__(self, folder: Path, *command: str, cwd: Path = HOME, **env: Any) -> None:
        """Start it, and wait until it listens; raises RuntimeError with its log if it does not."""
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
        while not _is_listening(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self._log.read_text())
            time.sleep(0.05)

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def worker(self) -> int:
        """Return the process id of a worker."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text().split()[0])

    def stop(self) -> None:
        """Stop it, and wait until it has ended."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()

    def log_size(self) -> int:
        """Return how many bytes its log has."""
        return self._log.stat().st_size

    def log_lines(self) -> list[Any]:
        """Return the lines of its log, which are JSON."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]


def start_product(folder: Path, workers: int = 2, threads: int = 4, **env: Any) -> Server:
    """Serve the product."""
    command = [*GUNICORN, "--bind", "127.0.0.1:PORT", *_size(workers, threads)]
    return Server(folder, *command, **{**SETTINGS, **env})


def start_bare(folder: Path, *options: str, **env: Any) -> Server:
    """Serve the bounds with gunicorn's own worker, which is gthread if there are threads.

    The folder has no gunicorn.conf.py, and gunicorn writes no access log by itself.
    """
    command = [*GUNICORN, "--bind", "127.0.0.1:PORT", *_size(2, 4), *options, "bare:app"]
    return Server(folder, *command, cwd=HOME / "bench", **{**SETTINGS, **env})


def start_sink(folder: Path, seconds_per_email: float = 0) -> Server:
    """Accept emails, and print a line of the log for each."""
    command = [sys.executable, "-m", "bench.sink", "PORT", str(seconds_per_email)]
    return Server(folder, *command)


def _size(workers: int, threads: int) -> list[str]:
    return ["--workers", str(workers), "--threads", str(threads)]


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
