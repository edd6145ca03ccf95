"""The outbox: wishes for mails in MongoDB, and the thread that fulfils them.

A request only writes a wish. One thread a process claims wishes one by one, so any number of
processes and machines drain one outbox. A claim that its process did not live to keep lapses,
and the wish is due again: a mail is delivered at least once.
"""

import logging
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from bson import ObjectId
from flask import Flask, current_app
from flask_mail import Message

from database.db import DATABASE_ERRORS, ensure_indexes
from database.models import Mail, Movie, User
from services import inbox, mail_service, metrics, smtp
from services.mail_service import Connection

# The answer to the request is out before the work begins: it must not slow the known address.
SETTLE_SECONDS = 0.3
# How late another process's wish, or one that was put off, may be seen.
POLL_SECONDS = 2.0
# How many of those due are read together; each is claimed when its turn comes.
AT_ONCE = 50
# Longer than what is done about one mail: five answers of the mail server, each within
# MAIL_TIMEOUT, and two of the database. So none is sent twice.
CLAIM_SECONDS = 85.0
# The one wish that is for no mail: take out the movies of a user who is gone, named by id.
FORGET = "forget"
GIVE_UP_SECONDS = 24 * 3600.0
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 2.0, 300.0
# A wrong password does not mend itself, and a few more guesses may lock the account.
LOGIN_RETRY_SECONDS = 900.0
STOP_SECONDS = 5.0
FORESEEN = (OSError, *DATABASE_ERRORS)

logger = logging.getLogger(__name__)


def put(kind: str, email: str) -> ObjectId:
    """Wish for a mail of this kind to an address, whoever that is; return the id of the wish."""
    now = time.time()
    wish = {"kind": kind, "email": email, "state": Mail.WAITING, "attempts": 0}
    times = {"created_at": now, "due_at": now + SETTLE_SECONDS}
    stored = Mail._get_collection().insert_one({**wish, **times})
    current_app.extensions["outbox"].wake()
    return ObjectId(stored.inserted_id)


class Outbox:
    """The thread of this process. It starts at its first use, after a fork anew."""

    def __init__(self, app: Flask) -> None:
        """Belong to app: every request sees to it that the thread runs."""
        self._app = app
        self._pid = 0
        self._failures = 0  # of the mail server, one after the other
        self._starting = threading.Lock()
        app.extensions["outbox"] = self
        app.before_request(self.start)

    def start(self) -> None:
        """Run the thread, if this process does not yet."""
        if self._pid == os.getpid():
            return
        with self._starting:
            if self._pid != os.getpid():
                self._woken, self._stopping = threading.Event(), threading.Event()
                self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
                self._thread.start()
                self._pid = os.getpid()

    def wake(self) -> None:
        """Say that there is a new wish."""
        self.start()
        self._woken.set()

    def stop(self) -> None:
        """End after the mail in hand, or in STOP_SECONDS; what is left is sent after a restart."""
        if self._pid == os.getpid():
            self._stopping.set()
            self._woken.set()
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        failing = False
        while not self._stopping.is_set():
            try:
                with self._app.app_context():
                    ensure_indexes(Mail)
                    self._drain()
                failing = False
            except Exception as error:
                defect = None if isinstance(error, DATABASE_ERRORS) else error
                if not failing:
                    name = type(error).__name__
                    logger.error("Mails wait: %s; trying on", name, exc_info=defect)
                failing = True
            self._woken.wait(POLL_SECONDS)
            self._woken.clear()
            self._stopping.wait(SETTLE_SECONDS)

    def _drain(self) -> None:
        """Fulfil every wish that is due, over one connection; pause where the server is away."""
        due = claims()
        with closing(Connection(current_app.extensions["mail"])) as connection:
            while not self._stopping.is_set() and (wish := next(due, None)):
                try:
                    if _fulfil(wish, connection):
                        self._failures = 0
                except Exception as error:
                    connection.close()
                    if isinstance(error, OSError) and not smtp.reply_code(error):
                        self._pause(wish, error)
                        return
                    _put_off(wish, error, _wait(wish.attempts - 1))

    def _pause(self, wish: Mail, error: OSError) -> None:
        """Leave the server alone for a while, whatever else is due and whoever wakes us.

        Each wish that tried it for itself would be another login with a wrong password.
        """
        refused = isinstance(error, smtp.LoginError)
        wait = LOGIN_RETRY_SECONDS if refused else _wait(self._failures)
        self._failures += 1
        _put_off(wish, error, wait)
        self._stopping.wait(wait)


