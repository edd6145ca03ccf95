"""Webhooks: requests that tell other services what happened to a user.

Each is a job of a queue of its own, so that a slow receiver delays no email.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from flask import current_app, has_request_context

from database.models import Job
from infra import http_client, standard_webhooks
from infra.http_client import HTTP_ERRORS
from jobs.errors import Fail, PauseLane, RetryLater
from jobs.queue import SEND_DELAY
from jobs.worker import Handle

USER_CREATED = "user.created"
USER_VERIFIED = "user.verified"
USER_DISABLED = "user.disabled"
USER_DELETED = "user.deleted"
PASSWORD_CHANGED = "user.password_changed"
# The type of a job that sends nothing, for a request that must take as long as one that does.
NOTHING = ""
# The kind of job that send_webhook handles, and the queue of these jobs.
SEND_WEBHOOK = "send_webhook"
WEBHOOKS = "webhooks"
# For a receiver's response, with the connection and all.
DEADLINE_SECONDS = 5.0
# One waits for a response; others may be held by DNS after their deadline.
THREADS = 4

logger = logging.getLogger(__name__)
_client = http_client.Client("webhooks", THREADS)


def enqueue(webhook_type: str, user_id: str, at: float) -> None:
    """Queue a webhook about a user for each receiver in WEBHOOK_URLS; raises DATABASE_ERRORS.

    A receiver has jobs of its own, so that a retry for one sends nothing to another.
    """
    urls = current_app.config["WEBHOOK_URLS"]
    about = {"type": webhook_type, "user": user_id, "at": repr(at)}
    for url in urls:
        arguments = {**about, "receiver": _receiver_id(url)}
        Job.insert(SEND_WEBHOOK, arguments, time.time() + SEND_DELAY, host_of(url), WEBHOOKS)
    if urls and has_request_context():  # a command ends too soon: a server sends what it queues
        current_app.extensions["workers"][WEBHOOKS].wake()


def _receiver_id(url: str) -> str:
    """Return what a job stores in place of a URL, whose path or query may be secret."""
    return hashlib.sha256(url.encode()).hexdigest()


def host_of(url: str) -> str:
    """Return the part of a URL that may be logged; it is the lane of the receiver's jobs, too."""
    return urlsplit(url).hostname or ""


@contextmanager
def send_webhook() -> Iterator[Handle]:
    """Handle jobs of kind send_webhook, as jobs/worker.py asks."""
    yield _send


def _send(job: Job) -> bool:
    if job.arguments["type"] == NOTHING:
        return False
    urls = {_receiver_id(url): url for url in current_app.config["WEBHOOK_URLS"]}
    url = urls.get(job.arguments["receiver"])
    if url is None:  # removed, or known only to processes that have started with it
        raise RetryLater("its receiver is not in WEBHOOK_URLS")
    host = host_of(url)
    status = _post(url, job)
    if status == HTTPStatus.GONE:  # the receiver wants no more: Standard Webhooks
        raise Fail(f"{host} answers with status {status}")
    if not HTTPStatus(200) <= status < HTTPStatus(300):
        raise PauseLane(f"{host} answers with status {status}")
    message, extra = "Webhook %s (%s) was accepted by %s", {"job": str(job.id)}
    logger.info(message, job.id, job.arguments["type"], host, extra=extra)
    return True


def _post(url: str, job: Job) -> int:
    """Send a webhook and return the status of the response, whose body is not read."""
    body, secrets = _body(job), current_app.config["WEBHOOK_SECRETS"]
    headers = {"Content-Type": "application/json", "User-Agent": "movie-bag"}
    headers |= standard_webhooks.sign(secrets, str(job.id), int(time.time()), body)
    request = http_client.Request(url, body, headers, method="POST")
    try:
        return _client.send(request, DEADLINE_SECONDS, lambda response: response.status)
    except HTTP_ERRORS as error:
        reason = f"{host_of(url)} can't be reached: {http_client.name_of(error)}"
    raise PauseLane(reason)


def _body(job: Job) -> bytes:
    """Return the same bytes at every attempt."""
    at = datetime.fromtimestamp(float(job.arguments["at"]), UTC)
    event = {
        "type": job.arguments["type"],
        "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": {"user": job.arguments["user"]},
    }
    return json.dumps(event).encode()
