"""What an email says, for an operator and for its authors: everything but its secret."""

from typing import Any

from flask import current_app
from flask_babel import force_locale

from database.models import Job
from jobs.errors import RetryLater
from services import languages, mail_templates
from services.link_service import LinkKind
from services.mail_kinds import MAILS, MailKind
from services.mail_queue import find_letter
from services.mail_service import compose
from services.mail_templates import Content

HIDDEN_TOKEN = "..."
# November 20, 2026.
EXAMPLE_TIME = 1795167000.0


def render(job: Job) -> str:
    """Return headers and text of the email of a job, or a sentence that says why there is none."""
    if job.arguments["mail"] not in MAILS:
        return "This version has no such email."
    try:
        letter = find_letter(job)
    except RetryLater as error:
        return f"Nothing is sent yet: {error}."
    if letter is None:
        return "Nothing will be sent: no user has this email."
    link = MAILS[letter.mail].link
    message = compose(job, letter, _hide_token(link) if link else "")
    return f"Message-ID: {message.msgId}\nSubject: {message.subject}\n\n{message.body}"


def preview(mail: str, locale: str) -> Content:
    """Return an email in a language, with example data and a link that does not work."""
    with force_locale(locale):
        return mail_templates.render(mail, _example(MAILS[mail]))


def _example(kind: MailKind) -> dict[str, Any]:
    """Return every variable that a template may have."""
    example: dict[str, Any] = {"name": "Ada", "created_at": EXAMPLE_TIME, "at": EXAMPLE_TIME}
    example |= {"new_email_hint": "a…@example.com", "ip": "203.0.113.7", "codes_left": 9}
    example["device"] = "Firefox on Linux"
    example["devices"] = [
        {"browser": "Firefox", "system": "Linux", "ip": "203.0.113.7", "first_at": EXAMPLE_TIME}
    ]
    example["factors"] = {"totp": True, "recovery_codes_left": 9, "passkeys": 2}
    if kind.link:
        lifetime = languages.duration(kind.link.lifetime // 60)
        example |= {"link": _hide_token(kind.link), "lifetime": lifetime}
    return example


def _hide_token(link: LinkKind) -> str:
    url: str = current_app.config[link.url_setting]
    return url.replace("{token}", HIDDEN_TOKEN)
