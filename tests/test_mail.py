"""The outbox: no mail is lost, none is sent twice without need, nobody waits for one."""

import os
import re
import signal
import ssl
import threading
import time

import flask_mail
import pytest
import requests

from config import SettingsSchema
from database.models import Mail, User
from services import mail_service, outbox
from tests.conftest import ADA, NEW_PASSWORD, at_once, wait_until
from tests.servers import HOME
from tests.smtp import free_port, silent_server, smtp_server, token_in

CERTIFICATE = HOME / "tests" / "localhost.pem"


def addresses(count):
    return [f"user{number}@example.com" for number in range(count)]


def recipients(mails):
    return sorted(mail["To"] for mail in mails)


def wish_for(users, due_at=0):
    """Give each address an account and a wish, written as the product writes them."""
    for email in users:
        User(email=email, password="-").save()
        Mail(kind="reset", email=email, created_at=time.time(), due_at=due_at).save()


@pytest.fixture
def wake(app, clock):
    """Return a function that moves the clock and wakes the outbox."""
    outbox = app.extensions["outbox"]

    def move(seconds):
        clock.shift(seconds)
        outbox.wake()

    return move


def test_a_process_has_one_outbox_thread_however_many_requests_begin_at_once(app):
    before = threads_of_outboxes()
    at_once(16, lambda _: app.extensions["outbox"].start())
    assert len(threads_of_outboxes() - before) == 1


def threads_of_outboxes():
    return {thread for thread in threading.enumerate() if thread.name == "outbox"}


def test_a_batch_goes_over_one_connection(app, mailbox):
    wish_for(addresses(5))
    app.extensions["outbox"].start()
    assert recipients(mailbox.wait_for(5)) == addresses(5)
    assert mailbox.connections == 1


def test_the_work_begins_after_the_answer_is_out(api, ada, mailbox, clock, wake):
    api.forgot()
    wake(outbox.SETTLE_SECONDS - 0.01)
    wish_for(["eve@example.com"], due_at=time.time())  # after Ada's, if hers were due at once
    wake(0)
    assert recipients(mailbox.wait_for(1)) == ["eve@example.com"]
    wake(0.02)
    assert recipients(mailbox.wait_for(2)) == [ADA["email"], "eve@example.com"]


def test_a_451_is_tried_again(api, ada, mailbox, wake):
    mailbox.reply = lambda recipient: "451 Try again"
    api.forgot()
    wake(1)
    wish = wait_until(lambda: Mail.objects(last_error="SMTP 451").first())
    assert wish.state == Mail.WAITING
    mailbox.reply = lambda recipient: "250 OK"
    wake(5)
    assert token_in(mailbox.wait_for(1)[0])
    wait_until(lambda: Mail.objects(state=Mail.WAITING).first() is None)


def test_a_550_is_given_up_at_once_kept_and_logged_once(api, ada, mailbox, wake, caplog):
    mailbox.reply = lambda recipient: "550 No such user"
    api.forgot()
    wake(1)
    wish = wait_until(lambda: Mail.objects(state=Mail.GIVEN_UP).first())
    assert (wish.attempts, wish.last_error) == (1, "SMTP 550")
    wake(3600)
    lines = [record.getMessage() for record in caplog.records if "given up" in record.getMessage()]
    assert lines == [f"Mail {wish.id} given up: SMTP 550; it is kept"]
    assert mailbox.mails == []


def test_one_bad_recipient_leaves_the_rest_of_the_batch_alone(app, mailbox):
    mailbox.reply = lambda recipient: "550 No" if recipient.startswith("user2") else "250 OK"
    wish_for(addresses(5))
    app.extensions["outbox"].start()
    assert recipients(mailbox.wait_for(4)) == [*addresses(2), *addresses(5)[3:]]
    wait_until(lambda: [wish.email for wish in Mail.objects] == ["user2@example.com"])


