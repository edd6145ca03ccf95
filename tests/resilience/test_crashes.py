"""A process killed by `kill -9` at any step: the next one finds everything consistent."""

import itertools
import time

import pytest

from database.documents import DOCUMENTS
from database.emails import ReservedEmail
from database.models import ADMIN, Job, Movie, User
from jobs.queue import LEASE_SECONDS
from services import auth_service, factor_service, movie_service, session_service, token_service
from services.mail_kinds import RESET_PASSWORD
from services.mail_queue import SEND_EMAIL
from services.session_service import BY_PASSWORD
from services.token_service import ACCESS
from tests.support.client import ADA, NEW_PASSWORD
from tests.support.concurrency import wait_until
from tests.support.crashing_server import CrashingServers
from tests.support.email_owners import (
    FIRST,
    NEXT,
    PRESENT,
    UNPROVED,
    Owners,
    describe_mails,
)
from tests.support.emails import queue_emails, recipients, user_emails
from tests.support.factor_client import code_of
from tests.support.smtp_server import Mailbox, smtp_server, token_in
from tests.support.tokens import reset_token

EMAIL, PASSWORD = ADA["email"], ADA["password"]
AFTER_LEASE = LEASE_SECONDS + 15


class Scenario:
    """A request, what is stored before it, and what must be true after it or a part of it."""

    fewest_steps: int
    settings: dict[str, str] = {}

    def __init__(self, app, mailbox):
        """Store what there is before the request, by the product's own services."""
        self.mailbox = mailbox
        self.user = auth_service.sign_up(**ADA)
        self.pair = session_service.create(self.user, "", BY_PASSWORD)

    def request(self, server):
        """Send the request; return whether the server crashed."""
        raise NotImplementedError

    def check(self, server):
        """Check everything as clients do, at a server that was started after the crash."""
        raise NotImplementedError

    def logs_in(self, server, password):
        response = server.request("POST", "/api/auth/login", email=EMAIL, password=password)
        return response.status_code == 200

    def is_active(self, server, pair):
        return server.request("GET", "/api/auth/verify", pair["token"]).status_code == 200

    def wait_for_mails(self, server):
        """Return to whom mails went and where their links lead, once there is no job left."""
        server.request("GET", "/")  # the first request starts the worker
        wait_until(lambda: Job.objects.first() is None)
        return describe_mails(self.mailbox)


class SignUp(Scenario):
    """The account is complete, or does not exist."""

    fewest_steps = 3

    def __init__(self, app, mailbox):
        User.drop_collection()  # its indexes too: the request creates them

    def request(self, server):
        return server.crashes_on("POST", "/api/auth/signup", **ADA)

    def check(self, server):
        exists = User.objects.count()
        again = server.request("POST", "/api/auth/signup", **ADA)
        assert again.status_code == (400 if exists else 200)
        assert self.logs_in(server, PASSWORD)
        assert User.objects.count() == 1


class SignUpUnverified(Scenario):
    """After another try a mail holds a link with which the account can be used."""

    fewest_steps = 4
    settings = {"EMAIL_VERIFICATION": "required"}

    def __init__(self, app, mailbox):
        self.mailbox = mailbox
        User.drop_collection()

    def request(self, server):
        return server.crashes_on("POST", "/api/auth/signup", **ADA)

    def check(self, server):
        assert not self.request(server)
        assert User.objects.count() == 1
        assert not self.logs_in(server, PASSWORD)
        self.wait_for_mails(server)
        for mail in self.mailbox.to(EMAIL):
            self.follow(server, token_in(mail))
        assert self.logs_in(server, NEW_PASSWORD) or self.logs_in(server, PASSWORD)

    def follow(self, server, token):
        server.request("POST", "/api/auth/email/confirm", confirm_token=token)
        fields = {"reset_token": token, "password": NEW_PASSWORD}
        server.request("POST", "/api/auth/reset", **fields)


