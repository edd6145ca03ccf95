"""New devices: a login from one mails its owner (contract: "Users, for operators")."""

import itertools
from functools import partial

import pytest
from pymongo.errors import AutoReconnect

from database.events import StoredEvent
from database.models import Job, User
from services import device_service
from services.device_service import MAX_DEVICES
from services.mail_kinds import NEW_DEVICE
from tests.support.authenticator import assertion
from tests.support.client import ADA, NEW_PASSWORD
from tests.support.email_client import send_due, stop_worker, verify_all
from tests.support.factor_client import STEP, begin_login, code_of, enrol
from tests.support.passkeys import add_passkey, login_options
from tests.support.smtp_server import text_of
from tests.support.tokens import reset_token

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
NEXT_FIREFOX = FIREFOX.replace("128", "129")
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/126.0.0.0 Safari/537.36"
)
IP, NEIGHBOUR, ELSEWHERE = "203.0.113.7", "203.0.113.200", "198.51.100.9"
IPV6, IPV6_NEIGHBOUR, IPV6_ELSEWHERE = "2001:db8:1:1::1", "2001:db8:1:2::2", "2001:db8:2::1"
HOUR = 3600


def headers_of(ip, agent):
    return {"X-Forwarded-For": ip, "User-Agent": agent}


@pytest.fixture
def log_in(make_app, http, clock):
    """Return a function that logs Ada in from a device; she has logged in with Firefox before.

    The time is stopped, and no worker runs.
    """
    http.app = make_app(TRUSTED_PROXIES=1, JWT_SESSION_MAX_AGE=10**8)
    stop_worker(http.app)

    def log_in(ip=IP, agent=FIREFOX, **fields):
        headers = headers_of(ip, agent)
        return http.post("/api/auth/login", json=ADA | fields, headers=headers)

    http.sign_up()
    assert log_in().status_code == 200
    return log_in


@pytest.fixture
def mails_after(http, mailbox, clock):
    """Return a function that lets seconds pass, and returns the texts of the emails since then."""

    def mails_after(seconds=1):
        clock.shift(seconds)
        return [text_of(mail) for mail in send_due(http.app, mailbox)]

    return mails_after


def known():
    """Return browser and network of each device that Ada has logged in with, oldest first."""
    return [(it["browser"], it["network"]) for it in User.objects.get().devices["known"]]


def new_devices():
    return StoredEvent.objects(event="new_device").count()


class TestNewDevice:
    def test_first_login_is_no_news(self, log_in, mails_after):
        assert known() == [("Firefox", "203.0.113.0/24")]
        assert mails_after() == []
        assert new_devices() == 0

    def test_email_says_when_with_what_and_from_where(self, log_in, mails_after, clock, http):
        clock.move_to(1_800_000_000)
        log_in(ELSEWHERE, CHROME)
        (text,) = mails_after()
        for part in ("January 15, 2027", "8:00", "Chrome, Windows", ELSEWHERE):
            assert part in text
        assert new_devices() == 1

    @pytest.mark.parametrize(
        ("ip", "agent", "is_new"),
        [
            (IP, FIREFOX, False),
            (IP, NEXT_FIREFOX, False),
            (IP, CHROME, True),
            (NEIGHBOUR, FIREFOX, False),
            (ELSEWHERE, FIREFOX, True),
            (IPV6, FIREFOX, True),
        ],
    )
    def test_browser_and_network_tell_devices_apart(self, log_in, mails_after, ip, agent, is_new):
        for _ in range(2):
            log_in(ip, agent)
        assert len(mails_after()) == new_devices() == is_new

    @pytest.mark.parametrize(("ip", "is_new"), [(IPV6_NEIGHBOUR, False), (IPV6_ELSEWHERE, True)])
    def test_network_of_ipv6_has_48_bits(self, log_in, mails_after, ip, is_new):
        log_in(IPV6)
        mails_after()
        log_in(ip)
        assert new_devices() == 1 + is_new

    @pytest.mark.parametrize(("others", "is_new"), [(MAX_DEVICES - 1, False), (MAX_DEVICES, True)])
    def test_last_20_are_known(self, log_in, clock, others, is_new):
        for number in range(others):
            clock.shift(1)
            log_in(f"198.51.{number}.1")
        clock.shift(1)
        log_in()
        assert new_devices() == others + is_new
        assert len(known()) == MAX_DEVICES

    def test_device_in_use_stays_known(self, log_in, clock):
        clock.shift(86401)
        for number in range(MAX_DEVICES):
            log_in(f"198.51.{number}.1")
            clock.shift(1)
            log_in()
        assert ("Firefox", "203.0.113.0/24") in known()
        assert new_devices() == MAX_DEVICES

    def test_refused_login_is_of_no_device(self, log_in, mails_after):
        log_in(ELSEWHERE, password="wrong")
        assert mails_after() == []
        assert len(known()) == 1


