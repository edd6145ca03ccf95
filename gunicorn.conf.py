"""gunicorn 'app:create_app()' reads this by itself."""

import atexit
import os
import shutil
import sys
import tempfile
from typing import Any

from gunicorn import glogging

from config import SettingsError, load_settings
from logs import dress
from services.hashing import THREADS

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


logger_class = Logger
threads = THREADS


def post_worker_init(worker: Any) -> None:
    """Begin what goes on beside requests, before the first of them; after the fork."""
    worker.wsgi.extensions["outbox"].start()
    worker.wsgi.extensions["exporter"].start()


def worker_exit(server: Any, worker: Any) -> None:
    """Give the mail in hand a few seconds to go out."""
    if hasattr(worker, "wsgi"):  # it may have failed before
        worker.wsgi.extensions["outbox"].stop()
