"""Two machines, one service: they share sessions and jobs, and one may end at any time."""

import itertools
import os
import signal
import threading
import time
from collections import Counter
from contextlib import closing, suppress

import pytest

from database import emails
from database.emails import ReservedEmail
from database.models import Job, Movie, User
from tests.support.client import ADA, NEW_PASSWORD
from tests.support.concurrency import run_simultaneously, wait_until
from tests.support.emails import recipients, user_emails
from tests.support.processes import GunicornServer
from tests.support.redis_server import Redis
from tests.support.round_robin_client import RoundRobinClient
from tests.support.smtp_server import Mailbox, smtp_server, token_in
from tests.support.tokens import KEY

pytestmark = pytest.mark.usefixtures("atomic")

NEW_EMAIL = "ada@new.example"
EMAILS = 500
CLIENTS = 6


class Site:
    """Two machines on one database, and what they have mailed."""

    def __init__(self, folder, mailbox, **settings):
        self.mailbox = mailbox
        self.start = lambda **changed: GunicornServer(folder, **settings | changed)
        self.machines = run_simultaneously(
            2, lambda number: self.start(DATA_DIR=folder / str(number))
        )

    def restart(self, machine):
        """Start a machine that has ended, at the same port."""
        again = self.start(PORT=machine.port, DATA_DIR=machine.data_dir)
        self.machines[self.machines.index(machine)] = again

    def client(self):
        return closing(RoundRobinClient([machine.port for machine in self.machines]))


@pytest.fixture(scope="module")
def two_machines(database, tmp_path_factory):
    """Start them once for all tests here."""
    mailbox = Mailbox()
    settings = {
        "APP_ENV": "production",
        "MONGODB_URI": database,
        "JWT_SECRET_KEY": KEY,
        "JWT_REFRESH_GRACE": 0,
        "JWT_ACCESS_GRACE": 0,
        "MAIL_SERVER": "127.0.0.1",
        "PUBLIC_URL": "https://movie-bag.example",
        "BCRYPT_LOG_ROUNDS": 4,
        "RATELIMIT_ENABLED": False,
        "EMAIL_VERIFICATION": "off",  # a signup mails nothing
    }
    with smtp_server(mailbox) as port:
        site = Site(tmp_path_factory.mktemp("site"), mailbox, MAIL_PORT=port, **settings)
        yield site
        for machine in site.machines:
            machine.kill()


@pytest.fixture
def site(two_machines, documents):
    """Return both, running, with an empty mailbox."""
    for machine in list(two_machines.machines):
        if machine.process.poll() is not None:
            two_machines.restart(machine)
    two_machines.mailbox.mails.clear()
    two_machines.mailbox.seconds_a_mail = 0
    return two_machines


@pytest.fixture
def ada(site):
    """Sign Ada up at one machine and log her in at the other; return her tokens."""
    with site.client() as client:
        assert client.send("POST", "/api/auth/signup", **ADA)[0] == 200
        return client.send("POST", "/api/auth/login", **ADA)[1]


def at_both(site, call):
    """Call from 24 threads with a client each, half of them at each machine first."""

    def work(number):
        with site.client() as client:
            if number % 2:
                client.send("GET", "/api/movies")
            return call(client, number)

    return run_simultaneously(24, work)


class TestSessions:
    """A session is the same at both machines."""

    def test_session_continues_and_ends_at_the_other_machine(self, site, ada):
        with site.client() as first, site.client() as second:
            second.send("GET", "/api/movies")
            assert first.send("GET", "/api/auth/verify", ada["token"])[0] == 200
            assert second.send("GET", "/api/auth/verify", ada["token"])[0] == 200
            new = second.send("POST", "/api/auth/refresh", ada["refresh_token"])[1]
            assert first.send("GET", "/api/auth/verify", ada["token"])[0] == 401
            assert second.send("GET", "/api/auth/verify", new["token"])[0] == 200
            assert first.send("DELETE", "/api/auth/logout", new["token"])[0] == 200
            both = [first.send("GET", "/api/auth/verify", new["token"])[0] for _ in range(2)]
            assert both == [401, 401]

    def test_one_of_24_simultaneous_refreshes_succeeds(self, site, ada):
        token = ada["refresh_token"]
        responses = at_both(site, lambda client, _: client.send("POST", "/api/auth/refresh", token))
        assert sorted(status for status, _ in responses) == [200] + [401] * 23

    def test_one_of_24_simultaneous_resets_succeeds(self, site, ada):
        with site.client() as client:
            client.send("POST", "/api/auth/forgot", email=ADA["email"])
        token = token_in(site.mailbox.wait_for(1)[0])

        def reset(client, number):
            body = {"reset_token": token, "password": f"{NEW_PASSWORD} {number}"}
            return client.send("POST", "/api/auth/reset", **body)[0]

        assert sorted(at_both(site, reset)) == [200] + [401] * 23
        assert User.objects.get().password_version == 1


