"""Two machines, one service: sessions and the outbox are shared, and one may end at any time."""

import os
import signal
import threading
from collections import Counter
from contextlib import closing

import pytest

from database.models import Mail, Movie, User
from tests.balancer import Proxy
from tests.conftest import ADA, NEW_PASSWORD, at_once, wait_until
from tests.redis_server import Redis
from tests.servers import Machine
from tests.smtp import Mailbox, smtp_server, token_in
from tests.test_mail import addresses, recipients

pytestmark = pytest.mark.usefixtures("atomic")

FORGOTS = 500
CLIENTS = 6


class Site:
    """Two machines on one database, and what they have mailed."""

    def __init__(self, folder, mailbox, **settings):
        self.mailbox = mailbox
        self.start = lambda **more: Machine(folder, **settings | more)
        self.machines = at_once(2, lambda number: self.start(DATA_DIR=folder / str(number)))

    def start_again(self, machine):
        """Start a machine that has ended, where it was."""
        again = self.start(PORT=machine.port, DATA_DIR=machine.data_dir)
        self.machines[self.machines.index(machine)] = again

    def proxy(self):
        return closing(Proxy([machine.port for machine in self.machines]))


@pytest.fixture(scope="module")
def two_machines(database, tmp_path_factory):
    """Start them once for all tests here."""
    mailbox = Mailbox()
    settings = {
        "APP_ENV": "production",
        "MONGODB_URI": database,
        "JWT_SECRET_KEY": "a key for tests of more than 32 bytes",
        "JWT_REFRESH_GRACE": 0,
        "MAIL_SERVER": "127.0.0.1",
        "PUBLIC_URL": "https://movie-bag.example",
        "BCRYPT_LOG_ROUNDS": 4,
        "RATELIMIT_ENABLED": False,
    }
    with smtp_server(mailbox) as port:
        site = Site(tmp_path_factory.mktemp("site"), mailbox, MAIL_PORT=port, **settings)
        yield site
        for machine in site.machines:
            machine.kill()


@pytest.fixture
def site(two_machines, documents):
    """Return both, running, with nothing in the mailbox."""
    for machine in list(two_machines.machines):
        if machine.process.poll() is not None:
            two_machines.start_again(machine)
    two_machines.mailbox.mails.clear()
    two_machines.mailbox.seconds_a_mail = 0
    return two_machines


@pytest.fixture
def ada(site):
    """Sign Ada up at one machine and log her in at the other; return her tokens."""
    with site.proxy() as proxy:
        assert proxy.send("POST", "/api/auth/signup", **ADA)[0] == 200
        return proxy.send("POST", "/api/auth/login", **ADA)[1]


def at_both(site, call):
    """Call with a proxy of its own for each of 24 at once, half of them at each machine first."""

    def work(number):
        with site.proxy() as proxy:
            if number % 2:
                proxy.send("GET", "/api/movies")
            return call(proxy, number)

    return at_once(24, work)


def test_a_session_begun_at_one_machine_goes_on_and_ends_at_the_other(site, ada):
    with site.proxy() as here, site.proxy() as there:
        there.send("GET", "/api/movies")
        assert here.send("GET", "/api/auth/verify", ada["token"])[0] == 200
        assert there.send("GET", "/api/auth/verify", ada["token"])[0] == 200
        new = there.send("POST", "/api/auth/refresh", ada["refresh_token"])[1]
        assert here.send("GET", "/api/auth/verify", ada["token"])[0] == 401
        assert there.send("GET", "/api/auth/verify", new["token"])[0] == 200
        assert here.send("DELETE", "/api/auth/logout", new["token"])[0] == 200
        assert [here.send("GET", "/api/auth/verify", new["token"])[0] for _ in "ab"] == [401, 401]


def test_of_24_refreshes_at_once_on_both_machines_one_wins(site, ada):
    token = ada["refresh_token"]
    answers = at_both(site, lambda proxy, _: proxy.send("POST", "/api/auth/refresh", token))
    assert sorted(status for status, _ in answers) == [200] + [401] * 23


def test_of_24_resets_at_once_on_both_machines_one_wins(site, ada):
    with site.proxy() as proxy:
        proxy.send("POST", "/api/auth/forgot", email=ADA["email"])
    token = token_in(site.mailbox.wait_for(1)[0])

    def reset(proxy, number):
        body = {"reset_token": token, "password": f"{NEW_PASSWORD} {number}"}
        return proxy.send("POST", "/api/auth/reset", **body)[0]

    assert sorted(at_both(site, reset)) == [200] + [401] * 23
    assert User.objects.get().password_version == 1


