"""What load balancers are told."""

import time

import pytest
import requests

from database.models import Mail
from services import outbox
from tests.servers import Running
from tests.smtp import silent_server
from tests.test_bad_input import refused
from tests.test_mail import wish_for

LATER = 10_000


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Serve where the database takes connections and says nothing."""
    folder = tmp_path_factory.mktemp("alone")
    with silent_server() as port:
        running = Running(folder, MONGODB_URI=f"mongodb://127.0.0.1:{port}", DATA_DIR=folder)
        yield running
        running.kill()


@pytest.mark.parametrize(("path", "status"), [("/healthz", "alive"), ("/readyz", "ready")])
def test_all_is_well_and_nobody_need_say_who_asks_or_how(api, path, status):
    answer = api.get(f"{path}?from=balancer", token="nonsense")
    assert (answer.status_code, answer.json()) == (200, {"status": status})
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_process_lives_without_a_database(alone):
    answer = requests.get(f"{alone.url}/healthz", timeout=1)
    assert answer.json() == {"status": "alive"}


def test_a_silent_database_is_named_before_a_balancer_stops_waiting(alone):
    begin = time.monotonic()
    answer = requests.get(f"{alone.url}/readyz", timeout=10)
    assert time.monotonic() - begin < 4
    assert refused(answer, 503, "ServiceUnavailableError").keys() == {"database"}
    assert int(answer.headers["Retry-After"]) > 0


def test_a_mail_that_waits_for_over_5_minutes_is_named_though_it_is_due_later(api, clock):
    wish_for(["ada@example.com"], due_at=time.time() + LATER)
    clock.shift(300)
    assert api.get("/readyz").status_code == 200
    clock.shift(1)
    answer = api.get("/readyz")
    assert refused(answer, 503, "ServiceUnavailableError").keys() == {"mail"}


def test_of_several_mails_the_oldest_counts(api, clock):
    due = time.time() + LATER
    for age in (10, 301, 20):
        Mail(kind="reset", email="x", created_at=time.time() - age, due_at=due).save()
    assert api.get("/readyz").status_code == 503
    Mail.objects(created_at__lt=time.time() - 300).delete()
    assert api.get("/readyz").status_code == 200


@pytest.mark.parametrize("facts", [{"state": Mail.GIVEN_UP}, {"kind": outbox.FORGET}], ids=str)
def test_what_is_no_mail_or_was_given_up_keeps_nobody_waiting(api, clock, facts):
    wish = {"kind": "reset", "email": "ada@example.com", "due_at": time.time() + LATER}
    Mail(**wish | facts, created_at=time.time() - 301).save()
    assert api.get("/readyz").status_code == 200
