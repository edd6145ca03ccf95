"""Faults of the mail server: which emails wait, which fail, and what the log says about them."""

import base64
import time

import pytest

from database.models import Job
from jobs import backoff, lanes, worker
from jobs.smtp import LOGIN_RETRY_SECONDS
from tests.support.client import EVE
from tests.support.concurrency import wait_until
from tests.support.emails import queue_emails, recipients, user_emails
from tests.support.processes import free_port
from tests.support.smtp_server import Fault, smtp_server

PASSWORD = "hush-hush"
LOGIN = {"MAIL_USERNAME": "movie-bag", "MAIL_PASSWORD": PASSWORD}
TLS, SSL = {"MAIL_USE_TLS": True}, {"MAIL_USE_SSL": True}
NO_EXTENSIONS = "250 here"
# The connection is lost; which of these errors the client sees depends on timing.
LOST = ("SMTPServerDisconnected: ", "ConnectionResetError: ")
LATE = "SMTPServerDisconnected: Connection unexpectedly closed: timed out"

# The command, the reply to it, the settings, and the beginning of the stored error.
SERVER_FAULTS = [
    ("connect", "421 busy", {}, "SMTPConnectError: 421 busy"),
    ("connect", "554 go away", {}, "SMTPConnectError: 554 go away"),
    ("connect", "nonsense", {}, "SMTPConnectError: -1"),
    ("connect", Fault.RESET, {}, LOST),
    ("connect", Fault.SILENCE, {}, LATE),
    ("connect", Fault.DRIP, {}, LATE),
    ("EHLO", Fault.RESET, {}, LOST),
    ("EHLO", Fault.DRIP, {}, LATE),
    ("EHLO", NO_EXTENSIONS, TLS, "SMTPNotSupportedError: STARTTLS"),
    ("STARTTLS", "454 not now", TLS, "SMTPResponseException: 454"),
    ("STARTTLS", ["220 go on", Fault.NO_TLS], TLS, "SSLError: "),
    ("connect", "220 ready", SSL, "SSLError: "),
    ("EHLO", NO_EXTENSIONS, LOGIN, "LoginError: SMTPNotSupportedError"),
    ("AUTH", "535 wrong", LOGIN, "LoginError: 535"),
    ("AUTH", "454 not now", LOGIN, "LoginError: 454"),
    ("AUTH", "334 !", LOGIN, "LoginError: "),
    ("AUTH", Fault.RESET, LOGIN, "LoginError: "),
    ("AUTH", ["535 wrong", Fault.RESET], LOGIN, "LoginError: "),
]
# The dialogue about an email has no end, so that its destination is ill.
LANE_FAULTS = [
    ("MAIL", Fault.PAUSE, LATE),  # it is slow, for whatever reason
    ("RCPT", "421 closing", "SMTP 421 closing"),
    ("RCPT", Fault.RESET, LOST),
    ("RCPT", Fault.DRIP, LATE),
    ("DATA", "421 closing", "SMTP 421 closing"),
    ("DATA", Fault.RESET, LOST),
    ("DATA", Fault.SILENCE, LATE),
    (".", "421 closing", "SMTP 421 closing"),
    (".", Fault.RESET, LOST),
    (".", Fault.SILENCE, LATE),
    (".", Fault.DRIP, LATE),
]
# The command, the reply to it, and the state of the job.
EMAIL_FAULTS = [
    ("MAIL", "451 not now", Job.QUEUED),
    ("MAIL", "550 not you", Job.QUEUED),
    ("RCPT", "450 mailbox busy", Job.QUEUED),
    ("RCPT", "550 no such user", Job.FAILED),
    ("DATA", "451 not now", Job.QUEUED),
    ("DATA", "554 no", Job.FAILED),
    (".", "452 full", Job.QUEUED),
    (".", "nonsense", Job.QUEUED),
    (".", "552 too much", Job.FAILED),
    (".", "554 spam", Job.FAILED),
]


def _name(reply):
    """Return a reply as it appears in the name of a test."""
    steps = reply if isinstance(reply, list) else [reply]
    return ", ".join(step.name if isinstance(step, Fault) else step for step in steps)


@pytest.fixture
def mailbox(mailbox):
    """Repeat secrets in every reply, as some servers do, once they were sent."""
    mailbox.reply_suffix = " ".join(user_emails(3))
    return mailbox


@pytest.fixture
def start(make_app, mailbox):
    """Return a function that starts a worker with these settings."""

    def start_worker(**options):
        mailbox.reply_suffix += f" {options.get('MAIL_PASSWORD', '')}"
        app = make_app(**{"MAIL_TIMEOUT": 1, **options})
        app.extensions["worker"].start()
        return app.extensions["worker"]

    return start_worker


@pytest.fixture
def short_delays(monkeypatch):
    """Look for jobs without a pause, and retry soon."""
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(worker, "SEND_DELAY", 0.01)
    monkeypatch.setattr(backoff, "FIRST_DELAY_SECONDS", 0.05)


