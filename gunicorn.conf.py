"""gunicorn 'app:create_app()' reads this by itself."""

import sys
from typing import Any

from gunicorn import glogging

from config import SettingsError, load_settings
from logs import dress

try:
    settings = load_settings()
except SettingsError as error:
    sys.exit(str(error))


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


def post_worker_init(worker: Any) -> None:
    """Send what an earlier process left, before the first request; after the fork."""
    worker.wsgi.extensions["outbox"].start()


def worker_exit(server: Any, worker: Any) -> None:
    """Give the mail in hand a few seconds to go out."""
    if hasattr(worker, "wsgi"):  # it may have failed before
        worker.wsgi.extensions["outbox"].stop()