def test_retries_come_ever_more_slowly_and_end_after_a_day(api, ada, mailbox, wake, clock):
    mailbox.reply = lambda recipient: "451 Try again"
    api.forgot()
    begin, waits = time.time(), []
    wake(1)
    for attempt in range(1, 12):
        waits.append(after_attempt(attempt).due_at - time.time())
        wake(waits[-1] + 1)
    for number, wait in enumerate(waits):
        longest = min(outbox.FIRST_RETRY_SECONDS * 2**number, outbox.LAST_RETRY_SECONDS)
        assert 0.5 * longest - 0.01 <= wait <= 1.5 * longest + 0.01
    assert len({round(wait, 3) for wait in waits[8:]}) > 1
    after_attempt(12)
    clock.move_to(begin + outbox.GIVE_UP_SECONDS - 1)
    wake(0)
    assert after_attempt(13).state == Mail.WAITING
    wake(1.5 * outbox.LAST_RETRY_SECONDS)
    assert after_attempt(14).state == Mail.GIVEN_UP


def after_attempt(number):
    """Return the wish once the outbox is done with that attempt."""

    def done():
        wish = Mail.objects(attempts=number, last_error="SMTP 451").first()
        claimed = wish and abs(wish.due_at - time.time() - outbox.CLAIM_SECONDS) < 0.01
        return wish if wish and (wish.state == Mail.GIVEN_UP or not claimed) else None

    return wait_until(done)


def test_a_claim_outlasts_the_longest_dialogue_and_lapses_within_90_seconds():
    fields = SettingsSchema().fields
    answer, operation = (fields[f"{name}_TIMEOUT"].validate.max for name in ("MAIL", "MONGODB"))
    dialogue = 5 * answer  # to MAIL, RCPT, DATA, the mail itself, and RSET
    assert operation + dialogue + operation < outbox.CLAIM_SECONDS < 90


def test_a_silent_mail_server_holds_up_nobody(make_app, http):
    with silent_server() as port:
        http.app = make_app(MAIL_PORT=port, MAIL_TIMEOUT=1)
        http.sign_up()
        http.forgot()
        wish = wait_until(lambda: Mail.objects(last_error__exists=True).first())
        assert "timed out" in wish.last_error
        assert http.log_in().status_code == 200


def test_twenty_wishes_outlive_smtp_down_and_kill_9_and_their_links_work(run, mailbox, tmp_path):
    port = free_port()
    mail = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": port, "DATA_DIR": tmp_path / "data"}
    server = run(**mail)
    for email in addresses(20):
        server.post("/api/auth/signup", email=email, password=ADA["password"])
        assert server.post("/api/auth/forgot", email=email).status_code == 200
    server.kill()
    with smtp_server(mailbox, port):
        server = run(**mail)
        mails = mailbox.wait_for(20, seconds=100)
        assert recipients(mails) == sorted(addresses(20))
        for mail in mails:
            reset = {"reset_token": token_in(mail), "password": NEW_PASSWORD}
            assert server.post("/api/auth/reset", **reset).status_code == 200


def test_killed_in_the_middle_of_sending_all_arrive_one_at_most_twice(
    run, make_app, mailbox, smtp, clock
):
    mailbox.seconds_a_mail = 0.3
    wish_for(addresses(6))
    server = run(MAIL_SERVER="127.0.0.1", MAIL_PORT=smtp)
    mailbox.wait_for(2)
    server.kill()
    before = len(mailbox.mails)
    clock.shift(outbox.CLAIM_SECONDS + 60)
    make_app().extensions["outbox"].start()
    wait_until(lambda: Mail.objects(state=Mail.WAITING).first() is None)
    assert before < 6
    assert set(recipients(mailbox.mails)) == set(addresses(6))
    assert len(mailbox.mails) <= 7
    assert len({mail["Message-ID"] for mail in mailbox.mails}) == 6