def job_records(caplog):
    return [record for record in caplog.records if record.getMessage().startswith("Job ")]


def job_line(caplog):
    """Return the only line about jobs, as soon as it is written."""
    (record,) = wait_until(lambda: job_records(caplog))
    return record.getMessage()


def failed_attempt(seconds=10):
    """Return the first job with an error, as soon as there is one."""
    return wait_until(lambda: Job.objects(last_error__exists=True).first(), seconds)


def assert_no_secrets(text):
    for secret in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode()[:8], *user_emails(3)):
        assert secret not in text


class TestServerFaults:
    """Every email waits until the server works again."""

    @pytest.mark.parametrize(
        ("command", "reply", "options", "error"),
        SERVER_FAULTS,
        ids=[f"{command} {_name(reply)}" for command, reply, *_ in SERVER_FAULTS],
    )
    def test_fault_delays_all_and_loses_and_doubles_none(
        self, start, mailbox, caplog, command, reply, options, error
    ):
        queue_emails(user_emails(3))
        mailbox.replies[command] = reply
        paused = start(**options)
        tried = failed_attempt(seconds=5)
        assert tried.last_error.startswith(error)
        assert tried.waits_for_service
        assert sorted(job.attempts for job in Job.objects(state=Job.QUEUED)) == [0, 0, 1]
        line = job_line(caplog)
        expected = f"Job {tried.id} (send_email): {tried.last_error}; next attempt in "
        assert line.startswith(expected)
        assert_no_secrets(line + tried.last_error)
        assert "Traceback" not in caplog.text
        assert mailbox.mails == []
        paused.stop()
        mailbox.accept_everything()
        Job.objects.update(set__run_at=0)  # as if the time had passed
        start()
        wait_until(lambda: Job.objects.first() is None)
        assert recipients(mailbox.mails) == user_emails(3)

    def test_without_starttls_neither_password_nor_email_is_sent(self, start, mailbox):
        queue_emails(user_emails(1))
        mailbox.replies["EHLO"] = "250-here\r\n250 AUTH PLAIN LOGIN"
        start(**TLS, **LOGIN)
        failed_attempt()
        (commands,) = mailbox.dialogues
        wait_until(lambda: commands[-1].upper() == "QUIT")
        assert [command.split()[0].upper() for command in commands] == ["EHLO", "QUIT"]

    @pytest.mark.usefixtures("short_delays")
    def test_refused_login_is_not_repeated_for_each_email(self, start, mailbox, caplog):
        queue_emails(user_emails(50))
        mailbox.replies["AUTH"] = "535 wrong"
        paused = start(**LOGIN)
        wait_until(lambda: Job.objects(last_error="LoginError: 535").first())
        expected = f"LoginError: 535; next attempt in {LOGIN_RETRY_SECONDS:.0f} s"
        assert job_line(caplog).endswith(expected)
        for _ in range(50):
            paused.wake()
            time.sleep(0.02)  # nothing must happen, which can't be awaited
        assert mailbox.connections == 1
        assert len(job_records(caplog)) == 1

    @pytest.mark.usefixtures("short_delays")
    def test_server_is_tried_more_rarely_until_it_recovers(self, start, mailbox, caplog):
        queue_emails(user_emails(9))
        mailbox.replies["connect"] = "421 busy"
        start()
        wait_until(lambda: mailbox.connections == 6)
        mailbox.accept_everything()
        delays = [record.args[3] for record in job_records(caplog)[:5]]
        for failures, delay in enumerate(delays):
            assert 0.5 <= delay / (0.05 * 2**failures) <= 1.5
        # The worker did wait: a condition that a slow machine can't break.
        assert mailbox.connected_at[5] - mailbox.connected_at[0] >= sum(delays)
        wait_until(lambda: Job.objects.first() is None)
        assert recipients(mailbox.mails) == user_emails(9)
        wait_until(lambda: mailbox.dialogues[-1][-1].upper() == "QUIT")  # the batch has ended
        mailbox.replies["connect"] = "421 busy"
        queue_emails([EVE["email"]])
        failed_attempt()
        wait_until(lambda: "SMTPConnectError" in job_records(caplog)[-1].getMessage())
        assert job_records(caplog)[-1].args[3] <= 1.5 * 0.05

    @pytest.mark.usefixtures("short_delays")
    def test_server_that_refuses_connections_is_retried(self, start, mailbox, caplog):
        port = free_port()
        queue_emails(user_emails(3))
        start(MAIL_PORT=port)
        wait_until(lambda: "ConnectionRefusedError" in caplog.text)
        with smtp_server(mailbox, port):
            wait_until(lambda: Job.objects.first() is None)
            assert recipients(mailbox.mails) == user_emails(3)


class Once:
    """A reply that is another one from the second time on."""

    def __init__(self, first, then):
        self._first, self._then = first, then

    def __call__(self, _):
        reply, self._first = self._first, self._then
        return reply


