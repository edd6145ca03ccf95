"""The product as users start it: `python run.py` in a process of its own."""

import os
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

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = settings
        self.port = settings.setdefault("PORT", free_port())
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_dir = Path(settings.setdefault("DATA_DIR", folder / "data"))
        self.log = folder / f"log-{time.monotonic_ns()}"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, HOME / "run.py"],
                env=environment(**settings),
                stdout=log,
                stderr=log,
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
        """End it as a crash or a power cut does."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """End it as an operator does; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def environment(**settings: Any) -> dict[str, str]:
    """Return an environment with these settings and none of the machine's own."""
    from config import SettingsSchema

    kept = {name: text for name, text in os.environ.items() if name not in SettingsSchema().fields}
    return kept | {name: str(value) for name, value in settings.items() if value is not None}