@pytest.mark.usefixtures("atomic")
def test_two_processes_send_each_of_200_mails_once(run, mailbox, smtp):
    mailbox.seconds_a_mail = 0.03  # so slow that one alone can't be done before the other looks
    servers = [run(MAIL_SERVER="127.0.0.1", MAIL_PORT=smtp) for _ in range(2)]
    for server in servers:
        os.kill(server.process.pid, signal.SIGSTOP)
    wish_for(addresses(200))
    for server in servers:
        os.kill(server.process.pid, signal.SIGCONT)
    wait_until(lambda: Mail.objects(state=Mail.WAITING).first() is None, seconds=30)
    assert recipients(mailbox.mails) == sorted(addresses(200))
    assert mailbox.connections >= 2


def test_on_sigterm_the_mail_in_hand_goes_out_and_the_rest_waits_unclaimed(run, mailbox, smtp):
    mailbox.seconds_a_mail = 1
    wish_for(addresses(3))
    server = run(MAIL_SERVER="127.0.0.1", MAIL_PORT=smtp)
    wait_until(lambda: mailbox.connections == 1)
    assert server.terminate() == 0
    assert len(mailbox.mails) == 1
    assert [wish.attempts for wish in Mail.objects(state=Mail.WAITING)] == [0, 0]


def test_without_a_mail_server_development_appends_mails_to_email_log(run, tmp_path):
    server = run()
    server.post("/api/auth/signup", **ADA)
    server.post("/api/auth/forgot", email=ADA["email"])
    log = server.data_dir / "email.log"
    text = wait_until(lambda: log.exists() and log.read_text())
    assert f"To: {ADA['email']}\nSubject: Reset your Movie-bag password\n" in text
    link = next(line for line in text.splitlines() if "/reset/" in line)
    assert link.startswith(f"http://localhost:{server.port}/reset/eyJ")
    assert requests.get(link.replace("localhost", "127.0.0.1"), timeout=10).status_code == 200
    assert server.data_dir.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "self-signed"])
def test_starttls_takes_only_a_certificate_that_it_can_check(
    make_app, http, mailbox, monkeypatch, trusted
):
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(CERTIFICATE)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with smtp_server(mailbox, tls_context=tls, require_starttls=True) as port:
        http.app = make_app(MAIL_PORT=port, MAIL_USE_TLS=True)
        http.sign_up()
        http.forgot()
        if trusted:
            mailbox.wait_for(1)
        else:
            wish = wait_until(lambda: Mail.objects(last_error__exists=True).first())
            assert "CERTIFICATE_VERIFY_FAILED" in wish.last_error
            assert mailbox.mails == []
        http.app.extensions["outbox"].stop()


def test_a_defect_of_ours_puts_off_that_wish_only_and_is_logged(app, mailbox, caplog):
    wish_for(addresses(3))
    Mail.objects(email="user1@example.com").update(set__kind="no-such-mail")
    app.extensions["outbox"].start()
    assert recipients(mailbox.wait_for(2)) == ["user0@example.com", "user2@example.com"]
    wish = wait_until(lambda: Mail.objects(last_error="KeyError: ?").first())
    line = next(r for r in caplog.records if str(wish.id) in r.getMessage())
    assert line.exc_info is not None


def test_a_mail_is_the_bytes_that_flask_mail_makes(make_app):
    app = make_app(MAIL_DEFAULT_SENDER="Zo\u00eb's b\u00e4g <bag@example.com>")
    user = User(email="ada@example.com", name="\u00c5da \u96ea", password_version=0, id="0" * 24)
    wish = Mail(id="1" * 24, kind="reset", email=user.email)
    with app.test_request_context():
        mail = mail_service.compose(wish, user)
        mail.date = 0.0
        ours, theirs = mail.as_bytes(), flask_mail.Message.as_bytes(mail)
    boundary = rb"={15}\d+=="
    assert re.sub(boundary, b"", ours) == re.sub(boundary, b"", theirs)
    assert b"\r\n" in ours
    assert b"\n" not in ours.replace(b"\r\n", b"")
