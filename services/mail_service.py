"""Emails: what they say, and the handler that sends them in the background."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

import flask_mail
from flask import current_app
from flask_babel import force_locale

from config import DEVELOPMENT
from database.models import Job
from infra.mail_message import Message
from jobs import email_log, queue, smtp
from jobs.smtp import Connection
from jobs.worker import Handle
from services import languages, mail_templates, sent_mail_service
from services.event_service import Event
from services.link_service import encode_link
from services.mail_events import message_id, record, record_failures
from services.mail_kinds import MAILS, Letter
from services.mail_queue import find_letter, store_requests

mail = flask_mail.Mail()


@contextmanager
def send_email() -> Iterator[Handle]:
    """Handle jobs of kind send_email, as jobs/worker.py asks: yield the function that sends one.

    The emails of a batch share a connection.
    """
    with closing(Connection(current_app.extensions["mail"])) as connection:
        yield partial(_send, connection)


def _send(connection: Connection, job: Job) -> bool:
    """Send the email of a job; return False if no user has this email.

    Raises:
        RetryLater, PauseLane, PauseQueue, Fail
    """
    if job.attempts == 1:
        store_requests([job.to_mongo()])
    letter = find_letter(job)
    if letter is None:
        return False
    with record_failures(job, letter.email):
        with smtp.job_errors(connection, smtp.connection_error):
            newly_opened = connection.open()
        # Opening takes time: if the lease has expired meanwhile, another worker has the job and
        # sends this email; what this one still does with the job changes nothing.
        if newly_opened and not queue.renew_lease(job):
            return False
        message = compose(job, letter)
        _deliver(connection, message, letter)
    record(Event.MAIL_SENT, job, letter.email)
    if current_app.config["APP_ENV"] == DEVELOPMENT:
        sent_mail_service.keep(job, message)
    return True


def compose(job: Job, letter: Letter, link: str = "") -> Message:
    """Return the email of a job; the lifetime of its link starts now, unless a link is given.

    Its link comes from the settings alone: nothing of a request gets here.
    """
    kind = MAILS[letter.mail]
    context = {"name": letter.name, **letter.context}
    with force_locale(languages.locale_of(letter.user)):
        if kind.link:
            context["link"] = link or encode_link(kind.link, letter.user, **letter.link_options)
            context["lifetime"] = languages.duration(kind.link.lifetime // 60)
        content = mail_templates.render(letter.mail, context)
    message = Message(content.subject, [letter.email], content.text, content.html)
    message.msgId = message_id(job)
    return message


def _deliver(connection: Connection, message: Message, letter: Letter) -> None:
    if current_app.config["MAIL_SERVER"] is None:
        with smtp.job_errors(connection, smtp.connection_error):
            email_log.append(current_app.config["DATA_DIR"] / "email.log", message)
    else:
        personal = (letter.email, letter.name or "")
        job_error = partial(smtp.email_error, connection=connection, personal=personal)
        with smtp.job_errors(connection, job_error):
            connection.send(message)