def claims() -> Iterator[Mail]:
    """Yield wishes that are due, each taken for CLAIM_SECONDS, those due for longest first.

    They are read some at a time. Who finds one taken is not alone: it looks anew, and goes
    through them in any order, for in the same all would be in each other's way.
    """
    alone = True
    while due := _due():
        for wish in due if alone else random.sample(due, len(due)):
            alone = _claim(wish)
            if not alone:
                break
            yield wish


def _due() -> list[Mail]:
    query = {"state": Mail.WAITING, "due_at": {"$lte": time.time()}}
    found = Mail._get_collection().find(query, sort=[("due_at", 1)], limit=AT_ONCE)
    return [Mail._from_son(stored) for stored in found]


def _claim(wish: Mail) -> bool:
    """Take a wish, unless another process has since it was read."""
    unclaimed = {"_id": wish.id, "attempts": wish.attempts}
    wish.due_at, wish.attempts = time.time() + CLAIM_SECONDS, wish.attempts + 1
    claimed = {"$set": {"due_at": wish.due_at, "attempts": wish.attempts}}
    return bool(Mail._get_collection().update_one(unclaimed, claimed).matched_count)


def take_back(wish_id: ObjectId) -> None:
    """Forget a wish, which is fulfilled, or in vain."""
    Mail._get_collection().delete_one({"_id": wish_id})


def _update(wish: Mail, **update: Any) -> bool:
    """Change a wish, unless another process has claimed it since."""
    return bool(Mail.objects(id=wish.id, attempts=wish.attempts).update_one(**update))


def _fulfil(wish: Mail, connection: Connection) -> bool:
    """Send the mail and say that it went out; nobody has the address: forget the wish.

    Raises whatever went wrong.
    """
    if wish.kind == FORGET:
        _forget(wish)
        return False
    user = User.with_email(wish.email)
    if user is None:
        take_back(wish.id)
        return False
    if connection.open() and not _update(wish, set__due_at=time.time() + CLAIM_SECONDS):
        return False
    message = mail_service.compose(wish, user)
    connection.deliver(message)
    metrics.MAILS.labels(metrics.SENT).inc()
    if inbox.is_open():
        _keep(wish, message)
    else:
        take_back(wish.id)
    return True


def _keep(wish: Mail, message: Message) -> None:
    """Keep a copy of a mail that was sent."""
    copy = {"set__text": message.body, "set__html": message.html}
    _update(wish, set__state=Mail.SENT, set__due_at=time.time(), **copy)
    inbox.prune()


def _forget(wish: Mail) -> None:
    """Take out the movies of a user who is gone; look again later while the deletion may last."""
    if User.objects(id=wish.email).only("id").first() is None:
        Movie.objects(added_by=wish.email).delete()
    elif time.time() - wish.created_at < CLAIM_SECONDS:
        return
    take_back(wish.id)


def _wait(failures: int) -> float:
    """Return how many seconds to wait after so many failures before: ever more, and never just."""
    wait: float = min(FIRST_RETRY_SECONDS * 2 ** min(failures, 10), LAST_RETRY_SECONDS)
    return wait * random.uniform(0.5, 1.5)  # noqa: S311 (not a secret)


def _put_off(wish: Mail, error: Exception, wait: float) -> None:
    """Try again later; give up, keeping the wish, after a day or when the server says never."""
    code, reason, now = smtp.reply_code(error), smtp.reason(error), time.time()
    line = {"mail": str(wish.id)}
    if code >= 500 or now - wish.created_at >= GIVE_UP_SECONDS:
        if _update(wish, set__state=Mail.GIVEN_UP, set__last_error=reason):
            metrics.MAILS.labels(metrics.GIVEN_UP).inc()
            logger.error("Mail %s given up: %s; it is kept", wish.id, reason, extra=line)
    elif _update(wish, set__due_at=now + wait, set__last_error=reason):
        defect = None if isinstance(error, FORESEEN) else error
        message = "Mail %s: %s; again in %.0f s"
        logger.warning(message, wish.id, reason, wait, exc_info=defect, extra=line)
