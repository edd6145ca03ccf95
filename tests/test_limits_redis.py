"""Counts in a Redis, which processes and machines share, and which may be away."""

import signal
import time

import pytest
import redis

from services import limits
from tests.conftest import ADA, at_once, wait_until
from tests.redis_server import Redis

FIVE = {"RATELIMIT_ENABLED": True, "RATELIMIT_LOGIN_PER_IP": "1000 per minute"}


@pytest.fixture
def redis_server():
    """Return a Redis that runs."""
    server = Redis()
    yield server
    server.stop()


@pytest.fixture
def api(make_app, http, redis_server):
    """Return a client of an application that counts in the Redis: 5 logins per address."""
    http.app = make_app(RATELIMIT_STORAGE_URI=redis_server.url, **FIVE)
    return http


def outcomes(api, count, **fields):
    return [api.log_in(**fields).status_code for _ in range(count)]


def test_two_processes_count_together(run, redis_server):
    servers = [run(RATELIMIT_STORAGE_URI=redis_server.url, **FIVE) for _ in range(2)]
    answers = [servers[i % 2].post("/api/auth/login", **ADA) for i in range(7)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 2
    assert all(1 <= int(answer.headers["Retry-After"]) <= 60 for answer in answers[5:])


def test_of_32_logins_at_once_5_are_let_in(api):
    answers = at_once(32, lambda _: api.log_in().status_code)
    assert sorted(answers) == [401] * 5 + [429] * 27


def test_after_the_time_that_it_was_told_a_client_is_let_in(api, make_app, redis_server):
    seconds = {"RATELIMIT_LOGIN_PER_ADDRESS": "1 per second"}
    api.app = make_app(RATELIMIT_STORAGE_URI=redis_server.url, **FIVE | seconds)
    api.log_in()
    time.sleep(int(api.log_in().headers["Retry-After"]))
    assert api.log_in().status_code == 401


def test_redis_holds_no_address_and_nothing_for_ever(api, redis_server):
    api.log_in()
    api.forgot()
    api.sign_up()
    stored = redis.Redis(port=redis_server.port)
    keys = stored.keys()
    assert len(keys) == 5
    for key in keys:
        assert not any(part in key.lower() for part in (b"ada", b"example", b"127.0.0.1"))
        assert 0 < stored.ttl(key) <= 3600
    stored.close()


def test_while_redis_is_away_everybody_is_let_in_and_the_log_says_so_once(
    api, redis_server, caplog, monkeypatch
):
    monkeypatch.setattr(limits, "TRY_AGAIN_SECONDS", 0.1)
    assert outcomes(api, 6) == [401] * 5 + [429]
    redis_server.stop()
    assert outcomes(api, 40) == [401] * 40
    assert at_once(16, lambda _: api.log_in().status_code) == [401] * 16
    redis_server.start()
    wait_until(lambda: 429 in outcomes(api, 6))
    told = [record.message for record in caplog.records if record.name == limits.__name__]
    assert [message.partition(":")[0] for message in told] == [
        "Limits are off",
        "Limits are on again",
    ]


def test_a_redis_that_is_away_at_the_start_stops_nothing(make_app, http, redis_server):
    redis_server.stop()
    http.app = make_app(RATELIMIT_STORAGE_URI=redis_server.url, **FIVE)
    assert outcomes(http, 10) == [401] * 10


def test_a_redis_that_hangs_slows_one_request_and_that_not_for_long(api, redis_server):
    api.log_in()
    redis_server.process.send_signal(signal.SIGSTOP)
    begin = time.monotonic()
    assert outcomes(api, 20) == [401] * 20
    assert time.monotonic() - begin < 2 * limits.TIMEOUT_SECONDS + 0.5


def test_a_redis_that_refuses_is_away(api, redis_server):
    """Full, say, or asking for a password."""
    stored = redis.Redis(port=redis_server.port)
    stored.config_set("maxmemory", "1")
    stored.close()
    assert outcomes(api, 10) == [401] * 10
