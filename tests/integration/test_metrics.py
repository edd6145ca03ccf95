"""The metrics for Prometheus, on METRICS_PORT."""

import re
import socket
import threading
import time
from typing import NamedTuple

import pytest
import requests
from flask import Flask
from mongoengine import disconnect
from prometheus_client import REGISTRY
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from database.db import initialize_db
from database.models import Job
from infra import metrics
from services import health_service
from services.event_service import COUNTED
from services.health_service import QueueGauges
from services.mail_kinds import PASSWORD_CHANGED, RESET_PASSWORD
from services.mail_queue import SEND_EMAIL
from services.movie_service import DELETE_MOVIES
from tests.support.client import ADA
from tests.support.concurrency import wait_until
from tests.support.emails import queue_emails, user_emails
from tests.support.full_pool import fill_pool
from tests.support.processes import Server, free_port
from tests.support.prometheus import scrape
from tests.support.smtp_server import Mailbox, silent_server, smtp_server

REQUESTS = "movie_bag_http_requests_total"
SECONDS = "movie_bag_http_request_duration_seconds"
EVENTS = "movie_bag_security_events_total"
JOBS = "movie_bag_jobs_total"
QUEUED = "movie_bag_queued_emails"
FAILED = "movie_bag_failed_emails"
DELAYED = "movie_bag_mail_delayed"
LIMITS_OFF = "movie_bag_limits_off"
WRITABLE = "movie_bag_database_writable"
UNAVAILABLE = "movie_bag_unavailable_total"
AGE = "movie_bag_oldest_queued_email_seconds"


class Observed(NamedTuple):
    """A `run.py` with metrics, its METRICS_PORT and what its mail server receives."""

    server: Server
    port: int
    mailbox: Mailbox


@pytest.fixture(scope="module")
def observed(database, tmp_path_factory):
    """Return the server that all tests share: they look at what increases."""
    mailbox, port = Mailbox(), free_port()
    with smtp_server(mailbox) as smtp_port:
        settings = {"METRICS_PORT": port, "MAIL_SERVER": "127.0.0.1", "MAIL_PORT": smtp_port}
        settings |= {"BCRYPT_LOG_ROUNDS": 4, "MONGODB_URI": database}
        server = Server(tmp_path_factory.mktemp("metrics"), **settings)
        yield Observed(server, port, mailbox)
        server.kill()


@pytest.fixture
def increase(observed, documents):
    """Return a function that returns by how much a counter has increased during the test."""
    before = scrape(observed.port)

    def increase(name, **labels):
        return (scrape(observed.port)(name, **labels) or 0) - (before(name, **labels) or 0)

    return increase


class TestMetricsServer:
    @pytest.mark.parametrize("path", ["/", "/metrics/", "/metricsx", "/healthz", "/metrics/x"])
    def test_other_paths_are_not_found(self, observed, path):
        response = requests.get(f"http://127.0.0.1:{observed.port}{path}", timeout=10)
        assert (response.status_code, response.text) == (404, "")

    def test_it_listens_on_loopback_whatever_host_is(self, run):
        port = free_port()
        run(HOST="0.0.0.0", METRICS_PORT=port)
        assert scrape(port)("process_start_time_seconds")
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.2", port)) != 0

    def test_it_listens_on_metrics_host(self, run):
        port = free_port()
        run(METRICS_HOST="127.0.0.2", METRICS_PORT=port)
        assert requests.get(f"http://127.0.0.2:{port}/metrics", timeout=10).ok

    def test_port_of_another_service_prevents_the_start(self, observed, run):
        with pytest.raises(AssertionError, match="METRICS_PORT: Can't listen on 127.0.0.1"):
            run(METRICS_PORT=observed.port)


