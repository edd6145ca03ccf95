"""The mail server at its worst: what waits, what is given up, and what the log says of it."""

import base64
import ssl
import time

import pytest

from database.models import Mail
from services import outbox
from tests.conftest import wait_until
from tests.scripted_smtp import DRIP, DRY_UP, RESET, SILENCE, scripted_server
from tests.smtp import free_port, smtp_server
from tests.test_mail import CERTIFICATE, addresses, recipients, wish_for

PASSWORD = "hush-hush"
LOGIN = {"MAIL_USERNAME": "movie-bag", "MAIL_PASSWORD": PASSWORD}
TLS, SSL = {"MAIL_USE_TLS": True}, {"MAIL_USE_SSL": True}
PLAIN = "250 here"
LOST = ("SMTPServerDisconnected: ", "ConnectionResetError: ")  # as the system happens to see it
LATE = "SMTPServerDisconnected: Connection unexpectedly closed: timed out"

# At which step it says what, with which settings, and what is written down.
SERVER_FAULTS = [
    ("connect", "421 busy", {}, "SMTPConnectError: 421"),
    ("connect", "554 go away", {}, "SMTPConnectError: 554"),
    ("connect", "nonsense", {}, "SMTPConnectError: -1"),
    ("connect", RESET, {}, LOST),
    ("connect", SILENCE, {}, LATE),
    ("connect", DRIP, {}, LATE),
    ("EHLO", RESET, {}, LOST),
    ("EHLO", DRIP, {}, LATE),
    ("EHLO", PLAIN, TLS, "SMTPNotSupportedError: STARTTLS"),
    ("STARTTLS", "454 not now", TLS, "SMTPResponseException: 454"),
    ("STARTTLS", "220 go on", TLS, "SSLError: "),
    ("connect", "220 ready", SSL, "SSLError: "),
    ("EHLO", PLAIN, LOGIN, "LoginError: SMTPNotSupportedError"),
    ("AUTH", "535 wrong", LOGIN, "LoginError: 535"),
    ("AUTH", "454 not now", LOGIN, "LoginError: 454"),
    ("AUTH", "334 !", LOGIN, "LoginError: "),
    ("AUTH", RESET, LOGIN, "LoginError: "),
    ("AUTH", "535 wrong+reset", LOGIN, "LoginError: "),
    ("MAIL", "421 closing", {}, "SMTPSenderRefused: 421"),
    ("MAIL", "451 not now", {}, "SMTPSenderRefused: 451"),
    ("MAIL", "550 not you", {}, "SMTPSenderRefused: 550"),
    ("MAIL", RESET, {}, LOST),
    ("RCPT", "421 closing", {}, "SMTPRecipientsRefused: 421"),
    ("RCPT", RESET, {}, LOST),
    ("RCPT", DRIP, {}, LATE),
    ("DATA", "421 closing", {}, "SMTPDataError: 421"),
    ("DATA", RESET, {}, LOST),
    (".", "421 closing", {}, "SMTPDataError: 421"),
    (".", RESET, {}, LOST),
    (".", SILENCE, {}, LATE),
    (".", DRIP, {}, LATE),
]
MAIL_FAULTS = [
    ("RCPT", "450 mailbox busy", Mail.WAITING),
    ("RCPT", "550 no such user", Mail.GIVEN_UP),
    ("DATA", "451 not now", Mail.WAITING),
    ("DATA", "554 no", Mail.GIVEN_UP),
    (".", "452 full", Mail.WAITING),
    (".", "nonsense", Mail.WAITING),
    (".", "552 too much", Mail.GIVEN_UP),
    (".", "554 spam", Mail.GIVEN_UP),
]


@pytest.fixture
def server():
    with scripted_server(PASSWORD, *addresses(3)) as server:
        yield server


@pytest.fixture
def start(make_app, server):
    """Start an outbox that sends to the server; return it."""

    def start_outbox(**settings):
        app = make_app(MAIL_PORT=server.port, MAIL_TIMEOUT=1, **settings)
        app.extensions["outbox"].start()
        return app.extensions["outbox"]

    return start_outbox


@pytest.fixture
def hasty(monkeypatch):
    """Let no time pass between looks into the outbox, and little before the second try."""
    for name, seconds in (("POLL", 0.01), ("SETTLE", 0.01), ("FIRST_RETRY", 0.05)):
        monkeypatch.setattr(outbox, f"{name}_SECONDS", seconds)


def lines_about_mails(caplog):
    return [r.getMessage() for r in caplog.records if r.getMessage().startswith("Mail ")]


def assert_no_secrets(text):
    for secret in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode()[:8], *addresses(3)):
        assert secret not in text


@pytest.mark.parametrize(
    ("step", "answer", "given", "error"),
    SERVER_FAULTS,
    ids=[f"{step} {answer}" for step, answer, *_ in SERVER_FAULTS],
)
def test_a_fault_of_the_server_puts_all_off_and_no_mail_is_lost_or_doubled(
    start, server, caplog, step, answer, given, error
):
    wish_for(addresses(3))
    server.answers[step] = answer
    paused = start(**given)
    tried = wait_until(lambda: Mail.objects(last_error__exists=True).first(), 3)
    assert tried.last_error.startswith(error)
    assert sorted(wish.attempts for wish in Mail.objects(state=Mail.WAITING)) == [0, 0, 1]
    (line,) = wait_until(lambda: lines_about_mails(caplog))
    assert line.startswith(f"Mail {tried.id}: {tried.last_error}; again in ")
    assert_no_secrets(line + tried.last_error)
    assert "Traceback" not in caplog.text
    assert server.taken == []
    paused.stop()
    server.heal()
    Mail.objects.update(set__due_at=0)  # as if the time had passed
    start()
    wait_until(lambda: Mail.objects.first() is None)
    assert sorted(server.taken) == addresses(3)


