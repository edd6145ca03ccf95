"""The outbox: wishes for mails in MongoDB, and the thread that fulfils them.

A request only writes a wish. One thread a process claims wishes one by one, so any number of
processes and machines drain one outbox. A claim that its process did not live to keep lapses,
and the wish is due again: a mail is delivered at least once.
"""

import logging
import os
import random
import smtplib
import threading
import time
from contextlib import closing
from typing import Any

from flask import Flask, current_app
from flask_mail import Message

from database.db import DATABASE_ERRORS, ensure_indexes
from database.models import Mail, Movie, User
from services import inbox, mail_service
from services.mail_service import Connection

# The answer to the request is out before the work begins: it must not slow the known address.
SETTLE_SECONDS = 0.3
# How late another process's wish, or one that was put off, may be seen.
POLL_SECONDS = 2.0
# Longer than a dialogue about one mail (seven answers of MAIL_TIMEOUT at most), so that none is
# sent twice.
CLAIM_SECONDS = 85.0
# The one wish that is for no mail: take out the movies of a user who is gone, named by id.
FORGET = "forget"
GIVE_UP_SECONDS = 24 * 3600.0
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 2.0, 300.0
STOP_SECONDS = 5.0

logger = logging.getLogger(__name__)


def put(kind: str, email: str) -> Mail:
    """Wish for a mail of this kind to an address, whoever that is; return the wish."""
    now = time.time()
    wish = Mail(kind=kind, email=email, created_at=now, due_at=now + SETTLE_SECONDS)
    wish.save(force_insert=True)
    current_app.extensions["outbox"].wake()
    return wish


class Outbox:
    """The thread of this process. It starts at its first use, after a fork anew."""

    def __init__(self, app: Flask) -> None:
        """Belong to app: every request sees to it that the thread runs."""
        self._app = app
        self._pid = 0
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
        """Fulfil every wish that is due, over one connection; stop where the server is away."""
        with closing(Connection(current_app.extensions["mail"])) as connection:
            while not self._stopping.is_set() and (wish := claim()):
                try:
                    _fulfil(wish, connection)
                except Exception as error:
                    connection.close()
                    _put_off(wish, error)
                    if isinstance(error, OSError) and not _reply_code(error):
                        return


def claim() -> Mail | None:
    """Take the wish that has been due for longest, for CLAIM_SECONDS."""
    now = time.time()
    due = Mail.objects(state=Mail.WAITING, due_at__lte=now).order_by("due_at")
    wish: Mail | None = due.modify(new=True, set__due_at=now + CLAIM_SECONDS, inc__attempts=1)
    return wish


def _update(wish: Mail, **update: Any) -> bool:
    """Change a wish, unless its claim has lapsed and another process has claimed it since."""
    return bool(Mail.objects(id=wish.id, attempts=wish.attempts).update_one(**update))


def _fulfil(wish: Mail, connection: Connection) -> None:
    """Send the mail; nobody has the address: forget the wish. Raises whatever went wrong."""
    if wish.kind == FORGET:
        _forget(wish)
        return
    user = User.with_email(wish.email)
    if user is not None:
        if connection.open() and not _update(wish, set__due_at=time.time() + CLAIM_SECONDS):
            return
        message = mail_service.compose(wish, user)
        connection.deliver(message)
        if inbox.is_open():
            _keep(wish, message)
            return
    wish.delete()


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
    wish.delete()


def _put_off(wish: Mail, error: Exception) -> None:
    """Try again later; give up, keeping the wish, after a day or when the server says never."""
    code, now = _reply_code(error), time.time()
    foreseen = isinstance(error, OSError)
    reason = f"SMTP {code}" if code else f"{type(error).__name__}: {error if foreseen else '?'}"
    if code >= 500 or now - wish.created_at >= GIVE_UP_SECONDS:
        if _update(wish, set__state=Mail.GIVEN_UP, set__last_error=reason):
            logger.error("Mail %s given up: %s; it is kept", wish.id, reason)
        return
    wait = min(FIRST_RETRY_SECONDS * 2 ** min(wish.attempts - 1, 10), LAST_RETRY_SECONDS)
    wait *= random.uniform(0.5, 1.5)  # noqa: S311 (not a secret)
    if _update(wish, set__due_at=now + wait, set__last_error=reason):
        defect = None if foreseen else error
        logger.warning("Mail %s: %s; again in %.0f s", wish.id, reason, wait, exc_info=defect)


def _reply_code(error: Exception) -> int:
    """Return what the server replied to this one mail; 0 when that is not what went wrong.

    A sender that is refused is not the mail's fault but a setting's, for someone to mend.
    """
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return int(next(iter(error.recipients.values()))[0])
    return error.smtp_code if isinstance(error, smtplib.SMTPDataError) else 0
