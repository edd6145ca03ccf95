"""The client IP, which limits count: behind as many proxies as TRUSTED_PROXIES says."""

import pytest
import requests
from flask import request

from tests.support.client import ADA, EVE
from web import client_ip

ONE_PER_MINUTE = {"RATELIMIT_ENABLED": True, "RATELIMIT_LOGIN_PER_IP": "1 per minute"}

SPELLINGS = {
    "192.0.2.1:4711": "192.0.2.1",
    '"192.0.2.1:4711"': "192.0.2.1",
    "192.0.2.1:_port": "192.0.2.1",
    "[2001:db8::1]": "2001:db8::1",
    '"[2001:db8::1]"': "2001:db8::1",
    '"[2001:DB8:0:0::1]:4711"': "2001:db8::1",
    "[2001:db8::1]:4711": "2001:db8::1",
    "2001:0db8::0001": "2001:db8::1",
    "::ffff:192.0.2.1": "192.0.2.1",
    "[::ffff:192.0.2.1]:4711": "192.0.2.1",
    "[::ffff:c000:201]": "192.0.2.1",
    "[fe80::1%eth0]:4711": "fe80::1",
}
NO_IPS = [
    "unknown",
    "_hidden",
    "",
    "::1::",
    "1.2.3",
    "1.2.3.4.5",
    "192.0.2.1:",
    "192.0.2.1:123456",
    '"192.0.2.1',
    "[2001:db8::1",
    "2001:db8::1]:80",
    "for=192.0.2.1",
    "192.0.2.01",
    "1" * 20_000,
    "\xff",
]


@pytest.fixture(autouse=True)
def nothing_is_logged():
    """Forget what this process has logged once."""
    client_ip._warn_once.cache_clear()


@pytest.fixture
def behind(make_app, http):
    """Return a function that serves behind so many proxies and returns another, which logs in.

    That takes an X-Forwarded-For and an email and returns a status.
    """

    def serve(proxies, **changed):
        http.app = make_app(**{"TRUSTED_PROXIES": proxies, **ONE_PER_MINUTE, **changed})

        def log_in(forwarded, email=ADA["email"]):
            headers = {"X-Forwarded-For": forwarded}
            body = ADA | {"email": email}
            return http.post("/api/auth/login", json=body, headers=headers).status_code

        return log_in

    return serve


class TestForwardedFor:
    def test_header_is_ignored_without_a_proxy(self, behind):
        log_in = behind(proxies=0)
        assert [log_in(ip) for ip in ("192.0.2.1", "192.0.2.2")] == [401, 429]

    @pytest.mark.parametrize(
        ("proxies", "one", "same", "another"),
        [
            (1, "192.0.2.1", "6.6.6.6, 192.0.2.1", "192.0.2.1, 192.0.2.2"),
            (2, "192.0.2.1, 10.0.0.1", "6.6.6.6, 192.0.2.1, 10.0.0.2", "192.0.2.2, 10.0.0.1"),
        ],
    )
    def test_ip_is_the_one_that_the_first_proxy_saw(self, behind, proxies, one, same, another):
        log_in = behind(proxies)
        assert [log_in(forwarded) for forwarded in (one, same, another)] == [401, 429, 401]

    def test_header_is_ignored_if_it_passed_too_few_proxies(self, behind):
        log_in = behind(proxies=2)
        assert [log_in(ip) for ip in ("192.0.2.1", "192.0.2.2")] == [401, 429]

    @pytest.mark.parametrize("forwarded", NO_IPS)
    def test_clients_without_an_ip_count_as_the_proxy(self, behind, forwarded):
        log_in = behind(proxies=1)
        assert [log_in(ip) for ip in ("127.0.0.1", forwarded, "192.0.2.1")] == [401, 429, 401]

    @pytest.mark.parametrize(("forwarded", "ip"), SPELLINGS.items(), ids=SPELLINGS)
    def test_spelling_of_rfc_7239_is_read(self, behind, caplog, forwarded, ip):
        caplog.set_level("INFO")
        log_in = behind(proxies=1)
        assert [log_in(text) for text in (forwarded, f"6.6.6.6, {ip}", "::2")] == [401, 429, 401]
        assert f"event=login_failed ip={ip} " in caplog.text

    def test_entry_without_an_ip_is_logged_once(self, behind, caplog):
        log_in = behind(proxies=1)
        for text in ("192.0.2.1", "unknown", "_hidden"):
            log_in(text)
        assert [r.levelname for r in caplog.records if "names no IP" in r.getMessage()] == [
            "WARNING"
        ]

    def test_header_that_nobody_trusts_is_logged_once(self, behind, caplog):
        log_in = behind(proxies=0)
        for text in ("192.0.2.1", "192.0.2.2"):
            log_in(text)
        assert caplog.text.count("TRUSTED_PROXIES is 0") == 1

    @pytest.mark.parametrize(
        ("one", "same", "another"),
        [
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"),
            ("::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.2"),
            ("fe80::1%eth0", "fe80::2%eth1", "fe80:0:0:1::1"),
        ],
        ids=["/64", "IPv4 in IPv6", "zone"],
    )
    def test_ipv6_client_is_a_64(self, behind, one, same, another):
        log_in = behind(proxies=1)
        assert [log_in(forwarded) for forwarded in (one, same, another)] == [401, 429, 401]

    @pytest.mark.parametrize(("proxies", "ip"), [(0, "127.0.0.1"), (1, "192.0.2.1")])
    def test_run_py_trusts_and_logs_the_same_ip(self, run, proxies, ip):
        server = run(TRUSTED_PROXIES=proxies)
        headers = {"X-Forwarded-For": "6.6.6.6, 192.0.2.1"}
        requests.post(f"{server.url}/api/auth/login", json=ADA, headers=headers, timeout=10)
        assert f"event=login_failed ip={ip} " in server.log.read_text()


class TestLimitPerIp:
    def test_refused_request_counts_for_no_email(self, behind):
        log_in = behind(proxies=1, RATELIMIT_LOGIN_PER_EMAIL="1 per minute")
        assert log_in("192.0.2.1", EVE["email"]) == 401
        assert log_in("192.0.2.1", ADA["email"]) == 429
        assert log_in("192.0.2.2", ADA["email"]) == 401

    def test_email_is_counted_across_ips(self, behind):
        log_in = behind(proxies=1)
        assert [log_in(f"192.0.2.{i}") for i in range(6)] == [401] * 5 + [429]


class TestOtherForwardedHeaders:
    @pytest.mark.parametrize("name", ["Host", "Proto", "Port", "Prefix"])
    def test_header_is_ignored(self, make_app, http, name):
        http.app = make_app(TRUSTED_PROXIES=1)
        http.app.add_url_rule("/api/url", view_func=lambda: {"url": request.url})
        seen = http.get("/api/url", headers={f"X-Forwarded-{name}": "evil"}).json()["url"]
        assert seen == http.url + "/api/url"