class TestEmails:
    """A link that one machine mails is used at the other."""

    def test_walk_alternates_between_the_machines(self, site, ada):
        with site.client() as client:
            resend = {"email": ADA["email"]}
            change = {"email": NEW_EMAIL, "current_password": ADA["password"]}
            assert client.send("POST", "/api/auth/email/resend", **resend)[0] == 200
            assert self._use_link(site, client, 1, "confirm")["email"] == ADA["email"]
            assert client.send("PUT", "/api/auth/email", ada["token"], **change)[0] == 200
            assert self._use_link(site, client, 2, "confirm")["email"] == NEW_EMAIL
            assert self._use_link(site, client, 3, "undo")["email"] == ADA["email"]
            assert client.send("GET", "/api/auth/verify", ada["token"])[0] == 401

    @staticmethod
    def _use_link(site, client, number, path):
        fields = {f"{path}_token": token_in(site.mailbox.wait_for(number)[number - 1])}
        status, body = client.send("POST", f"/api/auth/email/{path}", **fields)
        assert status == 200
        return body

    def test_24_simultaneous_confirmations_of_a_change_are_one(self, site, ada):
        user = User.objects.get()
        emails.verify(user, token_id=None)
        with site.client() as client:
            change = {"email": NEW_EMAIL, "current_password": ADA["password"]}
            client.send("PUT", "/api/auth/email", ada["token"], **change)
        token = token_in(site.mailbox.wait_for(1)[0])

        def confirm(client, _):
            return client.send("POST", "/api/auth/email/confirm", confirm_token=token)[0]

        assert at_both(site, confirm) == [200] * 24
        wait_until(lambda: not queued())
        assert recipients(site.mailbox.mails) == [ADA["email"], NEW_EMAIL]

    def test_both_delete_what_has_expired(self, site):
        for number in range(20):
            former = {"email": f"old-{number}@example.com", "at": time.time() - 8 * 86400}
            user = User(email=f"{number}@example.com", password="-", verified_at=1.0)
            user.former_emails = {"a" * 24: former}
            reserved = {"email": former["email"], "user_id": str(user.save().id)}
            ReservedEmail(**reserved, until=former["at"] + 7 * 86400).save()
        run_simultaneously(2, lambda number: site.machines[number].kill())
        for machine in list(site.machines):
            site.restart(machine)
        wait_until(lambda: ReservedEmail.objects.first() is None)
        assert not any(user.former_emails for user in User.objects)


class TestRateLimits:
    """One Redis counts for both machines."""

    def test_limits_are_counted_over_both_machines(self, site, tmp_path):
        redis = Redis()
        limited = {"RATELIMIT_ENABLED": True, "RATELIMIT_STORAGE_URI": redis.url}
        machines = [site.start(DATA_DIR=tmp_path / name, **limited) for name in ("one", "other")]
        try:
            with closing(RoundRobinClient([machine.port for machine in machines])) as client:
                statuses = [client.send("POST", "/api/auth/login", **ADA)[0] for _ in range(8)]
        finally:
            for machine in machines:
                machine.kill()
            redis.stop()
        assert statuses == [401] * 5 + [429] * 3


def kill_worker(site):
    os.kill(site.machines[0].workers()[-1], signal.SIGKILL)
    return 1


def kill_machine(site):
    site.machines[0].kill()
    return 2


