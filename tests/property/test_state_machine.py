"""Any requests in any order: responses and stored documents are those of the reference model."""

from collections import Counter
from time import time as now

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from database.documents import DOCUMENTS
from database.emails import ReservedEmail
from database.models import ADMIN, ROLES, USER, Job, Movie, User
from schemas.base import iso
from services import auth_service, email_change_service, session_service
from services.errors import ApiError
from services.link_service import LINKS
from services.mail_kinds import CONFIRM_EMAIL, RESET_PASSWORD
from services.mail_queue import SEND_EMAIL
from services.token_service import ACCESS, CHANGE, CONFIRM, PWD_RESET, REFRESH, UNDO
from tests.support.client import NEW_PASSWORD
from tests.support.reference_model import (
    ACCESS_SECONDS,
    GRACE_SECONDS,
    LOST_SECONDS,
    REFRESH_SECONDS,
    REMEMBERED_GENERATIONS,
    RESET_SECONDS,
    SESSION_SECONDS,
    TAKE_SECONDS,
    UNDO_SECONDS,
    WEAK_PASSWORD,
    Account,
    Change,
    Mail,
    Model,
    Token,
)
from tests.support.smtp_server import text_of, token_in
from tests.support.tokens import decode_parts

START = 2_000_000_000
FIRST_PASSWORD = "correct horse battery"
EMAILS = st.sampled_from(["root@example.com", "ada@example.com", "2012-05-05@example.com"])
NEW_EMAILS = EMAILS | st.sampled_from(["new@example.com", "newer@example.com"])
RIGHT = "the right one"
WRONG = "not the right one"
PASSWORDS = st.sampled_from([RIGHT, RIGHT, WRONG])
NEW_PASSWORDS = st.sampled_from([FIRST_PASSWORD, NEW_PASSWORD] * 2 + [WEAK_PASSWORD])
NAMES = st.sampled_from(["Heat", "heat", "2012-05-05"])
TIMES_OF_REFRESH = st.sampled_from([1, 1, 2, REMEMBERED_GENERATIONS + 1])
REUSED_AFTER = st.none() | st.sampled_from(
    [0, GRACE_SECONDS - 1, GRACE_SECONDS, LOST_SECONDS - 1, LOST_SECONDS]
)
SECONDS = st.sampled_from(
    [*(1, 5, GRACE_SECONDS, TAKE_SECONDS, RESET_SECONDS, ACCESS_SECONDS), UNDO_SECONDS]
)
USER_AGENTS = st.sampled_from(["Firefox", "Firefox", "Chrome"])


def valid_tokens(service, *scopes):
    tokens = [token for token in service.tokens if token.scope in scopes]
    return [token for token in tokens if service.model.is_valid(token)]


def token_of(*scopes):
    """Choose a token of one of scopes, most often a valid one, sometimes one of another scope."""

    def choose(service):
        valid = valid_tokens(service, *scopes)
        known = [token for token in service.tokens if token.scope in scopes]
        groups = [group for group in (valid, valid, known, service.tokens) if group]
        return st.sampled_from(groups).flatmap(st.sampled_from)

    return st.runner().flatmap(choose)


# Every movie that was ever added.
MOVIES = st.runner().flatmap(lambda service: st.sampled_from(service.movies))
ACCESS_TOKEN, REFRESH_TOKEN, RESET_TOKEN = map(token_of, (ACCESS, REFRESH, PWD_RESET))
CONFIRM_TOKEN, UNDO_TOKEN, LINK_TOKEN = token_of(CONFIRM, CHANGE), token_of(UNDO), token_of(*LINKS)
# Steps without any valid token would all be refused; a few rules do try revoked tokens.
if_logged_in = precondition(lambda service: valid_tokens(service, ACCESS))


def if_mailed(*scopes):
    return precondition(
        lambda service: not {*scopes}.isdisjoint(token.scope for token in service.tokens)
    )


