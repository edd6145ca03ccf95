"""Outages of the database under load: quick responses, no hang, no loss, full recovery."""

import os
import signal
import time
from pathlib import Path

import pymongo
import pytest
import requests
from pymongo.uri_parser import parse_uri

from database.embedded.server import OPTIONS, EmbeddedDatabase
from jobs.queue import LEASE_SECONDS
from tests.support.client import ADA
from tests.support.concurrency import wait_until
from tests.support.database_proxy import proxy_to
from tests.support.processes import database_processes
from tests.support.workload import UNAVAILABLE, workload_on

pytestmark = pytest.mark.embedded

# MONGODB_TIMEOUT where a test needs a response, which a pause of a second must not prevent.
TIMEOUT = 5
# What a response may take beside MONGODB_TIMEOUT, on a machine that is busy with the workload.
OVERHEAD = 4
# The response of a refresh may be lost in the outage; its retry must not count as reuse.
GRACE = 60


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    """Return the port of a database of which the product knows only the URI."""
    database = EmbeddedDatabase(tmp_path_factory.mktemp("remote"))
    yield parse_uri(database.start())["nodelist"][0][1]
    database.stop()


@pytest.fixture
def proxy(remote):
    with proxy_to(remote) as proxy:
        yield proxy


@pytest.fixture
def start(run, proxy):
    """Return a function that starts `run.py` on a new database behind the proxy."""

    def start_behind_proxy(timeout):
        uri = f"mongodb://127.0.0.1:{proxy.port}/outage-{time.time_ns()}{OPTIONS}"
        return run(MONGODB_URI=uri, MONGODB_TIMEOUT=timeout, JWT_REFRESH_GRACE=GRACE)

    return start_behind_proxy


def assert_survives(server, outage, timeout):
    """Check what clients see during an outage and after it."""
    with workload_on(server.url, seconds=timeout + OVERHEAD) as workload:
        wait_until(lambda: workload.wrong or all(client.pair for client in workload.clients))
        outage(workload)
        end = time.monotonic()
        wait_until(lambda: workload.wrong or workload.all_served_since(end), 30)
    assert workload.wrong == []
    assert workload.lost() == []


class TestUnreachable:
    """The database is away for a while."""

    @pytest.mark.parametrize(
        ("fault", "timeout"),
        [
            ("freeze", 1),
            pytest.param("freeze", 5, marks=pytest.mark.slow),
            pytest.param("drop", 5, marks=pytest.mark.slow),
            pytest.param("refuse", 5, marks=pytest.mark.slow),
        ],
    )
    def test_responses_are_503_in_time_and_nothing_is_lost(self, start, proxy, fault, timeout):
        server = start(timeout)

        def outage(workload):
            getattr(proxy, fault)()
            twice = 2 * len(workload.clients)
            wait_until(lambda: workload.wrong or workload.count(503) >= twice, 4 * timeout + 30)
            proxy.recover()

        assert_survives(server, outage, timeout)
        log = server.log.read_text()
        assert log.count("Jobs are waiting") <= 1
        assert "Traceback" not in log

    @pytest.mark.slow
    def test_email_with_a_lost_claim_is_sent_when_its_lease_expires(self, start, proxy):
        server = start(TIMEOUT)
        server.post("/api/auth/signup", **ADA)
        server.post("/api/auth/forgot", email=ADA["email"])
        proxy.freeze()
        wait_until(lambda: "Jobs are waiting: " in server.log.read_text())
        proxy.recover()
        log = server.data_dir / "email.log"
        wait_until(lambda: log.exists() and ADA["email"] in log.read_text(), LEASE_SECONDS + 10)
        assert server.log.read_text().count("Jobs are waiting: ") == 1


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc")
class TestEmbeddedServer:
    """The embedded server is killed."""

    def test_killed_server_is_back_before_a_response_is_late(self, run):
        server = run(MONGODB_URI=None, JWT_REFRESH_GRACE=GRACE)
        server.post("/api/auth/signup", **ADA)

        def kill():
            (database,) = database_processes(server.data_dir)
            os.kill(database, signal.SIGKILL)
            wait_until(lambda: database_processes(server.data_dir) not in ([], [database]))

        def kill_twice(_):
            kill()
            wait_until(lambda: server.post("/api/auth/login", **ADA).status_code == 200)
            kill()

        assert_survives(server, kill_twice, timeout=5)


class TestIndexes:
    """Indexes that take longer than MONGODB_TIMEOUT."""

    def test_slow_index_is_created_all_the_same(self, start, proxy, remote):
        proxy.freeze_after = b"email_1"  # the server gets the command at the start; no reply comes
        server = start(TIMEOUT)
        url = f"{server.url}/api/auth/signup"
        response = requests.post(url, json=ADA, timeout=TIMEOUT + OVERHEAD)
        assert (response.status_code, response.json()) == (503, UNAVAILABLE)
        with pymongo.MongoClient(port=remote) as client:
            name = parse_uri(server.settings["MONGODB_URI"])["database"]
            indexes = client[name].user.index_information().values()
            assert [("email", 1)] in [index["key"] for index in indexes]
        proxy.recover()
        statuses = [server.post("/api/auth/signup", **ADA).status_code for _ in range(2)]
        assert statuses == [200, 400]

    def test_index_is_created_without_a_time_limit(self, start, proxy):
        server = start(TIMEOUT)
        add_movie(server)
        wait_until(lambda: len(created_indexes(proxy)) >= 8)
        assert not any(b"maxTimeMS" in data for data in created_indexes(proxy))
        assert any(b"maxTimeMS" in data for data in proxy.forwarded)


def created_indexes(proxy):
    return [data for data in proxy.forwarded if b"createIndexes" in data]


def add_movie(server):
    server.post("/api/auth/signup", **ADA)
    token = server.post("/api/auth/login", **ADA).json()["token"]
    movie = {"name": "A Film", "casts": ["Ada"], "genres": ["Drama"]}
    headers = {"Authorization": f"Bearer {token}"}
    requests.post(f"{server.url}/api/movies", json=movie, headers=headers, timeout=30)
