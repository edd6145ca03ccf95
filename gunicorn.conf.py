"""The configuration of gunicorn, which reads it by itself; flags and GUNICORN_CMD_ARGS win."""

import gc
import importlib
import os
import signal
import sys
from typing import Any

from gunicorn import glogging

from config import load_settings
from deploy.gunicorn_worker import Worker
from deploy.master import (
    SHARED_MEMORY,
    guard_reload,
    log_warnings,
    remove_checked_file,
    temporary_folder,
    write_checked_file,
)
from infra.logging import configure_handler
from infra.password_hashing import CORES, SERVER_THREADS
from infra.password_strength import shrink_dictionaries
from setting_sources import SettingsError

try:
    settings = load_settings()
except SettingsError as error:
    sys.exit(str(error))


if settings["METRICS_PORT"]:
    # Before prometheus_client is imported, because it looks once.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = temporary_folder("movie-bag-metrics-")


class Logger(glogging.Logger):
    """gunicorn's log in our format."""

    def setup(self, cfg: Any) -> None:
        """Log where the options say."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            configure_handler(handler, settings["APP_ENV"])

    def access(self, *_: Any) -> None:
        """Log no request, because a path may hold a token; web.request_log logs routes."""


wsgi_app = "app:create_app()"
bind = f"[{settings['HOST']}]:{settings['PORT']}"  # the brackets are for IPv6
# The database connection must not cross a fork, and SIGHUP must read the settings again.
preload_app = False
logger_class = Logger

worker_class = Worker
workers = CORES
threads = SERVER_THREADS
# Each worker touches a file there to show that it runs; on a slow disk it would seem to hang.
worker_tmp_dir = SHARED_MEMORY
control_socket_disable = True  # it is one file in the home directory, for every gunicorn

timeout = 30  # without a sign of activity; no request, however long, prevents that
keepalive = 75  # longer than proxies keep a connection, so that none is closed under a request
graceful_timeout = 40  # for the slowest request, on a database that hangs, and the current job


def on_starting(server: Any) -> None:
    """Warn of settings that are hardly meant, and outlive those that can't be used later."""
    log_warnings(server, settings)
    guard_reload(server, settings)


def when_ready(server: Any) -> None:
    """Import what the workers then share, 19 MB of each; clients that connect meanwhile wait."""
    importlib.import_module("app")
    shrink_dictionaries()


def pre_fork(server: Any, worker: Any) -> None:
    """Keep what the master has imported shared: a collection of garbage writes to each object."""
    gc.freeze()


def post_fork(server: Any, worker: Any) -> None:
    """Let a worker read the settings that were checked."""
    write_checked_file(server, worker)


def post_worker_init(worker: Any) -> None:
    """Start the threads beside the requests, after the fork and before the first request."""
    # The master ends its workers: a second Ctrl-C must not interrupt the current job.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    remove_checked_file(worker)
    worker.wsgi.extensions["workers"].start()
    worker.wsgi.extensions["start_metrics"]()


def worker_exit(server: Any, worker: Any) -> None:
    """Give the current job a few seconds."""
    remove_checked_file(worker)
    if hasattr(worker, "wsgi"):  # it may have failed earlier
        worker.wsgi.extensions["workers"].stop()