class ServiceMachine(RuleBasedStateMachine):
    """The application and the model, side by side."""

    users = Bundle("users")

    def __init__(self, app, clock, stopped_worker, mailbox):
        super().__init__()
        self.app, self.clock, self.worker, self.mailbox = app, clock, stopped_worker, mailbox
        self.client, self.model = app.test_client(), Model()
        self.tokens, self.movies = [], []
        clock.move_to(START)
        for document in DOCUMENTS:
            document.objects.delete()

    def send(self, method, path, token=None, user_agent="Firefox", **body):
        headers = {"Authorization": f"Bearer {token.text}"} if token else {}
        headers |= {"User-Agent": user_agent}
        return self.client.open(f"/api/{path}", method=method, json=body or None, headers=headers)

    def compare(self, response, request, *arguments):
        """Compare a response with what the model says to the request; return what that returns."""
        try:
            result = request(*arguments)
        except ApiError as error:
            expected = (error.status, type(error).__name__)
            assert (response.status_code, response.json.get("error")) == expected
            return None
        assert response.status_code == 200, response.json
        return result

    def remember_pair(self, response, account, session_id, session):
        """Remember the tokens of a response after a check of their claims."""
        ends_at = session.created_at + SESSION_SECONDS
        claims = {"sub": account.id, "sid": session_id, "gen": session.generation}
        assert decode_parts(response.json["token"])[1]["verified"] == account.is_verified
        for name, scope, expires_at in (
            ("token", ACCESS, now() + ACCESS_SECONDS),
            ("refresh_token", REFRESH, session.last_used_at + REFRESH_SECONDS),
        ):
            exp = int(min(expires_at, ends_at))
            claims |= {"auth_time": session.created_at, "exp": exp}
            self.remember(response.json[name], scope=scope, **claims)

    def remember(self, text, **expected):
        claims = decode_parts(text)[1]
        assert claims == claims | expected
        self.tokens.append(Token(text, jti=claims["jti"], **expected))

    @initialize(target=users, has_moved=st.booleans())
    def start(self, has_moved):
        with self.app.app_context():
            root = auth_service.sign_up(
                "root@example.com", FIRST_PASSWORD, role=ADMIN, is_verified=True
            )
        root_id, email = str(root.id), root.email
        self.model.accounts[root_id] = Account(root_id, email, FIRST_PASSWORD, ADMIN, True)
        self.sign_up("ada@example.com", FIRST_PASSWORD)
        for account in self.model.accounts.values():
            self.log_in(account.email, RIGHT)
            self.add_movie(self.tokens[-2], f"A movie of {account.email}")
        ada = self.tokens[-2]
        if has_moved:
            self.move(ada, "new@example.com")
        self.forgot_password(self.email_of(ada), read=True)
        return multiple(*self.model.accounts)

    def add_account(self, user_id, email, password, role=USER):
        self.model.accounts[user_id] = Account(user_id, email, password, role)
        self.model.queued.append(Mail(CONFIRM_EMAIL, email, user_id))
        return user_id

    @rule(target=users, email=NEW_EMAILS, password=NEW_PASSWORDS)
    def sign_up(self, email, password):
        response = self.send("POST", "auth/signup", email=email, password=password)
        self.compare(response, self.model.sign_up, email, password)
        if response.status_code == 200:
            return self.add_account(response.json["id"], email, password)
        return multiple()

    def email_of(self, token):
        return self.model.accounts[token.sub].email if token.sub in self.model.accounts else None

    def typed(self, email, password):
        """Return the password of the account with that email, or another."""
        account = self.model.get_by_email(email)
        return (account.password if account and password == RIGHT else "") or password

    @rule(email=EMAILS)
    def log_in_everywhere(self, email):
        for _ in range(session_service.MAX_SESSIONS):
            self.log_in(email, RIGHT)
            self.clock.shift(1)

    @rule(email=EMAILS, password=PASSWORDS)
    def log_in(self, email, password):
        password = self.typed(email, password)
        response = self.send("POST", "auth/login", email=email, password=password)
        if account := self.compare(response, self.model.log_in, email, password):
            session_id = decode_parts(response.json["token"])[1]["sid"]
            session = self.model.create_session(account, session_id)
            self.remember_pair(response, account, session_id, session)

    @rule(
        token=REFRESH_TOKEN,
        late=st.booleans(),
        times=TIMES_OF_REFRESH,
        reused=REUSED_AFTER,
        user_agent=USER_AGENTS,
    )
    def refresh(self, token, late, times, reused, user_agent):
        if late:
            self.wait_for_expiry(token, 1)
        newest = token
        for _ in range(times):
            self.refresh_once(newest, "Firefox")
            newest = self.tokens[-1]
        if reused is not None:  # by another tab, or by a thief
            self.clock.shift(reused)
            self.refresh_once(token, user_agent)

    def refresh_once(self, token, user_agent):
        response = self.send("POST", "auth/refresh", token, user_agent)
        if session := self.compare(response, self.model.refresh, token, user_agent):
            self.remember_pair(response, self.model.accounts[token.sub], token.sid, session)

    @rule(token=ACCESS_TOKEN)
    def read(self, token):
        self.verify(token)
        self.list_sessions(token)
        self.list_users(token)

    def verify(self, token):
        response = self.send("GET", "auth/verify", token)
        if account := self.compare(response, self.model.authenticate, token):
            expected = {"id": account.id, "email": account.email, "expires_in": token.exp - now()}
            assert response.json == response.json | expected

    def list_sessions(self, token):
        response = self.send("GET", "auth/sessions", token)
        if account := self.compare(response, self.model.authenticate, token):
            assert {session["id"]: session["last_used_at"] for session in response.json} == {
                session_id: iso(session.last_used_at)
                for session_id, session in account.sessions.items()
                if session.is_active
            }
            current = [session["id"] for session in response.json if session["current"]]
            assert current == [token.sid]

    def list_users(self, token):
        response = self.send("GET", "users", token)
        if accounts := self.compare(response, self.model.list_users, token):
            expected = [(account.email, account.is_verified) for account in accounts]
            assert [(user["email"], user["verified"]) for user in response.json] == expected

    @rule(token=token_of(ACCESS, REFRESH))
    def log_out(self, token):
        self.compare(self.send("DELETE", "auth/logout", token), self.model.log_out, token)

    @if_logged_in
    @rule(token=ACCESS_TOKEN, other=st.none() | ACCESS_TOKEN)
    def revoke_sessions(self, token, other):
        """Revoke the session of another token, or all."""
        session_id = other and (other.sid or "none")
        path = f"auth/sessions/{session_id}" if session_id else "auth/sessions"
        response = self.send("DELETE", path, token)
        self.compare(response, self.model.revoke_sessions, token, session_id)

    @if_logged_in
    @rule(token=ACCESS_TOKEN, current=PASSWORDS, new=NEW_PASSWORDS)
    def change_password(self, token, current, new):
        current = self.typed(self.email_of(token), current)
        body = {"current_password": current, "password": new}
        response = self.send("PUT", "auth/password", token, **body)
        if session := self.compare(response, self.model.change_password, token, current, new):
            self.remember_pair(response, self.model.accounts[token.sub], token.sid, session)

    @rule(email=EMAILS, read=st.booleans())
    def forgot_password(self, email, read):
        assert self.send("POST", "auth/forgot", email=email).status_code == 200
        self.model.queued.append(Mail(RESET_PASSWORD, email))
        if read:
            self.run_due_jobs()

    @rule(email=NEW_EMAILS)
    def resend_confirmation(self, email):
        assert self.send("POST", "auth/email/resend", email=email).status_code == 200
        self.model.queued.append(Mail(CONFIRM_EMAIL, email))

    @if_logged_in
    @rule(token=ACCESS_TOKEN, email=NEW_EMAILS, current=st.none() | PASSWORDS, read=st.booleans())
    def change_email(self, token, email, current, read):
        current = current and self.typed(self.email_of(token), current)
        body = {"current_password": current} if current else {}
        response = self.send("PUT", "auth/email", token, email=email, **body)
        if account := self.compare(response, self.model.change_email, token, email, current):
            change = User.objects.get(id=account.id).pending_change
            account.pending = Change(change["id"], email)
        if read:
            self.run_due_jobs()

    @if_mailed(CONFIRM, CHANGE)
    @rule(token=CONFIRM_TOKEN, read=st.booleans())
    def confirm_email(self, token, read):
        response = self.send("POST", "auth/email/confirm", confirm_token=token.text)
        if account := self.compare(response, self.model.confirm_email, token):
            assert response.json["email"] == account.email
        if read:
            self.run_due_jobs()

    @if_logged_in
    @rule(token=ACCESS_TOKEN, email=NEW_EMAILS)
    def move(self, token, email):
        """Change the email, and use every link that is mailed meanwhile."""
        before = len(self.tokens)
        self.change_email(token, email, RIGHT, read=True)
        links = [link for link in self.tokens[before:] if link.scope in (CONFIRM, CHANGE)]
        for link in sorted(links, key=lambda link: [CONFIRM, CHANGE].index(link.scope)):
            self.confirm_email(link, read=True)

    @if_mailed(CONFIRM, CHANGE)
    @rule(token=CONFIRM_TOKEN)
    def reject_email(self, token):
        response = self.send("POST", "auth/email/reject", confirm_token=token.text)
        self.compare(response, self.model.reject_email, token)

    @if_mailed(UNDO)
    @rule(token=UNDO_TOKEN, read=st.booleans())
    def undo_change(self, token, read):
        response = self.send("POST", "auth/email/undo", undo_token=token.text)
        if account := self.compare(response, self.model.undo_change, token):
            assert response.json["email"] == account.email
        if read:
            self.run_due_jobs()

    @rule()
    def delete_expired(self):
        with self.app.app_context():
            email_change_service.delete_expired()
        self.model.forget_expired()

    @rule()
    def run_due_jobs(self):
        self.clock.shift(1)
        queued = {str(job.id): queued_mail(job) for job in Job.objects(kind=SEND_EMAIL)}
        before = len(self.mailbox.mails)
        with self.app.app_context():
            self.worker.run_due_jobs()
        sent = [(queued[job_id_of(mail)], mail) for mail in self.mailbox.mails[before:]]
        delivered = list(self.model.deliver())
        assert Counter(mail for mail, _ in sent) == Counter(mail for mail, _ in delivered)
        assert Job.objects.first() is None
        assert {movie.added_by for movie in Movie.objects} <= self.model.accounts.keys()
        self.read_links(sent, dict(delivered))

    def read_links(self, sent, links):
        """Remember the tokens of the links that emails have, where the model has one."""
        for mail, message in sent:
            assert message["To"] == mail.to
            link = links[mail]
            assert bool(link.scope) == ("https://movie-bag.example/" in text_of(message))
            if link.scope:
                self.remember(token_in(message), **link.claims)

    @if_mailed(PWD_RESET)
    @rule(token=RESET_TOKEN, password=NEW_PASSWORDS)
    def reset_password(self, token, password):
        response = self.send("POST", "auth/reset", reset_token=token.text, password=password)
        self.compare(response, self.model.reset_password, token, password)

    @if_logged_in
    @rule(token=ACCESS_TOKEN, user_id=users, role=st.sampled_from(ROLES))
    def set_role(self, token, user_id, role):
        response = self.send("PATCH", f"users/{user_id}", token, role=role)
        self.compare(response, self.model.set_role, token, user_id, role)

    @if_logged_in
    @rule(token=ACCESS_TOKEN, user_id=users, password=st.none() | PASSWORDS)
    def delete_user(self, token, user_id, password):
        password = password and self.typed(self.email_of(token), password)
        body = {"current_password": password} if password else {}
        response = self.send("DELETE", f"users/{user_id}", token, **body)
        self.compare(response, self.model.delete_user, token, user_id, password)

    @if_logged_in
    @rule(target=users, token=ACCESS_TOKEN, email=NEW_EMAILS, role=st.sampled_from(ROLES))
    def create_user(self, token, email, role):
        body = {"email": email, "password": FIRST_PASSWORD, "role": role}
        response = self.send("POST", "users", token, **body)
        self.compare(response, self.model.create_user, token, email, FIRST_PASSWORD)
        if response.status_code == 200:
            return self.add_account(response.json["id"], email, FIRST_PASSWORD, role)
        return multiple()

    @if_logged_in
    @rule(token=ACCESS_TOKEN, name=NAMES)
    def add_movie(self, token, name):
        response = self.send("POST", "movies", token, name=name, casts=["A"], genres=["B"])
        if account := self.compare(response, self.model.add_movie, token, name):
            self.model.movies[response.json["id"]] = (name, account.id)
            self.movies.append(response.json["id"])

    @if_logged_in
    @rule(token=ACCESS_TOKEN, movie_id=MOVIES, name=NAMES)
    def update_movie(self, token, movie_id, name):
        response = self.send("PUT", f"movies/{movie_id}", token, name=name)
        self.compare(response, self.model.update_movie, token, movie_id, name)

    @if_logged_in
    @rule(token=ACCESS_TOKEN, movie_id=MOVIES)
    def delete_movie(self, token, movie_id):
        response = self.send("DELETE", f"movies/{movie_id}", token)
        self.compare(response, self.model.delete_movie, token, movie_id)

    @rule(seconds=SECONDS)
    def wait(self, seconds):
        self.clock.shift(seconds)

    @rule(token=ACCESS_TOKEN | REFRESH_TOKEN | LINK_TOKEN, before=st.sampled_from([0, 1]))
    def wait_for_expiry(self, token, before):
        self.clock.move_to(max(now(), token.exp - before))

    @invariant()
    def stored_users_are_those_of_the_model(self):
        stored = {str(user["_id"]): stored_account(user) for user in User.objects.as_pymongo()}
        accounts = self.model.accounts.items()
        assert stored == {user_id: modelled_account(account) for user_id, account in accounts}

    @invariant()
    def stored_movies_and_jobs_are_those_of_the_model(self):
        movies = {str(movie.id): (movie.name, movie.added_by) for movie in Movie.objects}
        assert movies == self.model.movies
        queued = Counter(map(queued_mail, Job.objects(kind=SEND_EMAIL)))
        assert queued == Counter(self.model.queued)

    @invariant()
    def reserved_emails_are_those_of_the_model(self):
        reserved = {it.email: (it.user_id, it.until) for it in ReservedEmail.objects}
        assert reserved == self.model.reserved

    @invariant()
    def no_email_belongs_to_two(self):
        accounts = self.model.accounts.values()
        assert len({account.email for account in accounts}) == len(accounts)

    @invariant()
    def sessions_are_limited_and_an_admin_remains(self):
        accounts = self.model.accounts.values()
        limit = session_service.MAX_SESSIONS
        assert all(len(account.sessions) <= limit for account in accounts)
        assert not accounts or ADMIN in [account.role for account in accounts]


