"""What gunicorn's master does for the product: warnings at its start, a careful SIGHUP."""

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from config import HOME, SettingsError, env_file, load_settings
from services.settings_warnings import exposed_secrets

CHECK_SECONDS = 60
# Host and port that are bound: of the product and of its metrics.
ADDRESSES = (("HOST", "PORT"), ("METRICS_HOST", "METRICS_PORT"))
SHARED_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108
METRICS = "PROMETHEUS_MULTIPROC_DIR"

Settings = Mapping[str, Any]


def log_warnings(arbiter: Any, settings: Settings) -> None:
    """Log what several workers or several services on this machine make of the settings."""
    workers = arbiter.cfg.workers
    if workers > 1 and settings["RATELIMIT_ENABLED"] and is_in_memory(settings):
        message = "RATELIMIT_STORAGE_URI is memory://: each of %s workers counts by itself"
        arbiter.log.warning(message, workers)
    port = settings["METRICS_PORT"]
    if port and not can_listen(settings["METRICS_HOST"], port):
        arbiter.log.warning("METRICS_PORT %s is another service's too: a scrape shows one", port)
    if warning := exposed_secrets():
        arbiter.log.warning("%s", warning)


def is_in_memory(settings: Settings) -> bool:
    """Return whether each process counts requests by itself."""
    return bool(settings["RATELIMIT_STORAGE_URI"] == "memory://")


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
    a worker that replaces one that has ended reads a copy of the file that was checked.
    """
    reload, current = arbiter.reload, settings
    copy_env_file()

    def reload_if_possible() -> None:
        nonlocal current
        if problem := find_problem(current):
            arbiter.log.error("Not reloaded, the workers stay: %s", problem)
        else:
            current = load_settings()
            copy_env_file()
            reload()

    arbiter.reload = reload_if_possible


@cache
def env_copy() -> Path:
    """Return the path of the copy, where only this user can read it."""
    return Path(temporary_folder("movie-bag-settings-", SHARED_MEMORY)) / ".env"


def copy_env_file() -> None:
    """Copy the file with settings, if there is one."""
    if env_file().is_file():
        env_copy().write_bytes(env_file().read_bytes())


def use_env_copy() -> None:
    """Let this process, a worker, read the copy, which has settings that were checked."""
    if env_copy.cache_info().currsize or env_file().is_file():
        os.environ["ENV_FILE_LOCATION"] = str(env_copy())


def temporary_folder(prefix: str, parent: str | None = None) -> str:
    """Create a folder that is removed when this process ends."""
    folder = tempfile.mkdtemp(prefix=prefix, dir=parent)
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
        is_new = (host, port) != tuple(current[name] for name in names)
        if port and is_new and not can_listen(host, port):
            return f"{names[1]}: Can't listen on {host}:{port}."
    return _problem_of_application()


def _problem_of_application() -> str:
    """Create the application in a process of its own: this one keeps the code it began with."""
    env = {name: value for name, value in os.environ.items() if name != METRICS}
    command = [sys.executable, "-m", "deploy.check"]
    try:
        check = subprocess.run(  # noqa: S603
            command, cwd=HOME, env=env, stdout=subprocess.PIPE, text=True, timeout=CHECK_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"The application can't be created within {CHECK_SECONDS} seconds."
    return "" if check.returncode == 0 else check.stdout.strip() or "The application can't start."
