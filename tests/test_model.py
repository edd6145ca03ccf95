"""Whatever users do in whatever order, each answer and all that is stored is as the model says."""

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

from database.models import ADMIN, DOCUMENTS, ROLES, USER, Mail, Movie, User
from services import auth_service, mail_service, outbox, session_service
from services.errors import ApiError
from services.times import iso
from services.token_service import ACCESS, PWD_RESET, REFRESH
from tests.conftest import NEW_PASSWORD
from tests.model import (
    ACCESS_SECONDS,
    GRACE,
    REFRESH_SECONDS,
    REMEMBERED,
    RESET_SECONDS,
    SESSION_SECONDS,
    WEAK,
    Account,
    Model,
    Token,
)
from tests.smtp import token_in
from tests.test_tokens import decoded

BEGIN = 2_000_000_000
FIRST = "correct horse battery"
EMAILS = st.sampled_from(["root@example.com", "ada@example.com", "2012-05-05@example.com"])
RIGHT, OTHER = "the right one", "not the right one"
PASSWORDS = st.sampled_from([RIGHT, RIGHT, OTHER])
NEW_PASSWORDS = st.sampled_from([FIRST, NEW_PASSWORD] * 2 + [WEAK])
NAMES = st.sampled_from(["Heat", "heat", "2012-05-05"])


def good(service, *scopes):
    """Return the tokens that are good now for what asks for one of scopes."""
    return [each for each in service.seen if each.scope in scopes and service.model.takes(each)]


def token_for(*scopes):
    """Choose among the tokens that are good for this, were, or may open something else."""

    def choose(service):
        fresh = good(service, *scopes)
        known = [each for each in service.seen if each.scope in scopes]
        groups = [group for group in (fresh, fresh, known, service.seen) if group]
        return st.sampled_from(groups).flatmap(st.sampled_from)

    return st.runner().flatmap(choose)


# Every movie that ever was.
MOVIES = st.runner().flatmap(lambda service: st.sampled_from(service.movies))
# What nobody could do would only fill the steps: a few rules do without, and try what is dead.
while_someone_is_in = precondition(lambda service: good(service, ACCESS))
ACCESS_TOKEN, REFRESH_TOKEN, RESET_TOKEN = map(token_for, (ACCESS, REFRESH, PWD_RESET))