class TestIllDestinations:
    """An email whose dialogue has no end delays those of its domain, and no other."""

    @pytest.mark.parametrize(
        ("command", "reply", "error"),
        LANE_FAULTS,
        ids=[f"{command} {_name(reply)}" for command, reply, _ in LANE_FAULTS],
    )
    def test_fault_delays_its_domain(self, start, mailbox, caplog, command, reply, error):
        queue_emails(["user0@ill.example", "user1@ill.example", "user2@example.com"])
        mailbox.replies[command] = Once(reply, mailbox.replies[command])
        start()
        mails = mailbox.wait_for(2)[:2]
        assert [mail["To"] for mail in mails] == ["user2@example.com", "user1@ill.example"]
        job = failed_attempt()
        assert job.arguments["email"] == "user0@ill.example"
        assert job.last_error.startswith(error)
        assert not job.waits_for_service
        line = job_line(caplog)
        assert line.startswith(f"Job {job.id} (send_email): {job.last_error}; next attempt in ")
        assert_no_secrets(line)
        wait_until(lambda: Job.objects.first() is None)
        assert set(recipients(mailbox.mails)) >= {"user0@ill.example"}

    @pytest.mark.parametrize("reply", ["421 too many", Fault.RESET])
    def test_connection_that_ends_makes_no_domain_ill(self, start, mailbox, reply):
        """Some servers take so many emails per connection."""
        first, *others = emails = ["a@x.example", "b@y.example", "c@x.example", "d@y.example"]
        queue_emails(emails)
        mailbox.replies["MAIL"] = Once(reply, mailbox.replies["MAIL"])
        start()
        assert [mail["To"] for mail in mailbox.wait_for(3)[:3]] == others
        (job,) = wait_until(lambda: len(Job.objects) == 1 and Job.objects)
        assert job.arguments["email"] == first
        wait_until(lambda: Job.objects.first() is None)

    def test_dialogue_has_one_deadline(self, start, mailbox):
        """Each reply comes within MAIL_TIMEOUT, all of them together do not."""
        queue_emails(user_emails(1))
        for command in ("MAIL", "RCPT", "DATA"):
            reply = mailbox.replies[command]
            mailbox.replies[command] = lambda _, reply=reply: time.sleep(0.4) or reply
        start()
        assert failed_attempt().last_error.startswith(LATE)
        assert mailbox.mails == []

    def test_login_has_one_deadline(self, start, mailbox):
        queue_emails(user_emails(1))
        for command in ("connect", "EHLO", "AUTH"):
            reply = mailbox.replies[command]
            mailbox.replies[command] = lambda _, reply=reply: time.sleep(0.4) or reply
        start(**LOGIN)
        assert failed_attempt().waits_for_service

    def test_good_email_waits_for_one_slow_dialogue(self, start, mailbox, monkeypatch):
        """Ten slow emails are due before it, and succeed."""
        monkeypatch.setattr(lanes, "SLOW_SECONDS", 0.05)
        slow = [f"user{number}@slow.example" for number in range(10)]
        queue_emails([*slow, "good@example.com"])
        accepted = mailbox.replies["RCPT"]
        mailbox.replies["RCPT"] = (
            lambda to: ("slow" in to and time.sleep(0.1)) or accepted  # noqa: E731
        )
        start()
        mails = mailbox.wait_for(11)
        assert mails[1]["To"] == "good@example.com"


class TestRefusedEmails:
    """A reply about one email concerns that email alone."""

    @pytest.mark.parametrize(("command", "reply", "state"), EMAIL_FAULTS)
    def test_refused_email_waits_or_fails_alone(
        self, start, mailbox, caplog, command, reply, state
    ):
        queue_emails(user_emails(3))
        mailbox.replies[command] = Once(reply, mailbox.replies[command])
        start(**LOGIN)
        wait_until(lambda: recipients(mailbox.mails) == ["user1@example.com", "user2@example.com"])
        (job,) = wait_until(lambda: len(Job.objects) == 1 and Job.objects)
        code = reply[:3] if reply[0].isdigit() else "-1"
        assert (job.arguments["email"], job.state) == ("user0@example.com", state)
        assert job.last_error == f"SMTP {code} {reply[4:]} […] […] […] […]"
        assert not job.waits_for_service
        line = job_line(caplog)
        assert "next attempt in" in line if state == Job.QUEUED else "failed" in line
        assert_no_secrets(line)

    def test_accepted_email_is_not_sent_again_after_a_reset(self, start, mailbox):
        queue_emails(user_emails(3))
        mailbox.replies["."] = ["250 taken", Fault.RESET]
        paused = start()
        failed_attempt()
        paused.stop()
        mailbox.accept_everything()
        Job.objects.update(set__run_at=0)
        start()
        wait_until(lambda: Job.objects.first() is None)
        assert recipients(mailbox.mails) == user_emails(3)
