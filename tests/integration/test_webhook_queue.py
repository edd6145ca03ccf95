"""Webhooks in their queue: they arrive at least once, and hold nothing else up."""

import socket
import ssl
import threading
from contextlib import suppress

import pytest

from database.models import Job
from infra import metrics
from jobs import queue, worker
from jobs.backoff import MAX_DELAY_SECONDS
from jobs.queue import LEASE_SECONDS, RETRY_WINDOW
from services import event_service, health_service, webhook_service
from services.event_service import Event
from services.health_service import LATE_SECONDS
from services.webhook_service import SEND_WEBHOOK, WEBHOOKS
from tests.support.client import ADA
from tests.support.concurrency import wait_until
from tests.support.processes import free_port
from tests.support.scripted_server import respond
from tests.support.smtp_server import CERTIFICATE
from tests.support.webhooks import (
    SECRET,
    TOKEN,
    WebhookReceiver,
    send_due_webhooks,
    stop_webhooks,
)

USER_ID = "a" * 24
SENT = ("user.disabled", USER_ID)
AWAY = "127.0.0.1 can't be reached: "


@pytest.fixture
def settings(settings, receiver):
    return {**settings, "WEBHOOK_URLS": receiver.url, "WEBHOOK_SECRET": SECRET}


@pytest.fixture
def second_receiver():
    receiver = WebhookReceiver()
    with receiver.run():
        yield receiver


def report(app, number=1):
    """Record so many events that webhooks report."""
    with app.app_context():
        for _ in range(number):
            event_service.record(Event.USER_DISABLED, user_id=USER_ID)


@pytest.fixture
def queued(app):
    """Queue a webhook, whose thread is stopped."""
    stop_webhooks(app)
    report(app)


@pytest.fixture
def work(app, clock):
    """Return a function that moves the clock and then sends the webhooks that are due."""

    def work_after(seconds=1.5 * MAX_DELAY_SECONDS):
        clock.shift(seconds)
        with app.app_context():
            app.extensions["workers"][WEBHOOKS].run_due_jobs()

    return work_after


def state_and_error():
    job = Job.objects.get()
    return job.state, job.last_error


class TestThread:
    def test_slow_receiver_delays_no_email(self, api, receiver, mailbox, monkeypatch):
        monkeypatch.setattr(worker, "POLL_SECONDS", 600.0)  # so that each request wakes its thread
        monkeypatch.setattr(webhook_service, "DEADLINE_SECONDS", 600.0)
        receiver.handler = receiver.hold
        assert api.sign_up().status_code == 200
        wait_until(lambda: receiver.received)
        api.forgot()
        mailbox.wait_for(1)
        assert not receiver.released.is_set()
        receiver.released.set()
        wait_until(lambda: Job.objects.first() is None)
        assert [it.summary[0] for it in receiver.received] == ["user.created"]

    def test_request_starts_it(self, queued, make_app, http, receiver):
        """Under `flask run`, say."""
        http.app = make_app()
        assert http.get("/healthz").status_code == 200
        wait_until(lambda: Job.objects.first() is None)
        assert receiver.summaries() == [SENT]

    def test_command_leaves_it_to_a_server(self, app, shell):
        words = ("user", "create", ADA["email"], "--password", ADA["password"])
        assert shell(*words).exit_code == 0
        assert Job.objects(queue=WEBHOOKS).count() == 2
        names = {thread.name for thread in threading.enumerate()}
        assert WEBHOOKS not in names

    def test_stop_ends_all_threads_at_once(self, app, receiver, monkeypatch):
        """The one for webhooks does not wait until that for emails has ended."""
        workers, begun, finish = app.extensions["workers"], threading.Event(), threading.Event()

        def wait(*_):
            begun.set()
            finish.wait(30)

        monkeypatch.setattr(workers[None], "run_due_jobs", wait)
        workers.start()
        assert begun.wait(30)
        stop = threading.Thread(target=workers.stop)
        stop.start()
        wait_until(lambda: not workers[WEBHOOKS]._thread.is_alive())
        assert workers[None]._thread.is_alive()
        finish.set()
        stop.join()
        assert not workers[None]._thread.is_alive()

    def test_other_thread_leaves_webhooks_alone(self, queued, app, stopped_worker, receiver):
        Job.objects.update(set__run_at=0)
        with app.app_context():
            stopped_worker.run_due_jobs()
        assert Job.objects.get().attempts == 0

    def test_process_of_an_earlier_version_leaves_it_for_later(
        self, queued, app, stopped_worker, work, receiver
    ):
        """It knows no queues: for it, a webhook is a job of a kind without a handler."""
        Job.objects.update(set__run_at=0, unset__queue=True)
        with app.app_context():
            stopped_worker.run_due_jobs()
        assert state_and_error() == (Job.QUEUED, f"no handler for jobs of kind {SEND_WEBHOOK}")
        Job.objects.update(set__queue=WEBHOOKS)
        work()
        assert receiver.summaries() == [SENT]


