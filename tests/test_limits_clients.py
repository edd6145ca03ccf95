"""Who a client is: an ip, behind as many proxies as the settings say."""

import pytest
import requests

from tests.conftest import ADA

ONE_A_MINUTE = {"RATELIMIT_ENABLED": True, "RATELIMIT_LOGIN_PER_IP": "1 per minute"}


@pytest.fixture
def ask(make_app, http):
    """Return a function that serves behind so many proxies and returns another, which logs in.

    That takes an X-Forwarded-For and an address and returns a status.
    """

    def serve(proxies, **changed):
        http.app = make_app(**{"TRUSTED_PROXIES": proxies, **ONE_A_MINUTE, **changed})

        def log_in(forwarded, email=ADA["email"]):
            headers = {"X-Forwarded-For": forwarded}
            fields = ADA | {"email": email}
            return http.post("/api/auth/login", json=fields, headers=headers).status_code

        return log_in

    return serve


def test_without_a_proxy_nobody_is_believed_to_be_another(ask):
    log_in = ask(proxies=0)
    assert [log_in(ip) for ip in ("192.0.2.1", "192.0.2.2")] == [401, 429]


@pytest.mark.parametrize(
    ("proxies", "one", "same", "another"),
    [
        (1, "192.0.2.1", "6.6.6.6, 192.0.2.1", "192.0.2.1, 192.0.2.2"),
        (2, "192.0.2.1, 10.0.0.1", "6.6.6.6, 192.0.2.1, 10.0.0.2", "192.0.2.2, 10.0.0.1"),
    ],
)
def test_behind_proxies_the_one_whom_the_first_of_them_saw_counts(ask, proxies, one, same, another):
    log_in = ask(proxies)
    assert [log_in(forwarded) for forwarded in (one, same, another)] == [401, 429, 401]


def test_what_did_not_come_through_every_proxy_is_believed_nothing(ask):
    log_in = ask(proxies=2)
    assert [log_in(ip) for ip in ("192.0.2.1", "192.0.2.2")] == [401, 429]


@pytest.mark.parametrize("forwarded", ["unknown", "192.0.2.1:4711", "::1::", "1.2.3", "\xff"])
def test_whoever_has_no_ip_is_one_client(ask, forwarded):
    log_in = ask(proxies=1)
    assert [log_in(each) for each in ("nobody", forwarded, "192.0.2.1")] == [401, 429, 401]


@pytest.mark.parametrize(
    ("one", "same", "another"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"),
        ("::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.2"),
        ("fe80::1%eth0", "fe80::2%eth1", "fe80:0:0:1::1"),
    ],
    ids=["/64", "IPv4 in IPv6", "zone"],
)
def test_of_ipv6_a_client_is_a_64(ask, one, same, another):
    log_in = ask(proxies=1)
    assert [log_in(forwarded) for forwarded in (one, same, another)] == [401, 429, 401]


def test_who_is_over_the_limit_of_the_ip_closes_no_more_addresses(ask):
    log_in = ask(proxies=1, RATELIMIT_LOGIN_PER_ADDRESS="1 per minute")
    assert log_in("192.0.2.1", "eve@example.com") == 401
    assert log_in("192.0.2.1", ADA["email"]) == 429
    assert log_in("192.0.2.2", ADA["email"]) == 401


def test_an_address_is_counted_wherever_it_is_tried_from(ask):
    log_in = ask(proxies=1)
    assert [log_in(f"192.0.2.{i}") for i in range(6)] == [401] * 5 + [429]


@pytest.mark.parametrize(("proxies", "ip"), [(0, "127.0.0.1"), (1, "192.0.2.1")])
def test_run_py_believes_as_many_proxies_and_logs_who_it_was(run, proxies, ip):
    server = run(TRUSTED_PROXIES=proxies)
    headers = {"X-Forwarded-For": "6.6.6.6, 192.0.2.1"}
    requests.post(f"{server.url}/api/auth/login", json=ADA, headers=headers, timeout=10)
    assert f"event=login_failed user=- ip={ip} " in server.log.read_text()


@pytest.mark.parametrize("name", ["Host", "Proto", "Port", "Prefix"])
def test_a_proxy_is_believed_nothing_else(make_app, http, name):
    http.app = make_app(TRUSTED_PROXIES=1)
    http.app.add_url_rule("/api/url", view_func=lambda: {"url": requested()})
    seen = http.get("/api/url", headers={f"X-Forwarded-{name}": "evil"}).json()["url"]
    assert seen == http.url + "/api/url"


def requested():
    from flask import request

    return request.url
