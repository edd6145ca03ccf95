"""The trace that each email leaves in the log, without its address."""

from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parseaddr
from typing import Any

from flask import current_app

from database.models import Job
from jobs.errors import Fail, PauseQueue, RetryLater
from jobs.queue import RETRY_WINDOW
from services import event_service
from services.event_service import Event
from services.mail_queue import is_orphan


def message_id(job: Job) -> str:
    """Return the same Message-ID at every attempt, so that mail programs recognise a duplicate."""
    domain = parseaddr(current_app.config["MAIL_DEFAULT_SENDER"])[1].rpartition("@")[2]
    return f"<{job.id}@{domain}>"


@contextmanager
def record_failures(job: Job, email: str) -> Iterator[None]:
    """Record that an email was deferred or failed, with the reason.

    A notice to a deleted user is not kept when it fails: nothing else would delete its address.
    """
    try:
        yield
    except (Fail, RetryLater, PauseQueue) as error:
        is_last = isinstance(error, Fail) or job.age >= RETRY_WINDOW
        if is_last or isinstance(error, RetryLater):  # a pause is about no email in particular
            record(Event.MAIL_FAILED if is_last else Event.MAIL_DEFERRED, job, email, str(error))
        if is_last and is_orphan(job):
            raise Fail(str(error), is_kept=False) from error
        raise


def record(event: Event, job: Job, email: str, reason: str | None = None) -> None:
    """Record what happened to the email of a job."""
    details: dict[str, Any] = {"job": str(job.id), "message_id": message_id(job), "reason": reason}
    event_service.record(event, email=email, ip=None, **details)
