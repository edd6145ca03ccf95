"""Emails over real SMTP: each is sent, once if nothing crashes, and no response waits for one."""

import logging
import os
import re
import signal
import time

import flask_mail
import pytest
import requests

from database.models import Job, User
from infra import metrics
from infra.pseudonym import pseudonym
from jobs import queue, worker
from jobs.queue import LEASE_SECONDS, RETRY_WINDOW, SEND_DELAY
from services import mail_queue, mail_service
from services.mail_kinds import ACCOUNT_DELETED, RESET_PASSWORD, Letter
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.concurrency import run_simultaneously, wait_until
from tests.support.emails import queue_email, queue_emails, recipients, user_emails
from tests.support.processes import free_port
from tests.support.smtp_server import CERTIFICATE, silent_server, smtp_server, token_in


@pytest.fixture
def send(app, stopped_worker, clock):
    """Return a function that moves the clock and sends the emails that are due."""

    def send_after(seconds=SEND_DELAY):
        clock.shift(seconds)
        with app.app_context():
            stopped_worker.run_due_jobs()

    return send_after


def first_failed_attempt():
    """Return the first job with an error, as soon as there is one."""
    return wait_until(lambda: Job.objects(last_error__exists=True).first())


class TestSendEmail:
    """Jobs of kind send_email."""

    def test_emails_of_a_batch_share_one_connection(self, app, mailbox):
        queue_emails(user_emails(5))
        app.extensions["worker"].start()
        assert recipients(mailbox.wait_for(5)) == user_emails(5)
        assert mailbox.connections == 1

    def test_sender_and_recipient_are_those_of_the_email(self, send, mailbox):
        queue_emails([ADA["email"]])
        send()
        (commands,) = mailbox.dialogues
        assert "mail FROM:<support@movie-bag.com>" in commands
        assert f"rcpt TO:<{ADA['email']}>" in commands
        assert mailbox.mails[0]["From"] == "support@movie-bag.com"
        assert mailbox.mails[0]["To"] == ADA["email"]

    def test_response_is_sent_before_work_begins(self, api, ada, mailbox, clock):
        worker = api.app.extensions["worker"]
        api.forgot()
        clock.shift(SEND_DELAY - 0.01)
        queue_emails([EVE["email"]], run_at=time.time())  # after Ada's, if hers were due at once
        worker.wake()
        assert recipients(mailbox.wait_for(1)) == [EVE["email"]]
        clock.shift(0.02)
        worker.wake()
        assert recipients(mailbox.wait_for(2)) == [ADA["email"], EVE["email"]]

    def test_message_is_the_bytes_that_flask_mail_makes(self, make_app):
        app = make_app(MAIL_DEFAULT_SENDER="Zo\u00eb's b\u00e4g <bag@example.com>")
        user = User(email=ADA["email"], id="0" * 24)
        letter = Letter(RESET_PASSWORD, user, user.email, "\u00c5da \u96ea")
        with app.test_request_context():
            message = mail_service.compose(Job(id="1" * 24), letter)
            message.date = 0.0
            ours, theirs = message.as_bytes(), flask_mail.Message.as_bytes(message)
        boundary = rb"=_[0-9a-f]{32}"
        assert re.sub(boundary, b"", ours) == re.sub(rb"={15}\d+==", b"", theirs)
        assert len({*re.findall(boundary, ours)}) == 2
        assert b"\r\n" in ours
        assert b"\n" not in ours.replace(b"\r\n", b"")


class TestRefusedEmail:
    """What the mail server's reply about one email means."""

    def test_451_is_tried_again(self, api, ada, send, mailbox):
        mailbox.reply = "451 Try again"
        api.forgot()
        send()
        assert Job.objects(last_error="SMTP 451 Try again").get().state == Job.QUEUED
        mailbox.reply = "250 OK"
        send(5)
        (mail,) = mailbox.mails
        assert api.reset(token_in(mail)).status_code == 200

    def test_550_fails_at_once_is_kept_listed_and_logged_once(
        self, app, api, ada, send, mailbox, caplog
    ):
        mailbox.reply = "550 No such user"
        api.forgot()
        send()
        job = Job.objects(state=Job.FAILED).get()
        assert (job.attempts, job.last_error) == (1, "SMTP 550 No such user")
        send(3600)
        lines = [r.getMessage() for r in caplog.records if " failed: " in r.getMessage()]
        assert lines == [f"Job {job.id} (send_email) failed: SMTP 550 No such user; it is kept"]
        assert mailbox.mails == []
        listed = app.test_cli_runner().invoke(args=["mail", "list"]).stdout
        assert re.fullmatch(
            rf"{job.id}  failed    1  \S+  reset_password  {ADA['email']}  SMTP 550 No such user\n",
            listed,
        )

    def test_refused_recipient_leaves_the_batch_alone(self, send, mailbox):
        mailbox.reply = lambda recipient: "550 No" if recipient.startswith("user2") else "250 OK"
        queue_emails(user_emails(5))
        send()
        assert recipients(mailbox.mails) == [*user_emails(2), *user_emails(5)[3:]]
        assert [job.arguments["email"] for job in Job.objects] == ["user2@example.com"]

    def test_bug_delays_its_email_alone_and_is_logged(self, send, mailbox, caplog):
        queue_emails(user_emails(3))
        Job.objects(arguments__email="user1@example.com").update(
            set__arguments={"mail": "no-such-mail", "email": "user1@example.com"}
        )
        send()
        assert recipients(mailbox.mails) == ["user0@example.com", "user2@example.com"]
        job = Job.objects.get()
        assert (job.state, job.last_error) == (Job.QUEUED, "KeyError")
        (record,) = [r for r in caplog.records if str(job.id) in r.getMessage()]
        assert record.exc_info is not None