def queued_mail(job):
    """Return a job as the model has it."""
    arguments = job.arguments
    to = arguments.get("email") or arguments["to"]
    return Mail(arguments["mail"], to, arguments.get("user_id"), arguments.get("change"))


def job_id_of(message):
    """Return the id of the job that sent a message."""
    return message["Message-ID"].strip("<>").partition("@")[0]


def stored_account(user):
    sessions = {
        session_id: (
            *(session["generation"], session["created_at"], session["last_used_at"]),
            *(session["rotated"].keys(), session["without_grace"]),
        )
        for session_id, session in user["sessions"].items()
    }
    former = {
        change_id: (change["email"], change["at"])
        for change_id, change in user["former_emails"].items()
    }
    versions = user["password_version"], user["email_version"]
    is_verified = user.get("verified_at") is not None
    pending = user.get("pending_change") or None
    confirmed_by = user.get("confirmed_token")
    emails = user["email"], is_verified, confirmed_by, pending, former
    return emails, user["role"], versions, sessions


def modelled_account(account):
    sessions = {
        session_id: (
            *(session.generation, session.created_at, session.last_used_at),
            *({f"g{it}" for it in session.refreshed}, session.without_grace),
        )
        for session_id, session in account.sessions.items()
    }
    former = {change.id: (change.email, change.at) for change in account.former.values()}
    versions = account.password_version, account.email_version
    pending = account.pending and {"id": account.pending.id, "email": account.pending.email}
    emails = account.email, account.is_verified, account.confirmed_by, pending, former
    return emails, account.role, versions, sessions


@pytest.fixture
def settings(settings):
    """Let sessions end soon after their first refresh could be too late; signups mail a link."""
    changed = {"JWT_SESSION_MAX_AGE": SESSION_SECONDS, "EMAIL_VERIFICATION": "optional"}
    return settings | changed


class TestService:
    @pytest.mark.slow
    def test_service_does_what_the_model_does(
        self, app, clock, stopped_worker, mailbox, monkeypatch
    ):
        monkeypatch.setattr(session_service, "MAX_SESSIONS", 3)  # a few logins reach it
        budget = hypothesis_settings(
            max_examples=hypothesis_settings().max_examples * 3 // 5, stateful_step_count=50
        )
        run_state_machine_as_test(
            lambda: ServiceMachine(app, clock, stopped_worker, mailbox), settings=budget
        )
