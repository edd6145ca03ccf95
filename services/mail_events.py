"""The trace that each email leaves in the log and in the metrics, without its address."""

from collections.abc import Iterator
from contextlib import contextmanager

import flask_mail

from database.models import Job
from jobs.errors import Fail, RetryLater
from jobs.queue import RETRY_WINDOW
from services import event_service
from services.event_service import Event
from services.mail_queue import is_orphan


@contextmanager
def record_outcome(job: Job, message: flask_mail.Message) -> Iterator[None]:
    """Record that an email was sent, deferred or refused, with the reason.

    A notice to a deleted user is not kept when it fails: nothing else would delete its address.
    """
    try:
        yield
    except (Fail, RetryLater) as error:
        is_last = isinstance(error, Fail) or job.age >= RETRY_WINDOW
        _record(Event.MAIL_FAILED if is_last else Event.MAIL_DEFERRED, job, message, str(error))
        if is_last and is_orphan(job):
            raise Fail(str(error), is_kept=False) from error
        raise
    _record(Event.MAIL_SENT, job, message)


def _record(event: Event, job: Job, message: flask_mail.Message, reason: str | None = None) -> None:
    details = {"job": str(job.id), "message_id": message.msgId, "reason": reason}
    event_service.record(event, email=str(message.recipients[0]), ip=None, **details)
