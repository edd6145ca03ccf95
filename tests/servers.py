"""The product as users start it, in processes of its own: `python run.py`, or gunicorn."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests

from tests.smtp import free_port

HOME = Path(__file__).parent.parent
START_SECONDS = 30


class Running:
    """A `run.py` with the settings given, its log in a file."""

    command = (sys.executable, HOME / "run.py")

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = settings
        self.port = settings.setdefault("PORT", free_port())
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_dir = Path(settings.setdefault("DATA_DIR", folder / "data"))
        self.log = folder / f"log-{time.monotonic_ns()}"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=HOME,
                env=environment(**settings),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.kill()
            raise

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            try:
                requests.get(self.url, timeout=5)
                return
            except requests.ConnectionError:
                time.sleep(0.02)

    def post(self, path: str, **fields: Any) -> requests.Response:
        return requests.post(self.url + path, json=fields, timeout=30)

    def kill(self) -> None:
        """End it as a crash or a power cut does, with all its processes."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> int:
        """End it as an operator does; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


class Machine(Running):
    """A gunicorn with two workers, as on a machine of its own."""

    command = (sys.executable, "-m", "gunicorn", "--workers", "2")

    def workers(self) -> list[int]:
        """Return the processes that were started to answer requests."""
        return [
            int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", self.log.read_text())
        ]


def environment(**settings: Any) -> dict[str, str]:
    """Return an environment with these settings and none of the machine's own."""
    from config import SettingsSchema

    kept = {name: text for name, text in os.environ.items() if name not in SettingsSchema().fields}
    return kept | {name: str(value) for name, value in settings.items() if value is not None}