class TestTrace:
    """Each email leaves an event in the log, without its address."""

    @pytest.fixture
    def events(self, app, caplog):
        """Return a function that returns the events about emails."""
        caplog.set_level(logging.INFO)

        def read():
            records = [r for r in caplog.records if getattr(r, "event", "").startswith("mail_")]
            assert ADA["email"] not in caplog.text
            return [(r.event, r.job, r.email, r.message_id, r.getMessage()) for r in records]

        return read

    @staticmethod
    def described(app, job):
        """Return what every event about a job says of it."""
        email = pseudonym(ADA["email"], app.config["JWT_SECRET_KEY"])
        return str(job.id), email, f"<{job.id}@movie-bag.com>"

    def test_sent_email_has_one(self, app, send, mailbox, events):
        queue_emails([ADA["email"]])
        expected = self.described(app, Job.objects.get())
        send()
        ((event, *described, line),) = events()
        assert (event, *described) == ("mail_sent", *expected)
        assert described[2] == mailbox.mails[0]["Message-ID"]
        job_id, email, message_id = expected
        assert line == f"event=mail_sent email={email} job={job_id} message_id={message_id}"

    @pytest.mark.parametrize(
        ("reply", "event", "reason"),
        [
            ("451 4.7.1 <ada@example.com> busy", "mail_deferred", "SMTP 451 4.7.1 <[…]> busy"),
            ("550 5.1.1 no mailbox ADA", "mail_failed", "SMTP 550 5.1.1 no mailbox […]"),
            ("421 closing", "mail_deferred", "SMTP 421 closing"),
        ],
    )
    def test_refused_email_has_one_with_the_reply(
        self, app, send, mailbox, events, caplog, reply, event, reason
    ):
        mailbox.reply = reply
        queue_emails([ADA["email"]])
        expected = self.described(app, Job.objects.get())
        send()
        ((found, *described, line),) = events()
        assert (found, *described) == (event, *expected)
        assert line.endswith(f" reason={reason}")
        assert Job.objects.get().last_error == reason
        listed = app.test_cli_runner().invoke(args=["mail", "list"]).stdout
        assert listed.endswith(f"  {reason}\n")
        (job_line,) = [text for text in caplog.messages if text.startswith("Job ")]
        assert reason in job_line

    def test_last_attempt_fails(self, app, send, mailbox, events, clock):
        mailbox.reply = "451 busy"
        queue_emails([ADA["email"]])
        send(RETRY_WINDOW + 1)
        assert [event for event, *_ in events()] == ["mail_failed"]

    def test_no_metric_counts_emails_of_accounts(self, send, mailbox):
        counted = metrics.EVENTS._metrics.keys()
        queue_emails([ADA["email"]])
        send()
        mailbox.wait_for(1)
        assert not [event for (event,) in counted if event.startswith("mail_")]

    def test_notice_to_a_deleted_user_fails_after_a_day(self, app, send, events, monkeypatch):
        monkeypatch.setattr(app.extensions["mail"], "port", free_port())
        monkeypatch.setattr(worker, "backoff_delay", lambda failures: 0.0)
        with app.app_context():
            mail_queue.enqueue_notice(ACCOUNT_DELETED, User(id="0" * 24, email=ADA["email"]))
        send()
        assert Job.objects.get().waits_for_service
        assert events() == []
        send(RETRY_WINDOW)
        assert Job.objects.first() is None
        assert [event for event, *_ in events()] == ["mail_failed"]

    def test_email_without_an_account_has_none(self, send, events):
        queue_email("nobody@example.com")
        send()
        assert events() == []

    def test_reply_that_quotes_the_link_is_redacted(self, api, ada, mailbox, caplog, clock):
        def quote(_):
            return f"554 spam: {mailbox.quoted}"

        mailbox.quoted = "https://movie-bag.example/reset/eyJhbGciOi.eyJz.x"
        mailbox.replies["."] = quote
        api.forgot()
        clock.shift(SEND_DELAY)
        api.app.extensions["worker"].wake()
        wait_until(lambda: Job.objects(state=Job.FAILED).first())
        assert Job.objects.get().last_error == "SMTP 554 spam: […]"
        assert "eyJhbGciOi.eyJz" not in caplog.text