class Service(RuleBasedStateMachine):
    """The application and the model, side by side."""

    users = Bundle("users")

    def __init__(self, app, clock, still_outbox, mailbox):
        super().__init__()
        self.app, self.clock, self.outbox, self.mailbox = app, clock, still_outbox, mailbox
        self.client, self.model = app.test_client(), Model()
        self.seen, self.movies = [], []
        clock.move_to(BEGIN)
        for document in DOCUMENTS:
            document.objects.delete()

    def ask(self, method, path, token=None, **body):
        headers = {"Authorization": f"Bearer {token.text}"} if token else {}
        return self.client.open(f"/api/{path}", method=method, json=body or None, headers=headers)

    def hold(self, answer, request, *facts):
        """Hold an answer to what the model says to the request; return what that returns."""
        try:
            outcome = request(*facts)
        except ApiError as error:
            expected = (error.status, type(error).__name__)
            assert (answer.status_code, answer.json.get("error")) == expected
            return None
        assert answer.status_code == 200, answer.json
        return outcome

    def see_pair(self, answer, account, sid, session):
        """Remember the tokens of an answer, held to what they must say."""
        over = session.created_at + SESSION_SECONDS
        said = {"sub": account.id, "sid": sid, "gen": session.generation}
        for name, scope, seconds in (
            ("token", ACCESS, ACCESS_SECONDS),
            ("refresh_token", REFRESH, REFRESH_SECONDS),
        ):
            said |= {"auth_time": session.created_at, "exp": int(min(now() + seconds, over))}
            self.see(answer.json[name], scope=scope, **said)

    def see(self, text, **said):
        claims = decoded(text)[1]
        assert claims == claims | said
        self.seen.append(Token(text, **said))

    @initialize(target=users)
    def begin(self):
        with self.app.app_context():
            root = auth_service.sign_up("root@example.com", FIRST, role=ADMIN)
        self.join(str(root.id), root.email, FIRST, ADMIN)
        self.sign_up("ada@example.com", FIRST)
        for account in self.model.accounts.values():
            self.log_in(account.email, RIGHT)
            self.add_movie(self.seen[-2], f"A movie of {account.email}")
        self.forget("ada@example.com", read=True)
        return multiple(*self.model.accounts)

    def join(self, user_id, email, password, role=USER):
        self.model.accounts[user_id] = Account(user_id, email, password, role)
        return user_id

    @rule(target=users, email=EMAILS, password=NEW_PASSWORDS)
    def sign_up(self, email, password):
        answer = self.ask("POST", "auth/signup", email=email, password=password)
        self.hold(answer, self.model.sign_up, email, password)
        if answer.status_code == 200:
            return self.join(answer.json["id"], email, password)
        return multiple()

    def email_of(self, token):
        return self.model.accounts[token.sub].email if token.sub in self.model.accounts else None

    def typed(self, email, password):
        """Return the password of the account with that address, or another."""
        account = self.model.with_email(email)
        return account.password if account and password == RIGHT else password

    @rule(email=EMAILS)
    def log_in_everywhere(self, email):
        for _ in range(session_service.MAX_SESSIONS):
            self.log_in(email, RIGHT)
            self.clock.shift(1)

    @rule(email=EMAILS, password=PASSWORDS)
    def log_in(self, email, password):
        password = self.typed(email, password)
        answer = self.ask("POST", "auth/login", email=email, password=password)
        if account := self.hold(answer, self.model.log_in, email, password):
            sid = decoded(answer.json["token"])[1]["sid"]
            self.see_pair(answer, account, sid, self.model.begin(account, sid))

    @rule(
        token=REFRESH_TOKEN,
        late=st.booleans(),
        times=st.sampled_from([1, 1, 2, REMEMBERED + 1]),
        then=st.none() | st.sampled_from([0, GRACE - 1, GRACE]),
    )
    def refresh(self, token, late, times, then):
        if late:
            self.wait_for_the_end_of(token, 1)
        newest = token
        for _ in range(times):
            self.refresh_once(newest)
            newest = self.seen[-1]
        if then is not None:  # another tab has it too, or a thief
            self.clock.shift(then)
            self.refresh_once(token)

    def refresh_once(self, token):
        answer = self.ask("POST", "auth/refresh", token)
        if session := self.hold(answer, self.model.refresh, token):
            self.see_pair(answer, self.model.accounts[token.sub], token.sid, session)

    @rule(token=ACCESS_TOKEN)
    def look(self, token):
        verified = self.ask("GET", "auth/verify", token)
        if account := self.hold(verified, self.model.authenticate, token):
            facts = {"id": account.id, "email": account.email, "expires_in": token.exp - now()}
            assert verified.json == verified.json | facts
        listed = self.ask("GET", "auth/sessions", token)
        if account := self.hold(listed, self.model.authenticate, token):
            living = {sid: each for sid, each in account.sessions.items() if each.lives}
            assert {each["id"]: each["last_used_at"] for each in listed.json} == {
                sid: iso(each.last_used_at) for sid, each in living.items()
            }
            assert [each["id"] for each in listed.json if each["current"]] == [token.sid]
        users = self.ask("GET", "users", token)
        if accounts := self.hold(users, self.model.list_users, token):
            assert [user["email"] for user in users.json] == [each.email for each in accounts]

    @rule(token=token_for(ACCESS, REFRESH))
    def log_out(self, token):
        self.hold(self.ask("DELETE", "auth/logout", token), self.model.log_out, token)

    @while_someone_is_in
    @rule(token=ACCESS_TOKEN, other=st.none() | ACCESS_TOKEN)
    def end_sessions(self, token, other):
        """End the session of another token, or all."""
        sid = other and (other.sid or "none")
        answer = self.ask("DELETE", f"auth/sessions/{sid}" if sid else "auth/sessions", token)
        self.hold(answer, self.model.end_sessions, token, sid)

    @while_someone_is_in
    @rule(token=ACCESS_TOKEN, current=PASSWORDS, new=NEW_PASSWORDS)
    def change_password(self, token, current, new):
        current = self.typed(self.email_of(token), current)
        body = {"current_password": current, "password": new}
        answer = self.ask("PUT", "auth/password", token, **body)
        self.hold(answer, self.model.change_password, token, current, new)

    @rule(email=EMAILS, read=st.booleans())
    def forget(self, email, read):
        assert self.ask("POST", "auth/forgot", email=email).status_code == 200
        self.model.wishes.append((mail_service.RESET, email))
        if read:
            self.drain_the_outbox()

    @rule()
    def drain_the_outbox(self):
        self.clock.shift(1)
        sent = len(self.mailbox.mails)
        with self.app.app_context():
            self.outbox._drain()
        mails = self.mailbox.mails[sent:]
        expected = [wish for wish in self.model.wishes if self.model.with_email(wish[1])]
        subjects = [(mail_service.SUBJECTS[kind], email) for kind, email in expected]
        assert Counter((mail["Subject"], mail["To"]) for mail in mails) == Counter(subjects)
        self.model.wishes = []
        assert Mail.objects.first() is None
        assert {movie.added_by for movie in Movie.objects} <= self.model.accounts.keys()
        for mail in mails:
            if mail["Subject"] == mail_service.SUBJECTS[mail_service.RESET]:
                account, exp = self.model.with_email(mail["To"]), int(now()) + RESET_SECONDS
                said = {"sub": account.id, "pwv": account.version, "exp": exp}
                self.see(token_in(mail), scope=PWD_RESET, **said)

    @precondition(lambda service: PWD_RESET in [token.scope for token in service.seen])
    @rule(token=RESET_TOKEN, password=NEW_PASSWORDS)
    def reset(self, token, password):
        body = {"reset_token": token.text, "password": password}
        self.hold(self.ask("POST", "auth/reset", **body), self.model.reset, token, password)

    @while_someone_is_in
    @rule(token=ACCESS_TOKEN, user_id=users, role=st.sampled_from(ROLES))
    def give_role(self, token, user_id, role):
        answer = self.ask("PATCH", f"users/{user_id}", token, role=role)
        self.hold(answer, self.model.give_role, token, user_id, role)

    @while_someone_is_in
    @rule(token=ACCESS_TOKEN, user_id=users, password=st.none() | PASSWORDS)
    def delete(self, token, user_id, password):
        password = password and self.typed(self.email_of(token), password)
        body = {"current_password": password} if password else {}
        answer = self.ask("DELETE", f"users/{user_id}", token, **body)
        self.hold(answer, self.model.delete, token, user_id, password)

    @while_someone_is_in
    @rule(target=users, token=ACCESS_TOKEN, email=EMAILS, role=st.sampled_from(ROLES))
    def create_user(self, token, email, role):
        answer = self.ask("POST", "users", token, email=email, password=FIRST, role=role)
        self.hold(answer, self.model.create, token, email, FIRST)
        if answer.status_code == 200:
            return self.join(answer.json["id"], email, FIRST, role)
        return multiple()

    @while_someone_is_in
    @rule(token=ACCESS_TOKEN, name=NAMES)
    def add_movie(self, token, name):
        answer = self.ask("POST", "movies", token, name=name, casts=["A"], genres=["B"])
        if account := self.hold(answer, self.model.add_movie, token, name):
            self.model.movies[answer.json["id"]] = (name, account.id)
            self.movies.append(answer.json["id"])

    @while_someone_is_in
    @rule(token=ACCESS_TOKEN, movie_id=MOVIES, name=NAMES)
    def change_movie(self, token, movie_id, name):
        answer = self.ask("PUT", f"movies/{movie_id}", token, name=name)
        self.hold(answer, self.model.change_movie, token, movie_id, name)

    @while_someone_is_in
    @rule(token=ACCESS_TOKEN, movie_id=MOVIES)
    def delete_movie(self, token, movie_id):
        answer = self.ask("DELETE", f"movies/{movie_id}", token)
        self.hold(answer, self.model.delete_movie, token, movie_id)

    @rule(seconds=st.sampled_from([1, 5, GRACE, 60, RESET_SECONDS, ACCESS_SECONDS]))
    def wait(self, seconds):
        self.clock.shift(seconds)

    @rule(token=ACCESS_TOKEN | REFRESH_TOKEN | RESET_TOKEN, before=st.sampled_from([0, 1]))
    def wait_for_the_end_of(self, token, before):
        self.clock.move_to(max(now(), token.exp - before))

    @invariant()
    def what_is_stored_is_what_the_model_knows(self):
        assert {str(user["_id"]): facts_of(user) for user in User.objects.as_pymongo()} == {
            each.id: (
                *(each.email, each.role, each.version),
                {
                    sid: (session.generation, session.created_at, session.last_used_at)
                    for sid, session in each.sessions.items()
                },
            )
            for each in self.model.accounts.values()
        }
        movies = {str(movie.id): (movie.name, movie.added_by) for movie in Movie.objects}
        assert movies == self.model.movies
        wishes = Counter((wish.kind, wish.email) for wish in Mail.objects(kind__ne=outbox.FORGET))
        assert wishes == Counter(self.model.wishes)

    @invariant()
    def nobody_has_too_many_sessions_and_somebody_looks_after_the_users(self):
        accounts = self.model.accounts.values()
        assert all(len(each.sessions) <= session_service.MAX_SESSIONS for each in accounts)
        assert not accounts or ADMIN in [each.role for each in accounts]


def facts_of(user):
    sessions = {
        sid: (session["generation"], session["created_at"], session["last_used_at"])
        for sid, session in user["sessions"].items()
    }
    return user["email"], user["role"], user["password_version"], sessions


@pytest.fixture
def settings(settings):
    """Let sessions end soon after their first refresh could have been too late."""
    return settings | {"JWT_SESSION_MAX_AGE": SESSION_SECONDS}


def test_the_service_does_what_the_model_says(app, clock, still_outbox, mailbox, monkeypatch):
    monkeypatch.setattr(session_service, "MAX_SESSIONS", 3)  # so that a few logins get there
    budget = hypothesis_settings(
        max_examples=hypothesis_settings().max_examples * 3 // 5, stateful_step_count=50
    )
    run_state_machine_as_test(lambda: Service(app, clock, still_outbox, mailbox), settings=budget)
