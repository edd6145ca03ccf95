"""Notices of what others do to an account; they are sent even if its user is deleted meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager

from database.models import User
from jobs import queue
from services.errors import ApiError
from services.mail_queue import enqueue_notice


@contextmanager
def notice_of_change(mail: str, user: User) -> Iterator[None]:
    """Notify user of the change that is made meanwhile, unless it is refused.

    The notice is queued before the change: after a crash, a needless one is better than none.
    """
    job_id = enqueue_notice(mail, user)
    try:
        yield
    except ApiError:
        queue.cancel(job_id)
        raise