class EmailScenario(Scenario):
    """The user's email is as before or as afterwards, and nobody else's."""

    path: str
    before: str
    after: str

    def __init__(self, app, mailbox):
        self.mailbox = mailbox
        self.owners = Owners(app, api=None)

    def request(self, server):
        return server.crashes_on("POST", f"/api/auth/email/{self.path}", **self.fields())

    def check(self, server):
        done = self.user().email == self.after
        assert done or self.user().email == self.before
        self.owners.state()
        self.check_mails(self.wait_for_mails(server), done)
        self.check_second_try(server, done)
        assert self.user().email == self.after
        self.check_mails(self.wait_for_mails(server), done=True)
        self.check_afterwards(server)
        self.owners.state()

    def user(self):
        return self.owners.users["Ada"].reload()

    def is_free(self, server, email):
        response = server.request("POST", "/api/auth/signup", email=email, password=PASSWORD)
        return response.status_code == 200


class ConfirmChange(EmailScenario):
    """A notice with a link that undoes the change is sent once, and only after it."""

    fewest_steps = 7
    path, before, after = "confirm", PRESENT, NEXT

    def fields(self):
        return {"confirm_token": self.owners.change_tokens["Ada"]}

    def check_mails(self, mails, done):
        assert mails == ([(PRESENT, "undo")] if done else [])

    def check_second_try(self, server, done):
        assert not self.request(server)

    def check_afterwards(self, server):
        assert not self.is_free(server, PRESENT)
        undo_token = token_in(self.mailbox.mails[0])
        undone = server.request("POST", "/api/auth/email/undo", undo_token=undo_token)
        assert undone.json()["email"] == PRESENT
        assert self.is_free(server, NEXT)


class UndoChange(EmailScenario):
    """A link that sets a new password is sent, and only after the change was undone."""

    fewest_steps = 4
    path, before, after = "undo", PRESENT, FIRST

    def fields(self):
        return {"undo_token": self.owners.undo_token}

    def check_mails(self, mails, done):
        assert set(mails) == ({(FIRST, "reset")} if done else set())

    def check_second_try(self, server, done):
        response = server.request("POST", "/api/auth/email/undo", **self.fields())
        assert response.status_code == (401 if done else 200)

    def check_afterwards(self, server):
        fields = {"reset_token": token_in(self.mailbox.mails[-1]), "password": NEW_PASSWORD}
        assert server.request("POST", "/api/auth/reset", **fields).json()["email"] == FIRST
        assert self.is_free(server, PRESENT)


class RejectChange(EmailScenario):
    """The change waits, or is dropped."""

    fewest_steps = 2
    path, before, after = "reject", PRESENT, PRESENT

    def fields(self):
        return {"confirm_token": self.owners.change_tokens["Ada"]}

    def check_mails(self, mails, done):
        assert mails == []

    def check_second_try(self, server, done):
        waits = bool(self.user().pending_change)
        response = server.request("POST", "/api/auth/email/reject", **self.fields())
        assert response.status_code == (200 if waits else 401)

    def check_afterwards(self, server):
        assert not self.user().pending_change
        assert self.is_free(server, NEXT)


class ConfirmSignup(EmailScenario):
    """The same link confirms again."""

    fewest_steps = 2
    path, before, after = "confirm", UNPROVED, UNPROVED

    def fields(self):
        return {"confirm_token": self.owners.confirm_token}

    def user(self):
        return self.owners.users["Bob"].reload()

    def check_mails(self, mails, done):
        assert mails == []

    def check_second_try(self, server, done):
        assert not self.request(server)

    def check_afterwards(self, server):
        assert self.user().is_verified
        assert not self.request(server)


class RejectSignup(EmailScenario):
    """The account is complete, or deleted; its email is free then."""

    fewest_steps = 8
    path = "reject"

    def fields(self):
        return {"confirm_token": self.owners.confirm_token}

    def check(self, server):
        exists = User.objects(email=UNPROVED).first() is not None
        response = server.request("POST", "/api/auth/email/reject", **self.fields())
        assert response.status_code == (200 if exists else 401)
        assert self.wait_for_mails(server) == []
        self.owners.state()
        assert self.is_free(server, UNPROVED)