class TestRequests:
    def test_requests_are_counted_and_timed_by_route(self, observed, increase):
        for path in ("/reset/eyJ.one", "/reset/eyJ.two", "/healthz"):
            requests.get(observed.server.url + path, timeout=10)
        assert increase(REQUESTS, method="GET", route="/reset/<token>", status="401") == 2
        assert increase(REQUESTS, method="GET", route="/healthz", status="200") == 1
        labels = {"method": "GET", "route": "/reset/<token>"}
        assert increase(f"{SECONDS}_count", **labels) == 2
        assert increase(f"{SECONDS}_bucket", **labels, le="+Inf") == 2
        assert increase(f"{SECONDS}_sum", **labels) > 0

    def test_no_label_contains_what_a_client_sent(self, observed, increase):
        server = observed.server
        server.post("/api/auth/signup", **ADA)
        token = server.post("/api/auth/login", **ADA).json()["token"]
        for path in (f"/{token}", f"/api/movies/{token}", "/nothing", "/api/movies?genre=hidden"):
            requests.get(server.url + path, timeout=10, headers={"User-Agent": "hidden"})
        for method in ("BREW", "HIDE"):
            requests.request(method, server.url + "/api/movies", timeout=10)
        text = requests.get(f"http://127.0.0.1:{observed.port}/metrics", timeout=10).text
        for secret in (token, ADA["email"], "hidden", "nothing", "BREW", "HIDE"):
            assert secret not in text
        assert not re.search("[0-9a-f]{24}", text)
        assert increase(REQUESTS, method="other", route="unknown", status="405") == 2
        assert increase(REQUESTS, method="GET", route="/api/movies/<movie_id>", status="404") == 1


class TestEvents:
    def test_logins_are_counted_by_outcome(self, observed, increase):
        observed.server.post("/api/auth/signup", **ADA)
        for password in (ADA["password"], "wrong", "wrong too"):
            observed.server.post("/api/auth/login", email=ADA["email"], password=password)
        assert [increase(EVENTS, event=event) for event in ("login", "login_failed")] == [1, 2]


class TestJobs:
    def test_jobs_are_counted_by_outcome(self, observed, increase):
        observed.mailbox.reply = lambda recipient: "550 No" if "user2" in recipient else "250 OK"
        queue_emails(user_emails(4))
        wait_until(lambda: increase(JOBS, kind=SEND_EMAIL, outcome="failed") == 1)
        wait_until(lambda: increase(JOBS, kind=SEND_EMAIL, outcome="done") == 3)


class TestQueue:
    def test_number_and_age_are_those_of_queued_emails(self, observed, documents):
        assert [scrape(observed.port)(name) for name in (QUEUED, AGE)] == [0, 0]
        now = time.time()
        for kind, mail, state, age in [
            (SEND_EMAIL, RESET_PASSWORD, Job.QUEUED, 50),
            (SEND_EMAIL, PASSWORD_CHANGED, Job.QUEUED, 100),
            (SEND_EMAIL, RESET_PASSWORD, Job.FAILED, 200),
            (DELETE_MOVIES, "", Job.QUEUED, 300),
        ]:
            times = {"created_at": now - age, "run_at": now + 1000}
            Job(kind=kind, arguments={"mail": mail, "email": "x"}, state=state, **times).save()
        value, scraped_at = scrape(observed.port), time.time()
        assert value(QUEUED) == 2
        assert 100 <= value(AGE) <= 100 + scraped_at - now

    def test_long_queue_is_counted_in_full(self, observed, documents):
        jobs = [
            Job(kind=SEND_EMAIL, arguments={"mail": "x"}, created_at=0, run_at=1e12)
            for _ in range(1_500)
        ]
        Job.objects.insert(jobs, load_bulk=False)
        assert scrape(observed.port)(QUEUED) == 1_500

    def test_failed_and_delayed_emails_are_shown(self, observed, documents):
        assert [scrape(observed.port)(name) for name in (FAILED, DELAYED)] == [0, 0]
        email = {"kind": SEND_EMAIL, "arguments": {"mail": "x"}, "created_at": 0, "run_at": 1e12}
        Job(**email, state=Job.FAILED).save()
        Job(**email).save()
        assert [scrape(observed.port)(name) for name in (FAILED, DELAYED)] == [1, 0]
        Job(**email, waits_for_service=True).save()
        assert [scrape(observed.port)(name) for name in (FAILED, DELAYED)] == [1, 1]


