"""The database that needs no installing: a `mongod` from PATH, else NX-27017 over SQLite files.

For trying out, development and tests; real use names a MongoDB in MONGODB_URI.

The process that holds the lock on DATA_DIR owns the server, watches it and starts it again;
others use it, and one of them takes over when the owner ends. Between owner and server stands
a guardian (this file, run as a program) that ends the server once its owner is gone, even by
`kill -9`: it reads a pipe that closes then. It holds the lock too, so nobody starts a second
server over the same files before the first has ended.
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
# Writes are retried on replica sets only. Asked to, on a single server, pymongo 4.20 raises the
# first try's error from the second's connection, takes that for one more outage, and after an
# outage under load is half a minute late in coming back.
OPTIONS = "?retryWrites=false"
# Its own launcher writes a log line or two for each command, and has no switch for that.
NX = "import logging, nx_27017.nx_27017 as nx; logging.disable(logging.INFO); nx.main()"

logger = logging.getLogger(__name__)


class EmbeddedDatabase:
    """A database server on loopback with its files in data_dir."""

    def __init__(self, data_dir: Path) -> None:
        """Start nothing yet."""
        self._dir = data_dir / "database"
        self._lock: int | None = None
        self._guardian: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="database", daemon=True)

    def start(self) -> str:
        """Start the server, or find the one that runs already; return its URI.

        Raises TimeoutError when none answers within START_SECONDS.
        """
        self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        deadline = time.monotonic() + START_SECONDS
        self._own()
        while not self._answers():
            if time.monotonic() > deadline:
                raise TimeoutError(f"The embedded database did not start; see {self._dir}/log")
            time.sleep(WATCH_SECONDS / 10)
            self._own()
        self._watcher.start()
        return f"mongodb://127.0.0.1:{self._port()}/{OPTIONS}"

    def stop(self) -> None:
        """End the server if this process owns it, and wait until it has ended."""
        self._stopping.set()
        self._watcher.join()
        if self._guardian is not None:
            self._guardian.communicate()
        if self._lock is not None:
            os.close(self._lock)

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_SECONDS):
            try:
                self._own()
            except OSError:
                logger.exception("The embedded database can't be started; trying on")

    def _own(self) -> None:
        """Become the owner if there is none, and see to it that what is owned runs."""
        if self._lock is None:
            self._lock = _lock(self._dir / "lock")
        if self._lock is None:
            return
        if self._guardian is not None and self._guardian.poll() is not None:
            logger.warning("The embedded database has ended; starting it again")
            with suppress(ProcessLookupError):  # if the guardian was killed, the server lives
                os.killpg(self._guardian.pid, signal.SIGKILL)
            self._guardian.communicate()
            self._guardian = None
        self._guardian = self._guardian or self._launch(self._lock)

    def _launch(self, lock: int) -> "subprocess.Popen[bytes]":
        # Once it was told, the port stays: clients have it.
        port = self._port() if self._watcher.is_alive() else _free_port(self._port())
        (self._dir / "port").write_text(str(port))
        with (self._dir / "log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, __file__, *_command(self._dir, port)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[lock],
                start_new_session=True,  # a Ctrl-C in the terminal must not end it first
            )

    def _port(self) -> int:
        """Return the port in use, or last used; 0 before the first start."""
        try:
            return int((self._dir / "port").read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port())) == 0


def _command(directory: Path, port: int) -> list[str]:
    """Return the server's command line; the files of one kind are no use to the other."""
    mongod, nx_files = shutil.which("mongod"), directory / "nx"
    if mongod and not nx_files.exists():
        files = directory / "mongod"
        files.mkdir(exist_ok=True)
        return [mongod, "--dbpath", str(files), "--bind_ip", "127.0.0.1", "--port", str(port)]
    nx_files.mkdir(exist_ok=True)
    pid_file = directory / "nx.pid"
    pid_file.unlink(missing_ok=True)  # a stale one would stop the start
    arguments = ["--threaded", "--data-dir", nx_files, "--port", port, "--pid-file", pid_file]
    return [sys.executable, "-c", NX, *map(str, arguments), "--log-file", os.devnull]


def _lock(path: Path) -> int | None:
    """Lock path for this process; None while another holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _free_port(wanted: int) -> int:
    """Return the port wanted, so that nobody need be told of another, or else one that is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return _free_port(0)
        return int(probe.getsockname()[1])


def guard(command: list[str]) -> int:
    """Run command until it ends, or end it once standard input closes; return its exit status."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def end_with_owner() -> None:
        sys.stdin.buffer.read()
        server.terminate()

    threading.Thread(target=end_with_owner, daemon=True).start()
    return server.wait()


if __name__ == "__main__":
    sys.exit(guard(sys.argv[1:]))