class Refresh(Scenario):
    """The previous refresh token still leads to a valid pair."""

    fewest_steps = 1

    def request(self, server):
        return server.crashes_on("POST", "/api/auth/refresh", self.pair["refresh_token"])

    def check(self, server):
        response = server.request("POST", "/api/auth/refresh", self.pair["refresh_token"])
        assert response.status_code == 200
        assert self.is_active(server, response.json())
        assert len(User.objects.get().sessions) == 1


class SetsPassword(Scenario):
    """All of it happened and the owner is notified, or nothing did and it can be repeated."""

    def check(self, server):
        done = User.objects.get().password_version == 1
        self.check_sessions(server, done)
        assert self.logs_in(server, NEW_PASSWORD) == done
        assert self.logs_in(server, PASSWORD) != done
        wait_until(lambda: Job.objects.first() is None)
        assert self.mailbox.to(EMAIL) or not done
        if not done:
            assert not self.request(server)
            assert self.logs_in(server, NEW_PASSWORD)

    def check_sessions(self, server, done):
        raise NotImplementedError


class ResetPassword(SetsPassword):
    """The link stays valid until it has set the password."""

    fewest_steps = 3

    def __init__(self, app, mailbox):
        super().__init__(app, mailbox)
        self.fields = {"reset_token": reset_token(app, self.user), "password": NEW_PASSWORD}

    def request(self, server):
        return server.crashes_on("POST", "/api/auth/reset", **self.fields)

    def check_sessions(self, server, done):
        assert self.is_active(server, self.pair) != done
        if done:
            response = server.request("POST", "/api/auth/reset", **self.fields)
            assert response.json()["error"] == "UsedTokenError"


class ChangePassword(SetsPassword):
    """Without the response there is no pair of the session that is valid."""

    fewest_steps = 4

    def __init__(self, app, mailbox):
        super().__init__(app, mailbox)
        self.other = session_service.create(self.user, "", BY_PASSWORD)

    def request(self, server):
        fields = {"current_password": PASSWORD, "password": NEW_PASSWORD}
        return server.crashes_on("PUT", "/api/auth/password", self.pair["token"], **fields)

    def check_sessions(self, server, done):
        for pair in (self.pair, self.other):
            assert self.is_active(server, pair) != done


class FactorScenario(Scenario):
    """The next code of the authenticator app logs in, whatever happened to the one before."""

    def __init__(self, app, mailbox):
        super().__init__(app, mailbox)
        User.objects.update(set__verified_at=1.0)
        self.claims = token_service.decode(self.pair["token"], ACCESS)
        self.secret = factor_service.start_totp(self.user.reload(), self.claims)["secret"]

    def confirm(self):
        """Put the factor in force, with the code of the step before."""
        code = code_of(self.secret, -1)
        codes = factor_service.confirm_totp(self.user.reload(), self.claims, code)
        Job.objects.delete()
        return codes

    def begin_login(self, server):
        """Return the token of a login that waits for a code."""
        response = server.request("POST", "/api/auth/login", **ADA)
        return response.json()["mfa_token"]

    def finish_login(self, server, mfa_token, **code):
        return server.request("POST", "/api/auth/login/mfa", mfa_token=mfa_token, **code)

    def check_next_code(self, server):
        mfa_token = self.begin_login(server)
        response = self.finish_login(server, mfa_token, code=code_of(self.secret, 1))
        assert response.status_code == 200
        assert self.is_active(server, response.json())

    def is_notified(self):
        return Job.objects.first() is not None or self.mailbox.to(EMAIL)