class TestRetry:
    def test_every_attempt_has_the_same_id_and_body(self, queued, work, receiver):
        receiver.handler = receiver.fail
        work()
        receiver.handler = receiver.succeed
        work()
        first, second = receiver.received
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.body == second.body
        times = [int(it.headers["webhook-timestamp"]) for it in (first, second)]
        assert times[1] - times[0] == 1.5 * MAX_DELAY_SECONDS
        assert second.summary == SENT  # whose library accepts a timestamp of the last 5 minutes
        assert Job.objects.first() is None

    def test_webhook_of_a_crashed_process_is_sent_again(self, queued, work, receiver, monkeypatch):
        monkeypatch.setattr(queue, "complete", lambda job: None)  # it crashed before
        work()
        monkeypatch.undo()
        work(LEASE_SECONDS + 1)
        assert len({it.headers["webhook-id"] for it in receiver.received}) == 1
        assert len(receiver.summaries()) == 2
        assert Job.objects.first() is None

    def test_ill_receiver_repeats_nothing_to_another(
        self, make_app, clock, receiver, second_receiver
    ):
        app = make_app(WEBHOOK_URLS=f"{receiver.url}, {second_receiver.url}")
        stop_webhooks(app)
        receiver.handler = receiver.fail
        report(app)
        for _ in range(3):
            send_due_webhooks(app)
        assert len(receiver.received) == 3
        assert len(second_receiver.received) == 1

    def test_url_that_was_removed_gets_nothing(self, queued, make_app, second_receiver, receiver):
        app = make_app(WEBHOOK_URLS=second_receiver.url)
        stop_webhooks(app)
        send_due_webhooks(app)
        assert state_and_error() == (Job.QUEUED, "its receiver is not in WEBHOOK_URLS")
        assert receiver.received == second_receiver.received == []

    def test_failed_one_is_kept_after_a_day(self, queued, work, receiver):
        receiver.handler = receiver.fail
        work(RETRY_WINDOW + 1)
        work(RETRY_WINDOW)
        assert state_and_error() == (Job.FAILED, "127.0.0.1 answers with status 500")
        assert len(receiver.received) == 1

    def test_receiver_that_wants_no_more_is_not_asked_again(self, queued, work, receiver):
        receiver.handler = lambda request: respond(request, b"", 410)
        work()
        work(RETRY_WINDOW)
        assert state_and_error() == (Job.FAILED, "127.0.0.1 answers with status 410")
        assert len(receiver.received) == 1


def send_html(request):
    respond(request, b"<html>" * 10_000, 502)


def redirect(request):
    respond(request, b"", 307, location=f"/{TOKEN}/elsewhere")


def send_no_http(request):
    request.wfile.write(TOKEN.encode() + b" no HTTP\r\n\r\n")


def drip_body(request):
    """Accept by the status, and send a body without an end."""
    request.send_response(200)
    request.end_headers()
    with suppress(ConnectionError):
        while True:
            request.wfile.write(b"." * 100_000)


