"""Notices of what happens to an account, each queued before it happens.

After a crash, a needless notice is better than none.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import g
from mongoengine import NotUniqueError

from database.models import User
from infra.user_agent import describe
from jobs import queue
from services.errors import ApiError
from services.mail_queue import enqueue_notice, enqueue_to


@contextmanager
def notice_of_change(mail: str, user: User) -> Iterator[None]:
    """Notify user of the change that another user makes meanwhile, unless it is refused.

    The notice is sent even if the user is deleted meanwhile.
    """
    with _cancelled_if_refused(enqueue_notice(mail, user)):
        yield


def notify_of(change: Callable[[], bool], user: User, mail: str, **details: str) -> bool:
    """Make a change and notify its user of it, or do neither; return whether it was made.

    The email says when, from which IP, and with which browser and system. No text of the client is
    in it, which others may choose.
    """
    device = describe(g.get("user_agent", ""))
    where = {"at": repr(time.time()), "ip": g.get("client_ip", ""), "device": device}
    return make_or_cancel(change, enqueue_to(user, mail, **where, **details))


def make_or_cancel(change: Callable[[], bool], job_id: str | None) -> bool:
    """Make a change, or cancel the email about it, if there is one; return whether it was made."""
    with _cancelled_if_refused(job_id):
        is_made = change()
    if not is_made:
        queue.cancel(job_id)
    return is_made


@contextmanager
def _cancelled_if_refused(job_id: str | None) -> Iterator[None]:
    try:
        yield
    except (ApiError, NotUniqueError):  # the database may have made it after any other error
        queue.cancel(job_id)
        raise
