"""gunicorn 'app:create_app()': mails left by an earlier process go out before the first request."""

from typing import Any


def post_worker_init(worker: Any) -> None:
    """Start the outbox's thread in the process that serves, after the fork."""
    worker.wsgi.extensions["outbox"].start()


def worker_exit(server: Any, worker: Any) -> None:
    """Let the mail in hand go out."""
    worker.wsgi.extensions["outbox"].stop()
