"""How gunicorn serves: it reads this by itself; its flags and GUNICORN_CMD_ARGS go before."""

import atexit
import os
import shutil
import signal
import sys
import tempfile
from typing import Any

from gunicorn import glogging

from config import SettingsError, load_settings
from logs import dress
from services.hashing import CORES, THREADS
from worker import Worker

try:
    settings = load_settings()
except SettingsError as error:
    sys.exit(str(error))


def remove(folder: str, owner: int) -> None:
    """Remove a folder with the process that made it; its forks end here too."""
    if os.getpid() == owner:
        shutil.rmtree(folder)


if settings["METRICS_PORT"]:
    # Before prometheus_client is imported: it looks once.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="movie-bag-metrics-")
    atexit.register(remove, os.environ["PROMETHEUS_MULTIPROC_DIR"], os.getpid())


class Logger(glogging.Logger):
    """gunicorn's log, in the form of ours."""

    def setup(self, cfg: Any) -> None:
        """Log where its options say."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            dress(handler, settings["APP_ENV"])

    def access(self, *_: Any) -> None:
        """Log no request, whatever its options say: a path may hold a token. We do, by route."""


wsgi_app = "app:create_app()"
bind = f"[{settings['HOST']}]:{settings['PORT']}"  # the brackets are for IPv6, and harm no other
# The connection to the database must not cross a fork, and SIGHUP reads the settings anew.
preload_app = False
logger_class = Logger

worker_class = Worker
workers = CORES
threads = THREADS
# Where each worker shows that it lives: a slow disk would make it look dead.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108
control_socket_disable = True  # one file in the home directory, for every gunicorn there

timeout = 30  # for a sign of life; no request, however long, holds that up
keepalive = 75  # longer than proxies keep a connection, so none is closed under a request
graceful_timeout = 40  # for the slowest request, on a database that hangs, and the mail in hand
forwarded_allow_ips = ""  # no header decides about scheme or path, from this machine neither


def post_worker_init(worker: Any) -> None:
    """Begin what goes on beside requests, before the first of them; after the fork."""
    # The master ends its workers: a second Ctrl-C must not reach them over the mail in hand.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker.wsgi.extensions["outbox"].start()
    worker.wsgi.extensions["exporter"].start()


def worker_exit(server: Any, worker: Any) -> None:
    """Give the mail in hand a few seconds to go out."""
    if hasattr(worker, "wsgi"):  # it may have failed before
        worker.wsgi.extensions["outbox"].stop()
