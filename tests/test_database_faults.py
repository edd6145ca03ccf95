"""The database gone under load: quick answers, nothing hangs, nothing is lost, all mends itself."""

import os
import signal
import time
from pathlib import Path

import pymongo
import pytest
import requests
from pymongo.uri_parser import parse_uri

from database.embedded import OPTIONS, EmbeddedDatabase
from services import outbox
from tests.conftest import ADA, wait_until
from tests.load import PASSWORD, UNAVAILABLE, load_on
from tests.proxy import proxy_to
from tests.test_embedded import pids

A_LITTLE = 4
# A refresh that was done, and whose answer was lost, must be told from a replay after the outage.
GRACE = 60


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    """Return the port of a database of which the product knows no more than its URI."""
    folder = tmp_path_factory.mktemp("remote")
    embedded = EmbeddedDatabase(folder)
    yield parse_uri(embedded.start())["nodelist"][0][1]
    embedded.stop()


@pytest.fixture
def proxy(remote):
    with proxy_to(remote) as proxy:
        yield proxy


@pytest.fixture
def start(run, proxy):
    """Start `run.py` on a new database behind the proxy."""

    def start_behind_proxy(timeout):
        uri = f"mongodb://127.0.0.1:{proxy.port}/faults-{time.time_ns()}{OPTIONS}"
        return run(MONGODB_URI=uri, MONGODB_TIMEOUT=timeout, JWT_REFRESH_GRACE=GRACE)

    return start_behind_proxy


def survives(server, fault, heal, timeout):
    """Check what clients see of an outage between fault and heal, and after it."""
    with load_on(server.url) as load:
        wait_until(lambda: load.wrong or all(client.pair for client in load.clients))
        fault()
        heal()
        healed = time.monotonic()
        wait_until(lambda: load.wrong or load.all_answered_since(healed), 30)
    assert load.wrong == []
    assert max(load.seconds(503) + load.seconds(200)) < timeout + A_LITTLE
    assert load.lost() == []
    return load


@pytest.mark.parametrize(
    ("fault", "timeout", "seconds"),
    [
        ("freeze", 1, 2.5),
        *(
            pytest.param(fault, 5, 10, marks=pytest.mark.slow)
            for fault in ("freeze", "drop", "refuse")
        ),
    ],
)
def test_while_the_database_is_gone_answers_are_503_in_time_and_what_was_written_stays(
    start, proxy, fault, timeout, seconds
):
    server = start(timeout)

    def heal():
        time.sleep(seconds)
        proxy.heal()

    load = survives(server, getattr(proxy, fault), heal, timeout)
    assert len(load.seconds(503)) >= len(load.clients)
    log = server.log.read_text()
    assert log.count("Mails wait") <= 1
    assert "Traceback" not in log


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc")
def test_the_embedded_database_killed_under_load_is_back_before_an_answer_is_late(run):
    server = run(MONGODB_URI=None, JWT_REFRESH_GRACE=GRACE)
    server.post("/api/auth/signup", **ADA)

    def kill():
        (database,) = pids(server.data_dir)
        os.kill(database, signal.SIGKILL)
        wait_until(lambda: pids(server.data_dir) not in ([], [database]))

    def kill_again():
        wait_until(lambda: server.post("/api/auth/login", **ADA).status_code == 200)
        kill()

    survives(server, kill, kill_again, timeout=5)


@pytest.mark.slow
def test_a_mail_whose_claim_was_lost_with_the_database_goes_out_when_the_claim_lapses(start, proxy):
    server = start(timeout=1)
    server.post("/api/auth/signup", **ADA)
    server.post("/api/auth/forgot", email=ADA["email"])
    proxy.freeze()
    wait_until(lambda: "Mails wait: " in server.log.read_text())
    proxy.heal()
    log = server.data_dir / "email.log"
    wait_until(lambda: log.exists() and ADA["email"] in log.read_text(), outbox.CLAIM_SECONDS + 5)
    assert server.log.read_text().count("Mails wait: ") == 1


def test_an_index_that_takes_longer_than_the_timeout_is_made_all_the_same(start, proxy, remote):
    server = start(timeout=1)
    wait_until(lambda: any(b"createIndexes" in said for said in proxy.said))
    proxy.freeze_at = b"email_1"  # the server gets it; its answer comes late
    begin = time.monotonic()
    answer = server.post("/api/auth/signup", **ADA)
    assert time.monotonic() - begin < 1 + A_LITTLE
    assert (answer.status_code, answer.json()) == (503, UNAVAILABLE)
    with pymongo.MongoClient(port=remote) as client:
        name = parse_uri(server.settings["MONGODB_URI"])["database"]
        indexes = client[name].user.index_information().values()
        assert [("email", 1)] in [index["key"] for index in indexes]
    proxy.heal()
    answers = [server.post("/api/auth/signup", **ADA).status_code for _ in "12"]
    assert answers == [200, 400]


def test_no_index_is_made_under_a_limit_at_whose_end_the_server_gives_it_up(start, proxy):
    server = start(timeout=1)
    add_movie(server)
    made = [said for said in proxy.said if b"createIndexes" in said and b"try_" not in said]
    assert len(made) >= 7
    assert not any(b"maxTimeMS" in said for said in made)
    assert any(b"maxTimeMS" in said for said in proxy.said)


def add_movie(server):
    account = {"email": ADA["email"], "password": PASSWORD}
    server.post("/api/auth/signup", **account)
    token = server.post("/api/auth/login", **account).json()["token"]
    movie = {"name": "A Film", "casts": ["Ada"], "genres": ["Drama"]}
    headers = {"Authorization": f"Bearer {token}"}
    return requests.post(f"{server.url}/api/movies", json=movie, headers=headers, timeout=30)
