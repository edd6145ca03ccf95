"""Rate limits with counts in a Redis, which processes and machines share, and which may fail."""

import signal
import time

import pytest
import redis
import requests

from infra import rate_limiter
from tests.support.client import ADA
from tests.support.concurrency import run_simultaneously, wait_until
from tests.support.redis_server import Redis

FIVE_PER_EMAIL = {"RATELIMIT_ENABLED": True, "RATELIMIT_LOGIN_PER_IP": "1000 per minute"}


@pytest.fixture
def redis_server():
    """Return a Redis that runs."""
    server = Redis()
    yield server
    server.stop()


@pytest.fixture
def late_redis_counts(monkeypatch):
    """Wait longer for the Redis than the product does: a busy machine is not an outage."""
    monkeypatch.setattr(rate_limiter, "TIMEOUT_SECONDS", 2.0)


@pytest.fixture
def api(make_app, http, redis_server):
    """Return a client of an application that counts in the Redis: 5 logins per email."""
    http.app = make_app(RATELIMIT_STORAGE_URI=redis_server.url, **FIVE_PER_EMAIL)
    return http


def log_in_repeatedly(api, count):
    return [api.log_in().status_code for _ in range(count)]


def read_traffic(stored):
    """Return how often the limiter has run its script in the Redis, and all connections to it."""
    hits = stored.info("commandstats")["cmdstat_evalsha"]["calls"]
    return hits, stored.info("stats")["total_connections_received"]


def logged(caplog):
    """Return what the limiter has logged, without the reasons."""
    records = [record for record in caplog.records if record.name == rate_limiter.__name__]
    return [record.message.partition(":")[0] for record in records]


@pytest.mark.usefixtures("late_redis_counts")
class TestSharedCounts:
    def test_two_processes_count_together(self, run, redis_server):
        settings = {"RATELIMIT_STORAGE_URI": redis_server.url, **FIVE_PER_EMAIL}
        settings["RATELIMIT_LOGIN_PER_EMAIL"] = "5 per minute"  # in development the default is 50
        servers = [run(**settings) for _ in range(2)]
        responses = [servers[i % 2].post("/api/auth/login", **ADA) for i in range(7)]
        assert [response.status_code for response in responses] == [401] * 5 + [429] * 2
        for response in responses[5:]:
            assert 1 <= int(response.headers["Retry-After"]) <= 60

    def test_of_32_simultaneous_logins_5_are_accepted(self, api):
        statuses = run_simultaneously(32, lambda _: api.log_in().status_code)
        assert sorted(statuses) == [401] * 5 + [429] * 27

    def test_client_is_accepted_after_retry_after(self, api, make_app, redis_server):
        limit = {"RATELIMIT_LOGIN_PER_EMAIL": "1 per 3 seconds"}
        api.app = make_app(RATELIMIT_STORAGE_URI=redis_server.url, **FIVE_PER_EMAIL, **limit)
        api.log_in()
        time.sleep(int(api.log_in().headers["Retry-After"]))
        assert api.log_in().status_code == 401

    def test_redis_stores_no_email_and_no_ip_and_nothing_forever(self, api, redis_server):
        api.log_in()
        api.forgot()
        api.sign_up()
        with redis.Redis(port=redis_server.port) as stored:
            keys = stored.keys()
            assert len(keys) == 5
            for key in keys:
                assert not any(part in key.lower() for part in (b"ada", b"example", b"127.0.0.1"))
                assert 0 < stored.ttl(key) <= 3600


class TestOutage:
    """While Redis is away every request is allowed (fail open)."""

    @pytest.mark.usefixtures("late_redis_counts")
    def test_all_requests_pass_and_the_log_says_so_once(
        self, api, redis_server, caplog, monkeypatch
    ):
        monkeypatch.setattr(rate_limiter, "RETRY_SECONDS", 0.1)
        assert log_in_repeatedly(api, 6) == [401] * 5 + [429]
        redis_server.stop()
        assert log_in_repeatedly(api, 40) == [401] * 40
        assert run_simultaneously(16, lambda _: api.log_in().status_code) == [401] * 16
        redis_server.start()
        wait_until(lambda: 429 in log_in_repeatedly(api, 6))
        assert logged(caplog) == ["Limits are off", "Limits are on again"]

    def test_start_without_redis_works(self, make_app, http, redis_server):
        redis_server.stop()
        http.app = make_app(RATELIMIT_STORAGE_URI=redis_server.url, **FIVE_PER_EMAIL)
        assert log_in_repeatedly(http, 10) == [401] * 10

    def test_hanging_redis_delays_one_request_for_a_moment(self, api, redis_server, monkeypatch):
        monkeypatch.setattr(rate_limiter, "RETRY_SECONDS", 600)
        api.log_in()
        with redis.Redis(port=redis_server.port) as stored:
            hits, connections = read_traffic(stored)
            redis_server.process.send_signal(signal.SIGSTOP)
            for _ in range(20):
                response = requests.post(
                    f"{api.url}/api/auth/login",
                    json=ADA,
                    timeout=25 * rate_limiter.TIMEOUT_SECONDS,
                )
                assert response.status_code == 401
            redis_server.process.send_signal(signal.SIGCONT)
            # Now Redis sees what it was sent meanwhile.
            wait_until(lambda: read_traffic(stored) != (hits, connections))
            assert read_traffic(stored) == (hits + 1, connections)

    def test_full_redis_counts_as_away(self, api, redis_server):
        with redis.Redis(port=redis_server.port) as stored:
            stored.config_set("maxmemory", "1")
        assert log_in_repeatedly(api, 10) == [401] * 10