class TestFault:
    """What a receiver does wrong."""

    FAULTS = {
        send_html: "127.0.0.1 answers with status 502",
        redirect: "127.0.0.1 answers with status 307",
        send_no_http: f"{AWAY}BadStatusLine",
        lambda request: None: f"{AWAY}RemoteDisconnected",
        lambda request: respond(request, b"", 429): "127.0.0.1 answers with status 429",
    }
    IDS = ("error page", "redirect", "no HTTP", "nothing", "429")

    @pytest.fixture(autouse=True)
    def assert_nothing_is_secret(self, caplog, capfd):
        """Assert that no log has a part of the URL but the host, or the secret."""
        caplog.set_level("DEBUG")
        yield
        written = [*capfd.readouterr(), caplog.text, *(str(vars(it)) for it in caplog.records)]
        assert written[2]
        for secret in (TOKEN, SECRET, SECRET.removeprefix("whsec_")):
            assert not any(secret in text for text in written)

    @pytest.mark.parametrize(("handler", "reason"), FAULTS.items(), ids=IDS)
    def test_it_is_retried_later(self, queued, work, receiver, handler, reason, caplog):
        receiver.handler = handler
        work()
        assert state_and_error() == (Job.QUEUED, reason)
        assert f"({SEND_WEBHOOK}): {reason}; next attempt in" in caplog.text
        assert len(receiver.received) == 1

    def test_success_is_logged(self, queued, work, caplog):
        job_id = Job.objects.get().id
        work()
        assert f"Webhook {job_id} (user.disabled) was accepted by 127.0.0.1" in caplog.messages

    def test_endless_body_of_a_success_is_not_read(self, queued, work, receiver):
        receiver.handler = drip_body
        work()
        assert Job.objects.first() is None

    def test_refused_connection_is_retried_later(self, app, make_app):
        app = make_app(WEBHOOK_URLS=f"http://localhost:{free_port()}/{TOKEN}")
        stop_webhooks(app)
        report(app)
        send_due_webhooks(app)
        assert state_and_error() == (
            Job.QUEUED,
            "localhost can't be reached: ConnectionRefusedError",
        )

    def test_certificate_is_verified(self, make_app, receiver):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
        app = make_app(WEBHOOK_URLS=receiver.url.replace("http:", "https:"))
        stop_webhooks(app)
        report(app)
        send_due_webhooks(app)
        assert state_and_error() == (Job.QUEUED, f"{AWAY}SSLCertVerificationError")
        assert receiver.received == []

    def test_heads_byte_by_byte_hold_no_thread(self, queued, app, receiver, monkeypatch):
        monkeypatch.setattr(webhook_service, "DEADLINE_SECONDS", 0.3)
        receiver.handler = receiver.drip
        for _ in range(webhook_service.THREADS + 1):
            send_due_webhooks(app)
            assert state_and_error() == (Job.QUEUED, f"{AWAY}TimeoutError")
        monkeypatch.undo()
        receiver.handler = receiver.succeed
        send_due_webhooks(app)
        assert Job.objects.first() is None

    def test_deadline_holds_for_dns(self, make_app, receiver, monkeypatch):
        app = make_app(WEBHOOK_URLS=receiver.url.replace("127.0.0.1", "localhost"))
        stop_webhooks(app)
        report(app)
        released, getaddrinfo = threading.Event(), socket.getaddrinfo

        def wait(host, *args, **options):
            if host == "localhost":
                released.wait(60)
            return getaddrinfo(host, *args, **options)

        monkeypatch.setattr(socket, "getaddrinfo", wait)
        monkeypatch.setattr(webhook_service, "DEADLINE_SECONDS", 0.3)
        send_due_webhooks(app)
        assert state_and_error() == (Job.QUEUED, "localhost can't be reached: TimeoutError")
        assert not released.is_set()
        released.set()


class TestOperator:
    @pytest.fixture
    def failed(self, queued, work, receiver):
        """Let a webhook fail; return its id."""
        receiver.handler = lambda request: respond(request, b"", 410)
        work()
        receiver.received.clear()
        receiver.handler = receiver.succeed
        return str(Job.objects.get().id)

    def test_list_has_all_but_the_path(self, shell, failed, app):
        report(app)
        Job(kind="other", state=Job.FAILED, created_at=0, run_at=0).save()
        lines = shell("webhooks", "list").stdout.splitlines()
        assert [line.split()[1] for line in lines] == ["failed", "queued"]
        (line,) = shell("webhooks", "list", "--state", "failed").stdout.splitlines()
        about = f"user.disabled  {USER_ID}  127.0.0.1  127.0.0.1 answers with status 410"
        assert line.startswith(failed)
        assert line.endswith(f"  {about}")

    def test_retry_sends_it_with_its_id(self, shell, failed, work, receiver):
        assert shell("webhooks", "retry").stdout == "1 queued again\n"
        work()
        assert [it.headers["webhook-id"] for it in receiver.received] == [failed]

    def test_delete_deletes_it_and_names_unknown_ids(self, shell, failed):
        ended = shell("webhooks", "delete", failed, "b" * 24)
        assert (ended.exit_code, ended.stdout) == (1, "1 deleted\n")
        assert f"No queued or failed webhook has the id {'b' * 24}" in ended.stderr
        assert Job.objects.first() is None

    def test_purge_deletes_the_failed_ones(self, shell, failed, app):
        report(app)
        assert shell("webhooks", "purge").stdout == "1 deleted\n"
        assert [job.state for job in Job.objects] == [Job.QUEUED]


class TestFigures:
    """What an operator reads of emails counts no webhook."""

    def test_webhook_that_waits_delays_no_mail(self, queued, app, work, receiver):
        receiver.handler = receiver.fail
        work(LATE_SECONDS + 1)
        with app.app_context():
            assert not health_service.is_mail_delayed()
            assert health_service.count_emails(Job.QUEUED) == 0
            assert health_service.oldest_email_age() == 0

    def test_webhooks_are_counted_as_jobs(self, queued, work):
        counter = metrics.JOBS.labels(SEND_WEBHOOK, metrics.DONE)._value
        before = counter.get()
        work()
        assert counter.get() - before == 1