class TestExpiredLease:
    """Another worker claims the job before the email is sent."""

    def test_lease_that_expires_while_connecting_sends_nothing(self, app, send, mailbox, clock):
        claimed = []

        def expire_lease(_):
            clock.shift(LEASE_SECONDS + 1)
            with app.app_context():
                claimed.append(Job.claim([Job.objects.get().id], queue.LEASE_SECONDS))
            mailbox.accept_everything()
            return "220 ready"

        mailbox.replies["connect"] = expire_lease
        queue_emails([ADA["email"]])
        send()
        assert mailbox.mails == []
        job = Job.objects.get()
        assert (job.id, job.attempts) == (claimed[0].id, 2)
        assert job.run_at == pytest.approx(claimed[0].run_at)
        send(LEASE_SECONDS + 1)
        assert recipients(mailbox.mails) == [ADA["email"]]


class TestSilentServer:
    """A mail server that accepts connections and sends nothing."""

    def test_silent_mail_server_delays_no_response(self, make_app, http):
        with silent_server() as port:
            http.app = make_app(MAIL_PORT=port, MAIL_TIMEOUT=1)
            http.sign_up()
            http.forgot()
            assert http.log_in().status_code == 200
            assert "timed out" in first_failed_attempt().last_error


class TestTLS:
    """Certificates are verified."""

    @pytest.mark.parametrize("setting", ["MAIL_USE_TLS", "MAIL_USE_SSL"])
    @pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "self-signed"])
    def test_certificate_must_be_valid(self, make_app, mailbox, monkeypatch, setting, trusted):
        queue_emails(user_emails(2))
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        with smtp_server(mailbox, implicit_tls=setting == "MAIL_USE_SSL") as port:
            worker = make_app(MAIL_PORT=port, **{setting: True}).extensions["worker"]
            worker.start()
            if trusted:
                assert recipients(mailbox.wait_for(2)) == user_emails(2)
                assert ("STARTTLS" in mailbox.dialogues[0]) == (setting == "MAIL_USE_TLS")
            else:
                assert "CERTIFICATE_VERIFY_FAILED" in first_failed_attempt().last_error
                assert mailbox.mails == []
            worker.stop()


class TestProcesses:
    """Emails of `run.py`."""

    def test_20_emails_survive_smtp_down_and_kill_9(self, run, mailbox, tmp_path):
        port = free_port()
        settings = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": port, "DATA_DIR": tmp_path / "data"}
        server = run(**settings)
        for email in user_emails(20):
            User(email=email, password="-").save()
            assert server.post("/api/auth/forgot", email=email).status_code == 200
        first_failed_attempt()
        server.kill()
        with smtp_server(mailbox, port):
            server = run(**settings)
            mails = mailbox.wait_for(20, seconds=100)
            assert recipients(mails) == sorted(user_emails(20))
            for mail in mails:
                reset = {"reset_token": token_in(mail), "password": NEW_PASSWORD}
                assert server.post("/api/auth/reset", **reset).status_code == 200

    @pytest.mark.usefixtures("atomic")
    def test_two_processes_send_each_of_100_emails_once(self, run, mailbox, smtp):
        mailbox.seconds_a_mail = 0.03  # so that one alone can't be done before the other looks
        servers = run_simultaneously(2, lambda _: run(MAIL_SERVER="127.0.0.1", MAIL_PORT=smtp))
        for server in servers:
            os.kill(server.process.pid, signal.SIGSTOP)
        queue_emails(user_emails(100))
        for server in servers:
            os.kill(server.process.pid, signal.SIGCONT)
        wait_until(lambda: Job.objects(state=Job.QUEUED).first() is None, seconds=30)
        assert recipients(mailbox.mails) == sorted(user_emails(100))
        assert mailbox.connections >= 2

    def test_development_appends_emails_to_email_log(self, run):
        server = run(EMAIL_VERIFICATION="off")
        server.post("/api/auth/signup", **ADA)
        server.post("/api/auth/forgot", email=ADA["email"])
        log = server.data_dir / "email.log"
        text = wait_until(lambda: log.exists() and log.read_text())
        assert f"To: {ADA['email']}\nSubject: " in text
        link = next(line for line in text.splitlines() if "/reset/" in line)
        assert link.startswith(f"http://localhost:{server.port}/reset/eyJ")
        local = link.replace("localhost", "127.0.0.1")
        assert requests.get(local, timeout=10).status_code == 200
        assert server.data_dir.stat().st_mode & 0o777 == 0o700
