"""A server killed at any step of a request: the next one finds all consistent."""

import itertools
import time

import pytest

from database.models import ADMIN, DOCUMENTS, Mail, Movie, User
from services import auth_service, movie_service, session_service, token_service
from tests.conftest import ADA, NEW_PASSWORD, wait_until
from tests.failpoints import Mortals
from tests.smtp import Mailbox, smtp_server

EMAIL, PASSWORD = ADA["email"], ADA["password"]
NOTICE = "Your Movie-bag password was changed"
LONG_AGO = 100.0  # seconds: longer than any claim lasts


class Scenario:
    """A request, what there is before it, and what must be true after it or a part of it."""

    fewest_steps: int

    def __init__(self, mailbox):
        """Write what there is before, by the product's own services."""
        self.mailbox = mailbox
        self.user = auth_service.sign_up(**ADA)
        self.pair = session_service.begin(self.user, "")

    def request(self, server):
        """Make the request; say whether the server died of it."""
        raise NotImplementedError

    def check(self, server):
        """Look at everything as clients do, of a server that was started after it."""
        raise NotImplementedError

    def logs_in(self, server, password):
        answer = server.ask("POST", "/api/auth/login", email=EMAIL, password=password)
        return answer.status_code == 200

    def lives(self, server, pair):
        return server.ask("GET", "/api/auth/verify", pair["token"]).status_code == 200


class SignUp(Scenario):
    """An account is there whole, or not at all."""

    fewest_steps = 3

    def __init__(self, mailbox):
        User.drop_collection()  # its indexes too: they are made in the request

    def request(self, server):
        return server.dies_of("POST", "/api/auth/signup", **ADA)

    def check(self, server):
        there = User.objects.count()
        again = server.ask("POST", "/api/auth/signup", **ADA)
        assert again.status_code == (400 if there else 200)
        assert self.logs_in(server, PASSWORD)
        assert User.objects.count() == 1


class Refresh(Scenario):
    """The old pair still leads to a living one."""

    fewest_steps = 1

    def request(self, server):
        return server.dies_of("POST", "/api/auth/refresh", self.pair["refresh_token"])

    def check(self, server):
        answer = server.ask("POST", "/api/auth/refresh", self.pair["refresh_token"])
        assert answer.status_code == 200
        assert self.lives(server, answer.json())
        assert len(User.objects.get().sessions) == 1


class SetsPassword(Scenario):
    """Either all of it happened, and the owner is told, or nothing, and it can be done again."""

    def check(self, server):
        done = User.objects.get().password_version == 1
        self.check_sessions(server, done)
        assert self.logs_in(server, NEW_PASSWORD) == done
        assert self.logs_in(server, PASSWORD) != done
        wait_until(lambda: Mail.objects.first() is None)
        assert NOTICE in [mail["Subject"] for mail in self.mailbox.to(EMAIL)] or not done
        if not done:
            assert not self.request(server)
            assert self.logs_in(server, NEW_PASSWORD)

    def check_sessions(self, server, done):
        raise NotImplementedError


class Reset(SetsPassword):
    """The link works on until it has set the password."""

    fewest_steps = 3

    def __init__(self, mailbox):
        super().__init__(mailbox)
        self.token = token_service.reset_token(self.user)
        self.fields = {"reset_token": self.token, "password": NEW_PASSWORD}

    def request(self, server):
        return server.dies_of("POST", "/api/auth/reset", **self.fields)

    def check_sessions(self, server, done):
        assert self.lives(server, self.pair) != done
        if done:
            answer = server.ask("POST", "/api/auth/reset", **self.fields)
            assert answer.json()["error"] == "UsedTokenError"


class Change(SetsPassword):
    """The session that asks lives in any case."""

    fewest_steps = 4

    def __init__(self, mailbox):
        super().__init__(mailbox)
        self.other = session_service.begin(self.user, "")

    def request(self, server):
        fields = {"current_password": PASSWORD, "password": NEW_PASSWORD}
        return server.dies_of("PUT", "/api/auth/password", self.pair["token"], **fields)

    def check_sessions(self, server, done):
        assert self.lives(server, self.pair)
        assert self.lives(server, self.other) != done


class Delete(Scenario):
    """The account is there whole, or gone with all that belongs to it."""

    fewest_steps = 6

    def __init__(self, mailbox):
        super().__init__(mailbox)
        for name in ("One", "Two"):
            movie_service.add(self.user, name, ["Ada"], ["Drama"])
        mail = {"kind": "reset", "email": EMAIL, "created_at": time.time(), "due_at": time.time()}
        Mail(**mail).save()
        Mail(**mail, state=Mail.GIVEN_UP).save()

    def request(self, server):
        fields = {"current_password": PASSWORD}
        return server.dies_of("DELETE", "/api/users/me", self.pair["token"], **fields)

    def check(self, server):
        if User.objects(id=self.user.id).first():
            assert self.logs_in(server, PASSWORD)
            wait_until(lambda: Mail.objects(state=Mail.WAITING).first() is None)
            assert Movie.objects(added_by=str(self.user.id)).count() == 2
            self.pair = server.ask("POST", "/api/auth/login", **ADA).json()
            assert not self.request(server)
        server.ask("GET", "/")  # the outbox begins to work with the first request
        wait_until(lambda: Mail.objects.first() is None and Movie.objects.first() is None)
        assert not self.logs_in(server, PASSWORD)
        assert server.ask("POST", "/api/auth/signup", **ADA).status_code == 200


class DeleteAdmin(Delete):
    """One of two admins."""

    fewest_steps = 10

    def __init__(self, mailbox):
        super().__init__(mailbox)
        auth_service.sign_up("eve@example.com", PASSWORD, role=ADMIN)
        User.objects(id=self.user.id).update(set__role=ADMIN)


@pytest.fixture(scope="module")
def mailbox():
    return Mailbox()


@pytest.fixture(scope="module")
def smtp(mailbox):
    with smtp_server(mailbox) as port:
        yield port


@pytest.fixture
def mortals(settings):
    mortals = Mortals(**settings)
    yield mortals
    mortals.end()


@pytest.mark.parametrize("scenario", [SignUp, Refresh, Reset, Change, Delete, DeleteAdmin])
def test_a_server_killed_at_any_step_of_a_request_leaves_all_consistent(
    mortals, app, mailbox, scenario
):
    for step in itertools.count(1):
        with app.app_context():
            prepared = scenario(mailbox)
        mortal = mortals.start(step)
        died = prepared.request(mortal)
        mortal.kill()
        Mail.objects.update(dec__created_at=LONG_AGO, dec__due_at=LONG_AGO)
        after = mortals.start()
        try:
            prepared.check(after)
        except AssertionError as error:
            raise AssertionError(f"killed after command {step}") from error
        after.kill()
        for document in DOCUMENTS:
            document.objects.delete()
        mailbox.mails.clear()
        if not died:
            break
    assert step > scenario.fewest_steps
