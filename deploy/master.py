"""What gunicorn's master does for the product: warnings at its start, a careful SIGHUP."""

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config import load_settings
from infra.rate_limiter import is_in_memory
from private_keys import as_setting
from services.settings_warnings import exposed_secrets
from setting_sources import HOME, SettingsError, env_file

CHECK_SECONDS = 60
# Host and port that are bound: of the product and of its metrics.
ADDRESSES = (("HOST", "PORT"), ("METRICS_HOST", "METRICS_PORT"))
SHARED_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 (each file in it has a random name)
METRICS = "PROMETHEUS_MULTIPROC_DIR"

Settings = Mapping[str, Any]


def log_warnings(arbiter: Any, settings: Settings) -> None:
    """Log what several workers or several services on this machine make of the settings."""
    workers, storage_uri = arbiter.cfg.workers, settings["RATELIMIT_STORAGE_URI"]
    if workers > 1 and settings["RATELIMIT_ENABLED"] and is_in_memory(storage_uri):
        message = "RATELIMIT_STORAGE_URI is memory://: each of %s workers counts by itself"
        arbiter.log.warning(message, workers)
    port = settings["METRICS_PORT"]
    if port and not can_listen(settings["METRICS_HOST"], port):
        arbiter.log.warning("METRICS_PORT %s is another service's too: a scrape shows one", port)
    if warning := exposed_secrets():
        arbiter.log.warning("%s", warning)


def can_listen(host: str, port: int) -> bool:
    """Return whether nobody listens on an address, and this process may."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address, family=family).close()
    except OSError:
        return False
    return True


def guard_reload(arbiter: Any, settings: Settings) -> None:
    """Make SIGHUP replace the workers only if new ones can start.

    gunicorn would exit for a setting that can't be used, and when a new worker does not boot. So
    a worker that replaces one that has ended gets the file, and the private keys, as they were when
    they were checked.
    """
    reload = arbiter.reload
    arbiter.checked_file, arbiter.checked_settings = read_env_file(), settings

    def reload_if_possible() -> None:
        current = arbiter.checked_settings
        try:
            problem = find_problem(current)
            checked, new = read_env_file(), current if problem else load_settings()
        except (OSError, SettingsError) as error:
            problem = type(error).__name__
        if problem:
            arbiter.log.error("Not reloaded, the workers stay: %s", problem)
            return
        arbiter.checked_file, arbiter.checked_settings = checked, new
        reload()

    arbiter.reload = reload_if_possible


def read_env_file() -> bytes | None:
    """Return the file with settings; None if there is none."""
    return env_file().read_bytes() if env_file().is_file() else None


def write_checked_file(arbiter: Any, worker: Any) -> None:
    """Let a worker read the settings that were checked, in a file that is removed when it has."""
    worker.checked_file = os.devnull
    if arbiter.checked_file is not None:
        descriptor, worker.checked_file = tempfile.mkstemp(".env", "movie-bag-", SHARED_MEMORY)
        with os.fdopen(descriptor, "wb") as file:
            file.write(arbiter.checked_file)
            os.fchown(descriptor, worker.cfg.uid, worker.cfg.gid)
    os.environ["ENV_FILE_LOCATION"] = worker.checked_file
    os.environ["JWT_PRIVATE_KEYS"] = as_setting(arbiter.checked_settings["JWT_PRIVATE_KEYS"])


def remove_checked_file(worker: Any) -> None:
    """Remove it: it has secrets."""
    if worker.checked_file != os.devnull:
        Path(worker.checked_file).unlink(missing_ok=True)


def temporary_folder(prefix: str) -> str:
    """Create a folder that is removed when this process ends."""
    folder = tempfile.mkdtemp(prefix=prefix)
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # its forks call this too
        shutil.rmtree(folder)


def find_problem(current: Settings) -> str:
    """Return what prevents workers with new settings, empty if nothing does."""
    try:
        settings = load_settings()
    except SettingsError as error:
        return " ".join(error.message.split("\n"))
    for names in ADDRESSES:
        host, port = (settings[name] for name in names)
        if port not in (None, current[names[1]]) and not can_listen(host, port):
            return f"{names[1]}: Can't listen on {host}:{port}."
    return _problem_of_application()


def _problem_of_application() -> str:
    """Create the application in a process of its own: its connections must not cross a fork."""
    env = {name: value for name, value in os.environ.items() if name != METRICS}
    command = [sys.executable, "-m", "deploy.check"]
    try:
        check = subprocess.run(  # noqa: S603 (no shell, fixed words)
            command, cwd=HOME, env=env, stdout=subprocess.PIPE, text=True, timeout=CHECK_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"The application can't be created within {CHECK_SECONDS} seconds."
    return "" if check.returncode == 0 else check.stdout.strip() or "The application can't start."
