"""What Prometheus finds on METRICS_PORT."""

import re
import threading
import time

import pytest
import requests
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from database.models import Mail
from services import health_service
from services.outbox import FORGET
from tests.conftest import ADA, wait_until
from tests.servers import Running
from tests.smtp import free_port, silent_server
from tests.test_mail import addresses, wish_for

REQUESTS, SECONDS = "movie_bag_http_requests_total", "movie_bag_http_request_duration_seconds"
EVENTS, MAILS = "movie_bag_security_events_total", "movie_bag_mails_total"
SIZE, AGE = "movie_bag_outbox_mails", "movie_bag_outbox_oldest_seconds"


def scrape(port):
    """Return what is exported: a function of a name and labels, None for what is not there."""
    text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    families = text_string_to_metric_families(text)
    found = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }
    return lambda name, **labels: found.get((name, frozenset(labels.items())))


@pytest.fixture
def watched(run, smtp):
    """Return a `run.py` that is watched, and its METRICS_PORT."""
    port = free_port()
    return run(METRICS_PORT=port, MAIL_SERVER="127.0.0.1", MAIL_PORT=smtp), port


def test_requests_are_counted_and_timed_by_method_route_and_status(watched):
    server, port = watched
    for path in ("/reset/eyJ.one", "/reset/eyJ.two", "/healthz"):
        requests.get(server.url + path, timeout=10)
    value = scrape(port)
    assert value(REQUESTS, method="GET", route="/reset/<token>", status="401") == 2
    assert value(REQUESTS, method="GET", route="/healthz", status="200") == 1
    labels = {"method": "GET", "route": "/reset/<token>"}
    assert value(f"{SECONDS}_count", **labels) == 2
    assert value(f"{SECONDS}_bucket", **labels, le="+Inf") == 2
    assert 0 < value(f"{SECONDS}_sum", **labels) < 2


def test_no_label_holds_what_a_client_sent(watched):
    server, port = watched
    server.post("/api/auth/signup", **ADA)
    token = server.post("/api/auth/login", **ADA).json()["token"]
    for path in (f"/{token}", f"/api/movies/{token}", "/nothing", "/api/movies?genre=hidden"):
        requests.get(server.url + path, timeout=10, headers={"User-Agent": "hidden"})
    for method in ("BREW", "HIDE"):
        requests.request(method, server.url + "/api/movies", timeout=10)
    text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    for secret in (token, ADA["email"], "hidden", "nothing", "BREW", "HIDE"):
        assert secret not in text
    assert not re.search("[0-9a-f]{24}", text)
    value = scrape(port)
    assert value(REQUESTS, method="other", route="unknown", status="405") == 2
    assert value(REQUESTS, method="GET", route="/api/movies/<movie_id>", status="404") == 1


def test_logins_are_counted_by_outcome(watched):
    server, port = watched
    server.post("/api/auth/signup", **ADA)
    for password in (ADA["password"], "wrong", "wrong too"):
        server.post("/api/auth/login", email=ADA["email"], password=password)
    value = scrape(port)
    assert [value(EVENTS, event=event) for event in ("login", "login_failed")] == [1, 2]


def test_mails_are_counted_sent_and_given_up(watched, mailbox):
    mailbox.reply = lambda recipient: "550 No" if recipient.startswith("user2") else "250 OK"
    wish_for(addresses(4))
    _, port = watched
    wait_until(lambda: scrape(port)(MAILS, outcome="given_up") == 1)
    wait_until(lambda: scrape(port)(MAILS, outcome="sent") == 3)


def test_size_and_age_of_the_outbox_are_those_in_the_database(watched):
    _, port = watched
    assert [scrape(port)(name) for name in (SIZE, AGE)] == [0, 0]
    now = time.time()
    for kind, state, age in [
        ("reset", Mail.WAITING, 50),
        ("password_changed", Mail.WAITING, 100),
        ("reset", Mail.GIVEN_UP, 200),
        (FORGET, Mail.WAITING, 300),
    ]:
        facts = {"email": "x", "created_at": now - age, "due_at": now + 1000}
        Mail(kind=kind, state=state, **facts).save()
    value = scrape(port)
    assert value(SIZE) == 2
    assert 100 <= value(AGE) < 115


def test_a_long_queue_is_counted_no_further_than_it_matters(app, monkeypatch):
    monkeypatch.setattr(health_service, "MAX_COUNTED", 3)
    wish_for(addresses(5), due_at=time.time() + 1000)
    assert health_service.waiting_mails() == 3


def test_while_the_database_is_away_a_scrape_has_all_but_the_outbox_and_in_time(tmp_path):
    port = free_port()
    with silent_server() as database:
        uri = f"mongodb://127.0.0.1:{database}"
        server = Running(tmp_path, MONGODB_URI=uri, METRICS_PORT=port)
        begin = time.monotonic()
        value = scrape(port)
        server.kill()
    assert time.monotonic() - begin < 4
    assert value(REQUESTS, method="GET", route="/", status="200") == 1
    assert [value(name) for name in (SIZE, AGE)] == [None, None]


def test_without_a_port_nothing_listens_and_no_request_is_counted(api):
    before = threading.active_count()
    api.app.extensions["exporter"].start()
    assert threading.active_count() == before
    labels = {"method": "GET", "route": "/healthz", "status": "200"}
    api.get("/healthz")
    assert REGISTRY.get_sample_value(REQUESTS, labels) is None


def test_run_py_says_so_when_the_port_is_taken(run, tmp_path):
    with silent_server() as taken, pytest.raises(AssertionError, match="METRICS_PORT: .*in use"):
        run(METRICS_PORT=taken)