def test_limits_are_counted_over_both_machines_by_one_redis(site, tmp_path):
    redis = Redis()
    limited = {"RATELIMIT_ENABLED": True, "RATELIMIT_STORAGE_URI": redis.url}
    machines = [site.start(DATA_DIR=tmp_path / name, **limited) for name in ("one", "other")]
    try:
        with closing(Proxy([machine.port for machine in machines])) as proxy:
            answers = [proxy.send("POST", "/api/auth/login", **ADA)[0] for _ in range(8)]
    finally:
        for machine in machines:
            machine.kill()
        redis.stop()
    assert answers == [401] * 5 + [429] * 3


@pytest.mark.parametrize("victim", ["a worker", "a machine"])
def test_500_forgots_are_500_mails_though_one_is_killed_on_the_way(site, victim):
    users, answered, again = addresses(FORGOTS), [], []
    for email in users:
        User(email=email, password="-").save()
    site.mailbox.seconds_a_mail = 0.01

    def forget(number):
        with site.proxy() as proxy:
            for email in users[number::CLIENTS]:
                while not asked(proxy, email):
                    again.append(email)
                answered.append(email)

    def kill():
        wait_until(lambda: len(answered) >= FORGOTS // 3 and site.mailbox.mails, 30)
        if victim == "a machine":
            site.machines[0].kill()
        else:
            os.kill(site.machines[0].workers()[-1], signal.SIGKILL)
        assert len(answered) < FORGOTS

    at_once(CLIENTS + 1, lambda number: forget(number) if number < CLIENTS else kill())
    killed = 2 if victim == "a machine" else 1
    wait_until(lambda: len(waiting()) <= killed, 30)
    waiting().update(set__due_at=0)  # their claims lapse, as they do after CLAIM_SECONDS
    wait_until(lambda: not waiting(), 30)
    mails = site.mailbox.mails
    wishes = {mail["Message-ID"] for mail in mails}
    assert set(recipients(mails)) == set(users)
    assert len(wishes) <= FORGOTS + len(again)
    assert len(mails) - len(wishes) <= killed


def asked(proxy, email):
    """Ask on a new connection; say whether there was an answer, which who is killed can't give."""
    try:
        return proxy.send("POST", "/api/auth/forgot", keep=False, email=email)[0] == 200
    except ConnectionError:
        return False


def waiting():
    return Mail.objects(state=Mail.WAITING)


def one_after_the_other(site):
    for machine in list(site.machines):
        assert machine.terminate() == 0
        site.start_again(machine)


def reload(site):
    for machine in site.machines:
        old = machine.log.read_text().count("Worker exiting")
        os.kill(machine.process.pid, signal.SIGHUP)
        wait_until(lambda m=machine, n=old: m.log.read_text().count("Worker exiting") == n + 2, 30)


@pytest.mark.parametrize("restart", [one_after_the_other, reload])
def test_a_restart_under_load_drops_no_request_and_loses_no_mail(site, restart):
    answers, over = Counter(), threading.Event()

    def use(number):
        user = ADA | {"email": f"user{number}@example.com"}
        with site.proxy() as proxy:

            def ask(method, path, token="", keep=True, **fields):
                try:
                    status, content = proxy.send(method, f"/api/{path}", token, keep, **fields)
                except OSError as error:
                    status, content = repr(error), {}
                answers[method, path, status] += 1
                return content

            ask("POST", "auth/signup", **user)
            tokens = ask("POST", "auth/login", **user)
            for film in range(100_000):
                if over.is_set():
                    return
                tokens = ask("POST", "auth/refresh", tokens["refresh_token"])
                ask("GET", "auth/verify", tokens["token"], keep=False)
                ask("POST", "auth/forgot", keep=False, email=user["email"])
                movie = {"name": f"{number} {film}", "casts": ["Ada"], "genres": ["Drama"]}
                ask("POST", "movies", tokens["token"], **movie)
                ask("GET", "movies", keep=False)

    def work(number):
        if number < CLIENTS:
            use(number)
        else:
            wait_until(lambda: len(site.mailbox.mails) > CLIENTS)
            restart(site)
            over.set()

    at_once(CLIENTS + 1, work)
    assert {status for _, _, status in answers} == {200}, answers
    assert Movie.objects.count() == answers["POST", "movies", 200]
    wait_until(lambda: not waiting(), 30)
    assert len(site.mailbox.mails) == answers["POST", "auth/forgot", 200]