class ConfirmTotp(FactorScenario):
    """The factor is in force and its user is notified, or nothing happened."""

    fewest_steps = 4

    def __init__(self, app, mailbox):
        super().__init__(app, mailbox)
        self.other = session_service.create(self.user, "", BY_PASSWORD)

    def request(self, server):
        path, code = "/api/auth/mfa/totp/confirm", code_of(self.secret)
        return server.crashes_on("POST", path, self.pair["token"], code=code)

    def check(self, server):
        user = User.objects.get()
        assert self.is_notified() or not user.has_totp
        assert ("pending_totp" in user.factors) != user.has_totp
        assert user.password_version == user.has_totp
        assert len(user.factors.get("recovery_codes", {})) == 10 * user.has_totp
        assert self.is_active(server, self.pair)
        assert self.is_active(server, self.other) != user.has_totp
        assert self.logs_in(server, PASSWORD) != user.has_totp
        if not user.has_totp:
            assert not self.request(server)
        self.check_next_code(server)


class LogInByCode(FactorScenario):
    """There is one session more, or none; a token that was used up stays so."""

    fewest_steps = 4

    def __init__(self, app, mailbox):
        super().__init__(app, mailbox)
        codes = self.confirm()
        self.codes = self.choose(codes)
        self.mfa_token = factor_service.code_required(self.user.reload()).members["mfa_token"]
        self.stored = User.objects.get()

    def choose(self, recovery_codes):
        return {"code": code_of(self.secret)}

    def request(self, server):
        fields = {"mfa_token": self.mfa_token, **self.codes}
        return server.crashes_on("POST", "/api/auth/login/mfa", **fields)

    def check(self, server):
        user = User.objects.get()
        is_used = user.logins > self.stored.logins
        assert len(user.sessions) - len(self.stored.sessions) in ([0, 1] if is_used else [0])
        self.check_codes(user, is_used)
        response = self.finish_login(server, self.mfa_token, **self.codes)
        assert response.status_code == (401 if is_used else 200)
        again = self.finish_login(server, self.begin_login(server), **self.codes)
        assert again.status_code == 401
        self.check_next_code(server)

    def check_codes(self, user, is_used):
        was = self.stored.factors["totp"]["step"]
        assert (user.factors["totp"]["step"] > was) == is_used


class LogInByRecoveryCode(LogInByCode):
    """The user is notified of a code that was used up."""

    fewest_steps = 5

    def choose(self, recovery_codes):
        return {"recovery_code": recovery_codes[0]}

    def check_codes(self, user, is_used):
        assert len(user.factors["recovery_codes"]) == 10 - is_used
        assert self.is_notified() or not is_used


class Reauthenticate(FactorScenario):
    """The session goes on with the pair before, or with the next one; nobody has the latter."""

    fewest_steps = 4

    def __init__(self, app, mailbox):
        super().__init__(app, mailbox)
        self.confirm()
        User.objects.update(**{f"set__sessions__{self.claims['sid']}__auth_time": 1})

    def request(self, server):
        path, code = "/api/auth/reauthenticate", code_of(self.secret)
        return server.crashes_on("POST", path, self.pair["token"], code=code)

    def check(self, server):
        (session,) = User.objects.get().sessions.values()
        is_done = session.generation == 1
        assert (session.auth_time > 1, session.amr == ["pwd", "otp"]) == (is_done, is_done)
        assert self.is_active(server, self.pair) != is_done
        refreshed = server.request("POST", "/api/auth/refresh", self.pair["refresh_token"])
        assert refreshed.status_code == (401 if is_done else 200)
        assert len(User.objects.get().sessions) == 1
        self.check_next_code(server)