def test_an_answer_is_waited_for_as_a_whole_not_from_its_last_byte(start, server):
    wish_for(addresses(1))
    server.answers["MAIL"] = DRY_UP
    start()
    begin = wait_until(lambda: server.begun)[0]
    wait_until(lambda: Mail.objects(last_error__exists=True).first())
    assert time.monotonic() - begin < 1.5


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "self-signed"])
def test_tls_from_the_first_byte_takes_only_a_certificate_that_it_can_check(
    make_app, mailbox, monkeypatch, trusted
):
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(CERTIFICATE)
    wish_for(addresses(2))
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with smtp_server(mailbox, ssl_context=tls) as port:
        box = make_app(MAIL_PORT=port, **SSL).extensions["outbox"]
        box.start()
        if trusted:
            assert recipients(mailbox.wait_for(2)) == addresses(2)
        else:
            wish = wait_until(lambda: Mail.objects(last_error__exists=True).first())
            assert "CERTIFICATE_VERIFY_FAILED" in wish.last_error
            assert mailbox.mails == []
        box.stop()


@pytest.mark.parametrize(("step", "answer", "state"), MAIL_FAULTS)
def test_a_mail_that_is_refused_waits_or_is_given_up_alone(
    start, server, caplog, step, answer, state
):
    wish_for(addresses(3))
    healthy = server.answers[step]
    server.answers[step] = lambda to: answer if to.startswith("user1") else healthy
    start()
    wait_until(lambda: server.taken == ["user0@example.com", "user2@example.com"])
    (wish,) = wait_until(lambda: len(Mail.objects) == 1 and Mail.objects)
    code = answer[:3] if answer[0].isdigit() else "-1"
    assert (wish.email, wish.state) == ("user1@example.com", state)
    assert wish.last_error == f"SMTP {code}"
    (line,) = wait_until(lambda: lines_about_mails(caplog))
    assert "again in" in line if state == Mail.WAITING else "given up" in line
    assert_no_secrets(line)


def test_a_mail_that_was_taken_is_not_sent_again_when_the_connection_is_lost_after_it(
    start, server
):
    wish_for(addresses(3))
    server.answers["."] = "250 taken+reset"
    paused = start()
    wait_until(lambda: Mail.objects(last_error__exists=True).first())
    paused.stop()
    server.heal()
    Mail.objects.update(set__due_at=0)
    start()
    wait_until(lambda: Mail.objects.first() is None)
    assert sorted(server.taken) == addresses(3)


def test_without_starttls_neither_a_password_nor_a_mail_goes_out(start, server):
    wish_for(addresses(1))
    server.answers["EHLO"] = "250-here\r\n250 AUTH PLAIN LOGIN"
    start(**TLS, **LOGIN)
    wait_until(lambda: Mail.objects(last_error__exists=True).first())
    (commands,) = server.heard
    assert [command.split()[0].upper() for command in commands] == ["EHLO", "QUIT"]


def test_a_wrong_password_is_no_storm_of_logins_however_many_mails_wait(
    start, server, hasty, caplog
):
    wish_for(addresses(50))
    server.answers["AUTH"] = "535 wrong"
    box = start(**LOGIN)
    wait_until(lambda: Mail.objects(last_error="LoginError: 535").first())
    for _ in range(50):
        box.wake()
        time.sleep(0.02)
    assert len(server.heard) == 1
    (line,) = wait_until(lambda: lines_about_mails(caplog))
    assert line.endswith(f"LoginError: 535; again in {outbox.LOGIN_RETRY_SECONDS:.0f} s")


def test_a_server_that_stays_away_is_tried_ever_more_rarely_until_it_is_back(start, server, hasty):
    wish_for(addresses(9))
    server.answers["connect"] = "421 busy"
    start()
    wait_until(lambda: len(server.begun) == 6)
    server.heal()
    shortest = sum(0.5 * outbox.FIRST_RETRY_SECONDS * 2**number for number in range(5))
    assert server.begun[5] - server.begun[0] > 0.9 * shortest
    wait_until(lambda: Mail.objects.first() is None)
    assert sorted(server.taken) == addresses(9)
    server.answers["MAIL"] = "421 busy"
    wish_for(["eve@example.com"])
    wish = wait_until(lambda: Mail.objects(last_error__exists=True).first())
    assert wish.due_at < time.time() + 1.5 * outbox.FIRST_RETRY_SECONDS


def test_a_server_that_refuses_connections_is_found_when_it_is_back(
    make_app, hasty, mailbox, caplog
):
    port = free_port()
    wish_for(addresses(3))
    make_app(MAIL_PORT=port).extensions["outbox"].start()
    wait_until(lambda: "ConnectionRefusedError" in caplog.text)
    with smtp_server(mailbox, port):
        wait_until(lambda: Mail.objects.first() is None)
        assert recipients(mailbox.mails) == addresses(3)
