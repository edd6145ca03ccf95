"""The product as users start it, in processes of its own: `python run.py`, or gunicorn."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests

from config import SettingsSchema
from setting_sources import RENAMED_SETTINGS

HOME = Path(__file__).parent.parent.parent
START_SECONDS = 30


class Server:
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
            self._wait_until_it_responds()
        except BaseException:
            self.kill()
            raise

    def _wait_until_it_responds(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            try:
                requests.get(self.url, timeout=5)
                return
            except (requests.ConnectionError, requests.Timeout):
                time.sleep(0.02)

    def post(self, path: str, **fields: Any) -> requests.Response:
        return requests.post(self.url + path, json=fields, timeout=30)

    def kill(self) -> None:
        """End it and all its processes, as a power cut does."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> int:
        """End it as an operator does; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


class GunicornServer(Server):
    """A gunicorn with two workers."""

    command = (sys.executable, "-m", "gunicorn", "--workers", "2")

    def workers(self) -> list[int]:
        """Return the processes that were started to answer requests."""
        return [
            int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", self.log.read_text())
        ]


def environment(**settings: Any) -> dict[str, str]:
    """Return an environment with these settings and none of the machine's own."""
    ours = {*SettingsSchema().fields, *RENAMED_SETTINGS}
    others = {name: text for name, text in os.environ.items() if name not in ours}
    return others | {name: str(value) for name, value in settings.items() if value is not None}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def database_processes(data_dir: Path, *, supervisor: bool = False) -> list[int]:
    """Return the process ids of the embedded server in data_dir, and of its supervisor."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        wanted = supervisor or b"supervisor.py" not in command
        if wanted and f"{data_dir}/database".encode() in command:
            found.append(int(process.name))
    return found


# Of a process: its memory with its part of what it shares with others, and what it alone has.
PSS = ("Pss",)
OWN = ("Private_Clean", "Private_Dirty")


def megabytes(pid: int, kinds: tuple[str, ...] = PSS) -> float:
    """Return the memory of a process, of some kinds (proc_pid_smaps(5))."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(rollup.partition(f"\n{kind}:")[2].split()[0]) for kind in kinds) / 1024