class TestStart:
    """Every label that is known begins at 0: Prometheus sees no increase to a first 1."""

    @pytest.fixture
    def started(self, run):
        """Return the metrics of a process that has served nothing but a health check."""
        port = free_port()
        run(METRICS_PORT=port)
        return scrape(port)

    def test_counters_begin_at_zero(self, started):
        assert {started(EVENTS, event=event) for event in COUNTED} == {0}
        kinds = (SEND_EMAIL, DELETE_MOVIES)
        outcomes = ("done", "failed")
        jobs = {started(JOBS, kind=kind, outcome=outcome) for kind in kinds for outcome in outcomes}
        assert jobs == {0}
        causes = ("database", "hashing_pool")
        assert {started(UNAVAILABLE, cause=cause) for cause in causes} == {0}
        login = {"method": "POST", "route": "/api/auth/login"}
        statuses = ("200", "400", "401", "429", "500", "503")
        assert {started(REQUESTS, **login, status=status) for status in statuses} == {0}
        assert started(f"{SECONDS}_count", **login) == 0

    def test_gauges_are_those_of_a_service_that_works(self, started):
        values = {name: started(name) for name in (QUEUED, FAILED, AGE, DELAYED)}
        assert set(values.values()) == {0}
        assert started(LIMITS_OFF) == 1  # the settings of the tests turn them off
        assert started(WRITABLE) == 1


class TestUnavailable:
    """Responses of 503 are counted by cause."""

    @pytest.fixture
    def count(self):
        """Return a function that returns the count of a cause."""
        return lambda cause: metrics.UNAVAILABLE.labels(cause)._value.get()

    def test_failed_write_is_counted(self, api, monkeypatch, count):
        def refuse(*args, **options):
            raise OperationFailure("No space left on device", 14031)

        before = count(metrics.DATABASE)
        monkeypatch.setattr(Collection, "insert_one", refuse)
        assert api.forgot().status_code == 503
        assert count(metrics.DATABASE) - before == 1

    def test_full_hashing_pool_is_counted(self, api, ada, count):
        before = count(metrics.HASHING_POOL)
        tasks = fill_pool()
        assert api.log_in().status_code == 503
        tasks.release()
        assert count(metrics.HASHING_POOL) - before == 1


class TestLimitsOff:
    def test_storage_that_is_away_shows(self, run):
        port = free_port()
        run(METRICS_PORT=port, RATELIMIT_STORAGE_URI=f"redis://127.0.0.1:{free_port()}")
        assert scrape(port)(LIMITS_OFF) == 1


class TestDatabaseAway:
    @pytest.fixture
    def silent_database(self):
        """Return the URI of a server that accepts connections and sends nothing."""
        with silent_server() as port:
            yield f"mongodb://127.0.0.1:{port}"

    def test_scrape_lacks_the_queue_alone(self, run, silent_database):
        port = free_port()
        run(METRICS_PORT=port, MONGODB_URI=silent_database, MONGODB_TIMEOUT=1)
        value = scrape(port)
        assert value(REQUESTS, method="GET", route="/", status="200") == 1
        assert [value(name) for name in (QUEUED, AGE)] == [None, None]

    def test_scrape_waits_less_than_a_request(self, silent_database, monkeypatch):
        monkeypatch.setattr(health_service, "DATABASE_SECONDS", 0.1)
        app = Flask(__name__)
        app.config.update(MONGODB_URI=silent_database, MONGODB_TIMEOUT=600)
        disconnect()  # mongoengine refuses another URI than that of an earlier test
        initialize_db(app)
        found = []
        collect = threading.Thread(target=lambda: found.append([*QueueGauges().collect()]))
        collect.daemon = True
        collect.start()
        collect.join(30)
        disconnect()
        assert found == [[]]


class TestServer:
    def test_without_a_port_nothing_starts_and_nothing_is_counted(self, api):
        before = threading.active_count()
        api.app.extensions["start_metrics"]()
        assert threading.active_count() == before
        labels = {"method": "GET", "route": "/healthz", "status": "200"}
        api.get("/healthz")
        assert REGISTRY.get_sample_value(REQUESTS, labels) is None

    def test_run_py_says_that_the_port_is_taken(self, run):
        with (
            silent_server() as taken,
            pytest.raises(AssertionError, match="METRICS_PORT: .*in use"),
        ):
            run(METRICS_PORT=taken)
