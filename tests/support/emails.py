"""Queued emails."""

import time
from email.message import EmailMessage

from flask import Flask

from database.models import Job, User
from services import mail_preview
from services.mail_kinds import RESET_PASSWORD
from services.mail_queue import SEND_EMAIL


def user_emails(count: int) -> list[str]:
    return [f"user{number}@example.com" for number in range(count)]


def recipients(messages: list[EmailMessage]) -> list[str]:
    return sorted(message["To"] for message in messages)


def subject_of(app: Flask, mail: str) -> str:
    """Return the English subject of an email."""
    with app.app_context():
        return mail_preview.preview(mail, "en").subject


def queue_email(email: str, run_at: float = 0) -> Job:
    """Queue a reset email as the product does, due now."""
    arguments = {"mail": RESET_PASSWORD, "email": email}
    times = {"created_at": time.time(), "run_at": run_at}
    lane = email.rpartition("@")[2]
    return Job(kind=SEND_EMAIL, arguments=arguments, lane=lane, **times).save()


def queue_emails(emails: list[str], run_at: float = 0) -> None:
    """Create a user and queue a reset email for each of these emails."""
    for email in emails:
        User(email=email, password="-").save()
        queue_email(email, run_at)
