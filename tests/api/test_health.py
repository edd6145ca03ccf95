"""Health checks, as load balancers send them."""

import time

import pytest
import requests
from pymongo.uri_parser import parse_uri

from database.embedded.server import EmbeddedDatabase
from database.models import Job
from services.mail_service import RESET_PASSWORD, SEND_EMAIL
from services.movie_service import DELETE_MOVIES
from tests.support.assertions import assert_error
from tests.support.database_proxy import proxy_to
from tests.support.emails import queue_emails

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


def insert_job(age, **fields):
    """Store an email job of this age that is not due."""
    now, email = time.time(), {"mail": RESET_PASSWORD, "email": "ada@example.com"}
    job = {"kind": SEND_EMAIL, "arguments": email, "run_at": now + LATER, "created_at": now - age}
    Job(**job | fields).save()


@pytest.mark.parametrize(("path", "status"), [("/healthz", "alive"), ("/readyz", "ready")])
def test_any_query_and_token_is_accepted(api, path, status):
    response = api.get(f"{path}?from=balancer", token="nonsense")
    assert (response.status_code, response.json()) == (200, {"status": status})
    assert response.headers["Cache-Control"] == "no-store"


class TestFrozenDatabase:
    def test_process_is_alive_and_soon_not_ready(self, frozen_server):
        response = requests.get(f"{frozen_server.url}/healthz", timeout=5)
        assert response.json() == {"status": "alive"}
        # Long before the timeout of the database: a load balancer does not wait for that.
        response = requests.get(f"{frozen_server.url}/readyz", timeout=8)
        assert assert_error(response, 503, "ServiceUnavailableError").keys() == {"database"}
        assert int(response.headers["Retry-After"]) > 0


class TestLateEmails:
    def test_email_queued_for_over_5_minutes_is_late(self, api, clock):
        queue_emails(["ada@example.com"], run_at=time.time() + LATER)
        clock.shift(300)
        assert api.get("/readyz").status_code == 200
        clock.shift(1)
        response = api.get("/readyz")
        assert assert_error(response, 503, "ServiceUnavailableError").keys() == {"mail"}

    def test_oldest_email_counts(self, api, clock):
        for age in (10, 301, 20):
            insert_job(age)
        assert api.get("/readyz").status_code == 503
        Job.objects(created_at__lt=time.time() - 300).delete()
        assert api.get("/readyz").status_code == 200

    @pytest.mark.parametrize("fields", [{"state": Job.FAILED}, {"kind": DELETE_MOVIES}], ids=str)
    def test_failed_emails_and_other_jobs_do_not_count(self, api, clock, fields):
        insert_job(301, **fields)
        assert api.get("/readyz").status_code == 200
