"""Health checks, as load balancers send them."""

import time

import pytest
import requests
from mongoengine.connection import get_db
from pymongo.errors import OperationFailure
from pymongo.uri_parser import parse_uri

from database.embedded.server import EmbeddedDatabase
from database.models import Job
from jobs import backoff
from services import health_service
from services.mail_kinds import RESET_PASSWORD
from services.mail_queue import SEND_EMAIL
from services.movie_service import DELETE_MOVIES
from tests.support.assertions import assert_error
from tests.support.client import ADA
from tests.support.concurrency import run_simultaneously
from tests.support.database_proxy import proxy_to
from tests.support.emails import queue_email
from tests.support.smtp_server import Fault

LATER = 10_000


@pytest.fixture
def frozen_server(run, tmp_path):
    """Serve where the database has stopped responding, with a timeout of 12 s for users."""
    embedded = EmbeddedDatabase(tmp_path)
    port = parse_uri(embedded.start())["nodelist"][0][1]
    with proxy_to(port) as proxy:
        server = run(MONGODB_URI=f"mongodb://127.0.0.1:{proxy.port}", MONGODB_TIMEOUT=12)
        proxy.freeze()
        yield server
    embedded.stop()


def queue_mail(age, **fields):
    """Store an email job of this age that is not due and waits for the mail server."""
    now, email = time.time(), {"mail": RESET_PASSWORD, "email": "ada@example.com"}
    job = {"kind": SEND_EMAIL, "arguments": email, "waits_for_service": True}
    return Job(**job | {"run_at": now + LATER, "created_at": now - age} | fields).save()


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_any_query_and_token_is_accepted(api, path):
    response = api.get(f"{path}?from=balancer", token="nonsense")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"


class TestHealth:
    def test_process_is_alive(self, api):
        assert api.get("/healthz").json() == {"status": "alive"}


class TestFrozenDatabase:
    def test_process_is_alive_and_soon_not_ready(self, frozen_server):
        response = requests.get(f"{frozen_server.url}/healthz", timeout=5)
        assert response.json() == {"status": "alive"}
        # Long before the timeout of the database: a load balancer does not wait for that.
        response = requests.get(f"{frozen_server.url}/readyz", timeout=8)
        assert assert_error(response, 503, "ServiceUnavailableError").keys() == {"database"}
        assert int(response.headers["Retry-After"]) > 0


class TestDatabase:
    """It must be readable and writable."""

    @pytest.fixture
    def writes(self, monkeypatch):
        """Return the outcomes of the next writes: an error, or None; then each succeeds."""
        outcomes, tried = [], []

        def write():
            tried.append(time.monotonic())
            if outcomes and (error := outcomes.pop(0)):
                raise error

        monkeypatch.setattr(health_service, "try_write", write)
        return outcomes, tried

    def test_service_is_ready(self, api):
        assert api.get("/readyz").json() == {"database": "ok", "mail": "ok"}

    def test_write_is_real(self, api):
        before = time.time()
        api.get("/readyz")
        assert get_db()["write_check"].find_one()["written_at"] >= before
        assert get_db()["write_check"].count_documents({}) == 1

    def test_database_that_refuses_writes_is_not_ready(self, api, writes, monkeypatch):
        writes[0].append(OperationFailure("No space left on device", 14031))
        for _ in range(3):
            response = api.get("/readyz")
            errors = assert_error(response, 503, "ServiceUnavailableError")
            assert errors == {"database": ["It can't be written."]}
        assert len(writes[1]) == 1  # in 10 s
        monkeypatch.setattr(health_service, "WRITE_SECONDS", 0)
        assert api.get("/readyz").status_code == 200

    def test_write_is_tried_once_in_10_seconds(self, api, writes, monkeypatch):
        assert health_service.WRITE_SECONDS == 10
        run_simultaneously(8, lambda _: api.get("/readyz"))
        assert len(writes[1]) == 1
        monkeypatch.setattr(health_service, "WRITE_SECONDS", 0)
        api.get("/readyz")
        assert len(writes[1]) == 2


class TestMail:
    """A mail server that is away is reported, and ends no request."""

    def test_email_that_waits_for_over_5_minutes_is_delayed(self, api, clock):
        queue_mail(0)
        clock.shift(300)
        assert api.get("/readyz").json() == {"database": "ok", "mail": "ok"}
        clock.shift(1)
        response = api.get("/readyz")
        assert (response.status_code, response.json()) == (
            200,
            {"database": "ok", "mail": "delayed"},
        )

    @pytest.mark.parametrize(
        "fields",
        [
            {"waits_for_service": False, "last_error": "SMTP 450"},
            {"state": Job.FAILED},
            {"kind": DELETE_MOVIES},
        ],
        ids=["deferred", "failed", "no email"],
    )
    def test_other_jobs_do_not_count(self, api, fields):
        queue_mail(3600, **fields)
        assert api.get("/readyz").json()["mail"] == "ok"

    def test_job_of_an_earlier_version_does_not_count(self, api):
        queue_mail(3600)
        Job.objects.update(unset__waits_for_service=1)
        assert api.get("/readyz").json()["mail"] == "ok"

    @pytest.mark.parametrize(
        ("command", "reply", "state"),
        [
            ("connect", "421 busy", "delayed"),
            ("EHLO", "502 no", "delayed"),
            ("MAIL", "421 busy", "ok"),
            ("RCPT", "450 busy", "ok"),
            ("RCPT", "421 closing", "ok"),
            (".", Fault.RESET, "ok"),
        ],
    )
    def test_state_is_that_of_the_last_attempt(
        self, api, ada, mailbox, stopped_worker, clock, monkeypatch, command, reply, state
    ):
        monkeypatch.setattr(backoff, "FIRST_DELAY_SECONDS", 0.01)
        job = queue_email(ADA["email"])
        attempts = [("connect", "421 busy"), ("RCPT", "450 busy"), (command, reply)]
        for failing, fault in attempts:
            mailbox.accept_everything()
            mailbox.replies[failing] = fault
            job.update(set__run_at=0)
            with api.app.app_context():
                stopped_worker.run_due_jobs()
        clock.shift(301)
        assert Job.objects.get().attempts == 3
        assert api.get("/readyz").json() == {"database": "ok", "mail": state}
        mailbox.accept_everything()
        job.update(set__run_at=0)
        with api.app.app_context():
            stopped_worker.run_due_jobs()
        assert api.get("/readyz").json() == {"database": "ok", "mail": "ok"}
