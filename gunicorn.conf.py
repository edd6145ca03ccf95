"""gunicorn 'app:create_app()' reads this by itself."""

import sys
from typing import Any

from config import SettingsError, load_settings


def on_starting(server: Any) -> None:
    """Refuse to start, in a few clear lines, with settings that can't be used."""
    try:
        load_settings()
    except SettingsError as error:
        sys.exit(str(error))


def post_worker_init(worker: Any) -> None:
    """Send what an earlier process left, before the first request; after the fork."""
    worker.wsgi.extensions["outbox"].start()


def worker_exit(server: Any, worker: Any) -> None:
    """Give the mail in hand a few seconds to go out."""
    if hasattr(worker, "wsgi"):  # it may have failed before
        worker.wsgi.extensions["outbox"].stop()