class TestEmail:
    def test_one_an_hour_has_what_came_meanwhile(self, log_in, mails_after):
        log_in("192.0.2.1")
        assert len(mails_after(600)) == 1
        for ip in ("192.0.3.1", "192.0.4.1"):
            log_in(ip)
            assert mails_after(600) == []
        assert mails_after(HOUR - 1800 - 1) == []
        (text,) = mails_after(2)
        assert "192.0.3.1" in text
        assert "192.0.4.1" in text
        assert "192.0.2.1" not in text
        log_in("192.0.5.1")
        assert mails_after(HOUR - 2) == []
        (text,) = mails_after(2)
        assert "192.0.5.1" in text
        assert "192.0.4.1" not in text

    def test_after_a_quiet_hour_it_is_sent_at_once(self, log_in, mails_after):
        log_in("192.0.2.1")
        assert len(mails_after(HOUR)) == 1
        log_in("192.0.3.1")
        assert len(mails_after()) == 1

    def test_it_has_no_text_of_the_client(self, log_in, mails_after):
        log_in(agent="Evil/1.0 (pay at https://evil.example <b>now</b>)")
        log_in(ELSEWHERE, agent=FIREFOX + " pay at https://evil.example")
        text = "".join(mails_after() + mails_after(HOUR)).lower()
        assert "firefox, linux" in text
        assert "unknown" in text
        assert "evil" not in text
        assert "pay at" not in text

    def test_one_that_waits_goes_to_the_email_of_the_login(self, log_in, http, clock, mailbox):
        log_in("192.0.2.1")
        log_in("192.0.3.1")
        User.objects.update(set__email="ada@new.example")
        clock.shift(HOUR + 1)
        assert [mail["To"] for mail in send_due(http.app, mailbox)] == [ADA["email"]] * 2

    def test_it_is_not_sent_to_a_deleted_user(self, log_in, mails_after, http):
        token = log_in(ELSEWHERE).json()["token"]
        body = {"current_password": ADA["password"]}
        assert http.delete("/api/users/me", json=body, token=token).status_code == 200
        (text,) = mails_after()
        assert ELSEWHERE not in text

    def test_failure_does_not_break_the_login(self, log_in, monkeypatch, caplog):
        def fail(*_):
            raise AutoReconnect("no primary")

        monkeypatch.setattr(device_service, "replace_devices", fail)
        assert log_in(ELSEWHERE).status_code == 200
        assert "The device of a login is not remembered: no primary" in caplog.messages
        monkeypatch.undo()
        log_in(ELSEWHERE)
        assert new_devices() == 1


class TestEachLogin:
    def test_login_by_code_notes_its_device(self, log_in, http, clock):
        tokens = log_in().json()
        verify_all()
        factor = enrol(http, tokens)
        clock.shift(STEP)
        mfa_token = begin_login(http)
        assert new_devices() == 0
        body = {"mfa_token": mfa_token, "code": code_of(factor.secret)}
        http.post("/api/auth/login/mfa", json=body, headers=headers_of(ELSEWHERE, FIREFOX))
        assert new_devices() == 1

    def test_login_by_passkey_notes_its_device(self, log_in, http):
        tokens = log_in().json()
        verify_all()
        passkey = add_passkey(http, tokens["token"])
        body = {"credential": assertion(passkey, login_options(http))}
        http.post("/api/auth/login/passkey", json=body, headers=headers_of(ELSEWHERE, FIREFOX))
        assert new_devices() == 1

    def test_device_stays_known_after_a_reset(self, log_in, http):
        assert http.reset(reset_token(http.app, User.objects.get())).status_code == 200
        assert log_in(password=NEW_PASSWORD).status_code == 200
        assert new_devices() == 0


class TestRaces:
    @pytest.fixture
    def settings(self, settings, interrupted):
        """Return settings of an application whose commands are interrupted."""
        return settings

    def test_two_logins_lose_no_device(self, log_in, interrupted):
        for step in itertools.count(1):
            Job.objects.delete()
            User.objects.update(unset__devices=True, unset__sessions=True)
            log_in()
            interrupted.after(step, partial(log_in, "192.0.2.1"))
            assert log_in("192.0.3.1").status_code == 200
            if not interrupted.happened():
                break
            assert {network for _, network in known()} == {
                *("203.0.113.0/24", "192.0.2.0/24", "192.0.3.0/24")
            }
            arguments = [job.arguments for job in Job.objects(arguments__mail=NEW_DEVICE)]
            new = [it for it in User.objects.get().devices["known"] if it["ip"] != IP]
            for device in new:
                assert any(
                    float(it["since"]) <= device["first_at"] <= float(it["until"])
                    for it in arguments
                ), step
            assert len(arguments) <= 2
        assert step > 4


class TestSession:
    def test_list_shows_device_ip_and_last_use(self, log_in, http, clock):
        clock.shift(60)
        pair = log_in(ELSEWHERE, CHROME).json()
        clock.shift(60)
        headers = headers_of("192.0.2.1", CHROME)
        pair = http.refresh(pair["refresh_token"], **headers).json()
        session, first = http.get("/api/auth/sessions", token=pair["token"]).json()
        assert (session["device"], session["ip"]) == ("Chrome on Windows", "192.0.2.1")
        assert session["last_used_at"] > session["created_at"]
        assert (first["device"], first["ip"]) == ("Firefox on Linux", IP)
