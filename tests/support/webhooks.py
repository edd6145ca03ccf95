"""A receiver of webhooks on loopback, that checks signatures with the library of the standard."""

import secrets
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

from flask import Flask
from standardwebhooks import Webhook

from database.models import Job
from services.webhook_service import WEBHOOKS
from tests.support.scripted_server import ScriptedServer

# The example of the specification.
SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
# A path and a query that are as secret as a password.
TOKEN = secrets.token_hex(8)


class Received(NamedTuple):
    """A request of a webhook."""

    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> Any:
        """Return what the body says; fail unless it is signed."""
        return Webhook(SECRET).verify(self.body, self.headers)

    @property
    def summary(self) -> tuple[str, str]:
        """Return the type, and the user that it is about."""
        return self.event["type"], self.event["data"]["user"]


class WebhookReceiver(ScriptedServer):
    """The receiver: it accepts all webhooks, unless a test sets another `handler`."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[Received] = []
        self.paths: list[str] = []

    @property
    def url(self) -> str:
        """Return what WEBHOOK_URLS has."""
        return f"http://127.0.0.1:{self.server.server_port}/{TOKEN}?key={TOKEN}"

    def note(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"] or 0))
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.paths.append(request.path)
        self.received.append(Received(headers, body))

    def summaries(self) -> list[tuple[str, str]]:
        """Return what was received since the last call."""
        received, self.received = self.received, []
        return [it.summary for it in received]


def stop_webhooks(app: Flask) -> None:
    """End the thread of webhooks: the test runs its jobs."""
    worker = app.extensions["workers"][WEBHOOKS]
    worker.start()
    worker.stop()
    worker._stopping.clear()


def send_due_webhooks(app: Flask) -> None:
    """Send the webhooks that are queued now, in place of their thread."""
    Job.objects(queue=WEBHOOKS, state=Job.QUEUED).update(set__run_at=0)
    with app.app_context():
        app.extensions["workers"][WEBHOOKS].run_due_jobs()