class DeleteUser(Scenario):
    """The account is complete, or deleted with everything that belongs to it."""

    fewest_steps = 8

    def __init__(self, app, mailbox):
        super().__init__(app, mailbox)
        for name in ("One", "Two"):
            movie_service.add(self.user, name, ["Ada"], ["Drama"])
        arguments = {"mail": RESET_PASSWORD, "email": EMAIL}
        job = {"kind": SEND_EMAIL, "arguments": arguments}
        job |= {"created_at": time.time(), "run_at": time.time()}
        Job(**job).save()
        Job(**job, state=Job.FAILED).save()
        ReservedEmail.take(FIRST, self.user, 3600)

    def request(self, server):
        fields = {"current_password": PASSWORD}
        return server.crashes_on("DELETE", "/api/users/me", self.pair["token"], **fields)

    def check(self, server):
        if User.objects(id=self.user.id).first():
            assert self.logs_in(server, PASSWORD)
            wait_until(lambda: Job.objects(state=Job.QUEUED).first() is None)
            assert Movie.objects(added_by=str(self.user.id)).count() == 2
            self.pair = server.request("POST", "/api/auth/login", **ADA).json()
            assert not self.request(server)
        server.request("GET", "/")  # the first request starts the worker
        for document in (Job, Movie, ReservedEmail):
            wait_until(lambda document=document: document.objects.first() is None)
        assert not self.logs_in(server, PASSWORD)
        for email in (EMAIL, FIRST):
            fields = ADA | {"email": email}
            assert server.request("POST", "/api/auth/signup", **fields).status_code == 200


class DeleteAdmin(DeleteUser):
    """One of two admins."""

    fewest_steps = 12

    def __init__(self, app, mailbox):
        super().__init__(app, mailbox)
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
def servers(settings, scenario):
    servers = CrashingServers(**settings | scenario.settings)
    yield servers
    servers.kill()


class TestRequests:
    """A server that is killed during a request."""

    @pytest.mark.parametrize(
        "scenario",
        [
            SignUp,
            SignUpUnverified,
            ConfirmSignup,
            RejectSignup,
            ConfirmChange,
            RejectChange,
            UndoChange,
            Refresh,
            ResetPassword,
            ChangePassword,
            ConfirmTotp,
            LogInByCode,
            LogInByRecoveryCode,
            Reauthenticate,
            DeleteUser,
            pytest.param(DeleteAdmin, marks=pytest.mark.slow),
        ],
    )
    def test_crash_at_any_command_leaves_all_consistent(
        self, servers, app, stopped_worker, mailbox, scenario
    ):
        for step in itertools.count(1):
            crashed = self._crash(servers, app, mailbox, scenario, step)
            for document in DOCUMENTS:
                document.objects.delete()
            mailbox.mails.clear()
            if not crashed:
                break
        assert step > scenario.fewest_steps

    @staticmethod
    def _crash(servers, app, mailbox, scenario, step):
        """Let a server crash at a step and check the next one; return whether it crashed."""
        with app.app_context():
            prepared = scenario(app, mailbox)
        crashing = servers.start(step)
        crashed = prepared.request(crashing)
        crashing.kill()
        Job.objects.update(dec__created_at=AFTER_LEASE, dec__run_at=AFTER_LEASE)
        after = servers.start()
        try:
            prepared.check(after)
        except AssertionError as error:
            raise AssertionError(f"killed after command {step}") from error
        after.kill()
        return crashed


class TestSendingEmail:
    """A process that is killed while it sends emails."""

    def test_all_emails_arrive_one_at_most_twice(
        self, run, make_app, smtp, mailbox, clock, monkeypatch
    ):
        monkeypatch.setattr(mailbox, "seconds_a_mail", 0.3)
        queue_emails(user_emails(6))
        server = run(MAIL_SERVER="127.0.0.1", MAIL_PORT=smtp)
        mailbox.wait_for(2)
        server.kill()
        before = len(mailbox.mails)
        clock.shift(LEASE_SECONDS + 60)
        make_app().extensions["worker"].start()
        wait_until(lambda: Job.objects(state=Job.QUEUED).first() is None)
        assert before < 6
        assert set(recipients(mailbox.mails)) == set(user_emails(6))
        assert len(mailbox.mails) <= 7
        assert len({mail["Message-ID"] for mail in mailbox.mails}) == 6