class TestKill:
    """A worker or a machine is killed while emails are requested and sent."""

    @pytest.mark.slow
    @pytest.mark.parametrize("kill", [kill_worker, kill_machine])
    def test_500_requests_lead_to_500_emails(self, site, kill):
        emails, accepted, unanswered = user_emails(EMAILS), [], []
        for email in emails:
            User(email=email, password="-").save()
        site.mailbox.seconds_a_mail = 0.01

        def forgot(number):
            with site.client() as client:
                for email in emails[number::CLIENTS]:
                    while not self._is_accepted(client, email):
                        unanswered.append(email)
                    accepted.append(email)

        def kill_on_the_way():
            wait_until(lambda: len(accepted) >= EMAILS // 3 and site.mailbox.mails, 30)
            killed = kill(site)
            assert len(accepted) < EMAILS
            return killed

        results = run_simultaneously(
            CLIENTS + 1, lambda number: forgot(number) if number < CLIENTS else kill_on_the_way()
        )
        self._check_emails(site.mailbox, emails, unanswered, killed=results[-1])

    @staticmethod
    def _is_accepted(client, email):
        """Send on a new connection; return False if a killed process has sent no response."""
        try:
            return client.send("POST", "/api/auth/forgot", keep=False, email=email)[0] == 200
        except ConnectionError:
            return False

    @staticmethod
    def _check_emails(mailbox, emails, unanswered, killed):
        wait_until(lambda: len(queued()) <= killed, 30)
        queued().update(set__run_at=0)  # their leases expire, as they do after LEASE_SECONDS
        wait_until(lambda: not queued(), 30)
        jobs = {mail["Message-ID"] for mail in mailbox.mails}
        assert set(recipients(mailbox.mails)) == set(emails)
        assert len(jobs) <= EMAILS + len(unanswered)
        assert len(mailbox.mails) - len(jobs) <= killed


def queued():
    return Job.objects(state=Job.QUEUED)


def restart_one_after_the_other(site):
    for machine in list(site.machines):
        assert machine.terminate() == 0
        site.restart(machine)


def reload(site):
    for machine in site.machines:
        before = machine.log.read_text().count("Worker exiting")
        os.kill(machine.process.pid, signal.SIGHUP)
        wait_until(
            lambda log=machine.log, count=before + 2: (
                log.read_text().count("Worker exiting") == count
            ),
            30,
        )


class RequestFailed(Exception):
    """A client stops."""


class TestRestart:
    """Machines are restarted while clients use them."""

    @pytest.mark.parametrize(
        "restart", [pytest.param(restart_one_after_the_other, marks=pytest.mark.slow), reload]
    )
    def test_restart_drops_no_request_and_loses_no_email(self, site, restart):
        statuses, over = Counter(), threading.Event()

        def work(number):
            if number < CLIENTS:
                self._use(site, number, statuses, over)
            else:
                try:
                    wait_until(lambda: len(site.mailbox.mails) > CLIENTS)
                    restart(site)
                finally:
                    over.set()

        run_simultaneously(CLIENTS + 1, work)
        assert {status for _, _, status in statuses} == {200}, statuses
        assert Movie.objects.count() == statuses["POST", "movies", 200]
        wait_until(lambda: not queued(), 30)
        assert len(site.mailbox.mails) == statuses["POST", "auth/forgot", 200]

    @staticmethod
    def _use(site, number, statuses, over):
        """Use the API as one user until `over` or the first failure; count the responses."""
        user = ADA | {"email": f"user{number}@example.com"}
        with site.client() as client, suppress(RequestFailed):

            def send(method, path, token="", keep=True, **fields):
                try:
                    status, body = client.send(method, f"/api/{path}", token, keep, **fields)
                except OSError as error:
                    status, body = repr(error), None
                statuses[method, path, status] += 1
                if status != 200:
                    raise RequestFailed
                return body

            send("POST", "auth/signup", **user)
            tokens = send("POST", "auth/login", **user)
            for film in itertools.count():
                if over.is_set():
                    return
                tokens = send("POST", "auth/refresh", tokens["refresh_token"])
                send("GET", "auth/verify", tokens["token"], keep=False)
                send("POST", "auth/forgot", keep=False, email=user["email"])
                movie = {"name": f"{number} {film}", "casts": ["Ada"], "genres": ["Drama"]}
                send("POST", "movies", tokens["token"], **movie)
                send("GET", "movies", keep=False)
