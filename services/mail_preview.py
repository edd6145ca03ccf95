"""What a queued email says, for an operator: everything but its secret."""

from flask import current_app

from database.models import Job
from services.mail_kinds import MAILS
from services.mail_queue import get_recipient
from services.mail_service import compose

HIDDEN_TOKEN = "..."


def render(job: Job) -> str:
    """Return headers and text of the email of a job, or a sentence that says why there is none."""
    user, kind = get_recipient(job), MAILS.get(job.arguments["mail"])
    if kind is None:
        return "This version has no such email."
    if user is None:
        return "Nothing will be sent: no user has this email."
    link = ""
    if kind.link:
        link = current_app.config[kind.link.url_setting].replace("{token}", HIDDEN_TOKEN)
    message = compose(job, user, link)
    return f"Message-ID: {message.msgId}\nSubject: {message.subject}\n\n{message.body}"
