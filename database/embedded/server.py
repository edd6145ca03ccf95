"""A database that needs no installation: a `mongod` from PATH, else nx-27017 over SQLite files.

For trying out, development and tests; production names a MongoDB in MONGODB_URI.

The process that holds the lock on DATA_DIR owns the server and restarts it when it ends. Other
processes share it, and one of them takes over when the owner ends. The supervisor holds the lock
too, so no second server starts on the same files before the first has ended.
"""

import fcntl
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

START_SECONDS = 30.0
WATCH_SECONDS = 0.2
# Only a replica set retries writes. On a standalone server pymongo 4.20 takes the error of a
# retried write for a second outage, and needs half a minute to recover under load.
OPTIONS = "?retryWrites=false"
SUPERVISOR = Path(__file__).with_name("supervisor.py")
LAUNCHER = Path(__file__).with_name("launcher.py")

logger = logging.getLogger(__name__)


class EmbeddedDatabase:
    """A database server on loopback with its files in data_dir."""

    def __init__(self, data_dir: Path) -> None:
        self._dir = data_dir / "database"
        self._lock: int | None = None
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="database", daemon=True)

    @staticmethod
    def exists(data_dir: Path) -> bool:
        """Return whether data_dir has a database."""
        return (data_dir / "database").is_dir()

    def start(self) -> str:
        """Start the server, or find the running one; return its URI.

        Raises:
            TimeoutError: No server accepts connections within START_SECONDS.
        """
        self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        deadline = time.monotonic() + START_SECONDS
        self._ensure_owned()
        while not self._is_listening():
            if time.monotonic() > deadline:
                raise TimeoutError(f"The embedded database did not start; see {self._dir}/log")
            time.sleep(WATCH_SECONDS / 10)
            self._ensure_owned()
        self._watcher.start()
        return f"mongodb://127.0.0.1:{self._port()}/{OPTIONS}"

    def stop(self) -> None:
        """Stop the server if this process owns it, and wait until it has ended."""
        self._stopping.set()
        self._watcher.join()
        if self._supervisor is not None:
            self._supervisor.communicate()
        if self._lock is not None:
            os.close(self._lock)

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_SECONDS):
            try:
                self._ensure_owned()
            except OSError:
                logger.exception("The embedded database can't be started; will retry")

    def _ensure_owned(self) -> None:
        """Become the owner if there is none, and restart an owned server that has ended."""
        if self._lock is None:
            self._lock = _lock(self._dir / "lock")
        if self._lock is None:
            return
        if self._supervisor is not None and self._supervisor.poll() is not None:
            logger.warning("The embedded database has ended; restarting it")
            _kill_group(self._supervisor)
            self._supervisor = None
        self._supervisor = self._supervisor or self._launch(self._lock)

    def _launch(self, lock: int) -> "subprocess.Popen[bytes]":
        # After the first start the port never changes, because clients have it in their URI.
        port = self._port() if self._watcher.is_alive() else _free_port(self._port())
        (self._dir / "port").write_text(str(port))
        with (self._dir / "log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, SUPERVISOR, *_command(self._dir, port)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[lock],
                start_new_session=True,  # Ctrl-C in the terminal must not stop it before the owner
            )

    def _port(self) -> int:
        """Return the port in use or last used; 0 before the first start."""
        try:
            return int((self._dir / "port").read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def _is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port())) == 0


def _command(directory: Path, port: int) -> list[str]:
    """Return the server's command line: the files of one server can't be read by the other."""
    mongod, nx_files = shutil.which("mongod"), directory / "nx"
    if mongod and not nx_files.exists():
        files = directory / "mongod"
        files.mkdir(exist_ok=True)
        return [mongod, "--dbpath", str(files), "--bind_ip", "127.0.0.1", "--port", str(port)]
    nx_files.mkdir(exist_ok=True)
    pid_file = directory / "nx.pid"
    pid_file.unlink(missing_ok=True)  # nx-27017 refuses to start when it finds a stale one
    arguments = ["--threaded", "--data-dir", nx_files, "--port", port, "--pid-file", pid_file]
    return [sys.executable, str(LAUNCHER), *map(str, arguments), "--log-file", os.devnull]


def _kill_group(supervisor: "subprocess.Popen[bytes]") -> None:
    """Kill the server of a supervisor that has ended (a killed one leaves its server running)."""
    with suppress(ProcessLookupError):
        os.killpg(supervisor.pid, signal.SIGKILL)
    supervisor.communicate()


def _lock(path: Path) -> int | None:
    """Lock a file for this process and return its descriptor; None if another holds the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _free_port(preferred: int) -> int:
    """Return the preferred port if it is free, so that URIs stay valid; else any free port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            return _free_port(0)
        return int(probe.getsockname()[1])
