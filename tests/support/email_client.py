"""Requests about emails, and the emails that these queue."""

from collections.abc import Callable
from email.message import EmailMessage

import requests
from flask import Flask

from database.models import Job, User
from tests.support.client import ADA, ApiClient
from tests.support.smtp_server import Mailbox, token_in
from tests.support.tokens import decode_parts

NEW_EMAIL = "ada@new.example"
THIRD_EMAIL = "ada@third.example"
DAY = 86400

SendQueued = Callable[[], list[EmailMessage]]


def confirm(api: ApiClient, token: str) -> requests.Response:
    return api.post("/api/auth/email/confirm", json={"confirm_token": token})


def reject(api: ApiClient, token: str) -> requests.Response:
    return api.post("/api/auth/email/reject", json={"confirm_token": token})


def undo(api: ApiClient, token: str) -> requests.Response:
    return api.post("/api/auth/email/undo", json={"undo_token": token})


def resend(api: ApiClient, email: str = ADA["email"]) -> requests.Response:
    return api.post("/api/auth/email/resend", json={"email": email})


def change_email(
    api: ApiClient, token: str, email: str = NEW_EMAIL, password: str | None = ADA["password"]
) -> requests.Response:
    body = {"email": email} | ({"current_password": password} if password is not None else {})
    return api.put("/api/auth/email", token=token, json=body)


def is_verified(api: ApiClient, token: str) -> bool:
    """Return what the API says of the user of an access token."""
    verified: bool = api.get("/api/users/me", token=token).json()["verified"]
    return verified


def verify_all() -> None:
    """Store that every email is verified, as a confirmation does."""
    User.objects.update(set__verified_at=1.0)


def send_queued(app: Flask, mailbox: Mailbox) -> list[EmailMessage]:
    """Send the emails that are queued now, in place of the worker's thread, and return them."""
    stop_worker(app)
    Job.objects(state=Job.QUEUED).update(set__run_at=0)
    return send_due(app, mailbox)


def stop_worker(app: Flask) -> None:
    """End the worker's thread: the test runs its jobs."""
    worker = app.extensions["worker"]
    worker.start()
    worker.stop()
    worker._stopping.clear()


def send_due(app: Flask, mailbox: Mailbox) -> list[EmailMessage]:
    """Send the emails that are due, whose worker is stopped, and return them."""
    worker = app.extensions["worker"]
    with app.app_context():
        worker.run_due_jobs()
    sent = list(mailbox.mails)
    mailbox.mails.clear()
    return sent


def recipients_and_links(mails: list[EmailMessage]) -> list[tuple[str, str | None]]:
    """Return who gets each email, and the scope of the link in it."""
    return sorted(((mail["To"], scope_in(mail)) for mail in mails), key=str)


def scope_in(mail: EmailMessage) -> str | None:
    """Return the scope of the token of the link in an email; None if there is no link."""
    text = "".join(part.get_content() for part in mail.walk() if not part.is_multipart())
    if "eyJ" not in text:
        return None
    scope: str = decode_parts(token_in(mail))[1]["scope"]
    return scope


def move(
    api: ApiClient, mails: SendQueued, token: str, email: str, password: str = ADA["password"]
) -> list[EmailMessage]:
    """Change the email of the user of an access token, and return the emails after that."""
    mails()
    assert change_email(api, token, email, password).status_code == 200
    (mail,) = mails()
    response = confirm(api, token_in(mail))
    assert response.status_code == 200, response.text
    assert response.json()["email"] == email
    return mails()
