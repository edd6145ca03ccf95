"""Any requests in any order: responses and stored documents are those of the reference model."""

from collections import Counter
from time import time as now

import pyotp
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

from config import LIMITS
from database.documents import DOCUMENTS
from database.emails import ReservedEmail
from database.models import ADMIN, ROLES, USER, Job, Movie, User
from database.passkeys import Passkey
from schemas.base import iso
from services import (
    auth_service,
    email_change_service,
    factor_service,
    passkey_service,
    session_service,
)
from services.errors import ApiError
from services.link_service import LINKS
from services.mail_kinds import CONFIRM_EMAIL, RESET_PASSWORD
from services.mail_queue import SEND_EMAIL
from services.token_service import ACCESS, CHANGE, CONFIRM, MFA, PWD_RESET, REFRESH, UNDO
from tests.support import authenticator
from tests.support.client import NEW_PASSWORD
from tests.support.reference_model import (
    ACCESS_SECONDS,
    CODE,
    GRACE_SECONDS,
    LOGIN_SECONDS,
    LOST_SECONDS,
    MFA_LIMITS,
    PASSKEY,
    PASSWORD,
    PENDING_SECONDS,
    RECENT_SECONDS,
    REFRESH_SECONDS,
    REMEMBERED_GENERATIONS,
    RESET_SECONDS,
    SESSION_SECONDS,
    STEP_SECONDS,
    TAKE_SECONDS,
    UNDO_SECONDS,
    WEAK_PASSWORD,
    Account,
    Change,
    Code,
    Mail,
    Model,
    PendingTotp,
    Token,
)
from tests.support.reference_model import Passkey as ModelledPasskey
from tests.support.smtp_server import text_of, token_in
from tests.support.tokens import decode_parts

START = 2_000_000_000
FIRST_PASSWORD = "correct horse battery"
EMAILS = st.sampled_from(["root@example.com", "ada@example.com", "2012-05-05@example.com"])
NEW_EMAILS = EMAILS | st.sampled_from(["new@example.com", "newer@example.com"])
# Most often one that a user has, or a user with a second factor.
USED_EMAILS = EMAILS | st.runner().flatmap(lambda service: emails_of(service))
TOTP_EMAILS = st.runner().flatmap(lambda service: emails_of(service, has_totp=True))
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
    [
        *(1, 5, GRACE_SECONDS, STEP_SECONDS, TAKE_SECONDS, LOGIN_SECONDS, RESET_SECONDS),
        *(RESET_SECONDS - 1, ACCESS_SECONDS, UNDO_SECONDS),
    ]
)
# Steps from now of the code that an authenticator app shows, or after the last one that was used.
NEXT, LAST = "next", "last"
STEPS = st.sampled_from([NEXT, NEXT, NEXT, NEXT, LAST, LAST, 0, 1, -1, 2, -2])
# A code, a recovery code, or one that was used or replaced.
BY_APP, BY_RECOVERY, BY_USED = "app", "recovery code", "used recovery code"
MEANS = st.sampled_from([BY_APP, BY_APP, BY_RECOVERY, BY_USED])
NO_CODE = "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa"
# Seconds before something is too old; None: it does not wait.
LATE = st.sampled_from([None, None, None, 1, 0])
USER_AGENTS = st.sampled_from(["Firefox", "Firefox", "Chrome"])


def emails_of(service, has_totp=False):
    """Choose the email of a user, with a second factor if one has it."""
    accounts = service.model.accounts.values()
    with_totp = [account.email for account in accounts if account.totp]
    every = [account.email for account in accounts]
    return st.sampled_from((has_totp and with_totp) or every or ["root@example.com"])


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
# Every passkey that was ever added.
DEVICES = st.runner().flatmap(lambda service: st.sampled_from(service.devices))
ACCESS_TOKEN, REFRESH_TOKEN, RESET_TOKEN = map(token_of, (ACCESS, REFRESH, PWD_RESET))
CONFIRM_TOKEN, UNDO_TOKEN, LINK_TOKEN = token_of(CONFIRM, CHANGE), token_of(UNDO), token_of(*LINKS)
MFA_TOKEN = token_of(MFA)
# Steps without any valid token would all be refused; a few rules do try revoked tokens.
if_logged_in = precondition(lambda service: valid_tokens(service, ACCESS))
# Rules that the machine of factors leaves out, to try the others more often.
if_everything = precondition(lambda service: service.tries_everything)
if_passkeys = precondition(lambda service: service.devices)


def if_issued(*scopes):
    return precondition(
        lambda service: not {*scopes}.isdisjoint(token.scope for token in service.tokens)
    )


def critical_rule(**arguments):
    """Return a decorator that makes a rule of a request whose user must have logged in recently."""

    def decorate(method):
        def request(self, token, *given, late=None, **named):
            account = self.model.accounts.get(token.sub)
            if late is not None and account and token.sid in account.sessions:
                self.wait_until(account.sessions[token.sid].auth_time + RECENT_SECONDS - late)
            return method(self, token, *given, **named)

        request.__name__, request.__doc__ = method.__name__, method.__doc__
        return if_logged_in(rule(token=ACCESS_TOKEN, late=LATE, **arguments)(request))

    return decorate


class ServiceMachine(RuleBasedStateMachine):
    """The application and the model, side by side."""

    users = Bundle("users")
    tries_everything = True

    def __init__(self, app, clock, stopped_worker, mailbox):
        super().__init__()
        self.app, self.clock, self.worker, self.mailbox = app, clock, stopped_worker, mailbox
        self.client, self.model = app.test_client(), Model()
        self.tokens, self.movies = [], []
        self.devices, self.used_codes = [], []
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
        proved = {"auth_time": session.auth_time}
        for name, scope, expires_at, proof in (
            ("token", ACCESS, now() + ACCESS_SECONDS, proved),
            ("refresh_token", REFRESH, session.last_used_at + REFRESH_SECONDS, {}),
        ):
            said = {**claims, **proof, "exp": int(min(expires_at, ends_at))}
            self.remember(response.json[name], scope=scope, **said)

    def remember(self, text, **expected):
        claims = decode_parts(text)[1]
        assert claims == claims | expected
        self.tokens.append(Token(text, jti=claims["jti"], **expected))

    @initialize(
        target=users, has_moved=st.booleans(), has_factors=st.sampled_from([True, True, False])
    )
    def start(self, has_moved, has_factors):
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
        root, ada = self.tokens[0], self.tokens[-2]
        if has_factors:
            self.add_factors(root)
        if has_moved:
            self.move(ada, "new@example.com")
        self.forgot_password(self.email_of(ada), read=True)
        return multiple(*self.model.accounts)

    def add_account(self, user_id, email, password, role=USER):
        self.model.accounts[user_id] = Account(user_id, email, password, role)
        self.model.queued.append(Mail(CONFIRM_EMAIL, email, user_id))
        return user_id

    @if_everything
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

    @if_everything
    @rule(email=EMAILS)
    def log_in_everywhere(self, email):
        for _ in range(session_service.MAX_SESSIONS):
            self.log_in(email, RIGHT)
            self.clock.shift(1)

    @rule(email=USED_EMAILS, password=PASSWORDS)
    def log_in(self, email, password):
        password = self.typed(email, password)
        response = self.send("POST", "auth/login", email=email, password=password)
        if account := self.compare(response, self.model.log_in, email, password):
            self.remember_login(response, account, PASSWORD)
        elif "mfa_token" in response.json:
            self.remember_begun_login(response, self.model.get_by_email(email))

    def remember_login(self, response, account, amr):
        session_id = decode_parts(response.json["token"])[1]["sid"]
        session = self.model.create_session(account, session_id, amr)
        self.remember_pair(response, account, session_id, session)

    def remember_begun_login(self, response, account):
        has_codes = bool(account.recovery_codes)
        assert response.json["methods"] == ["totp", "recovery_code"][: 1 + has_codes]
        exp, versions = int(now() + LOGIN_SECONDS), {"pwv": account.password_version}
        claims = {"sub": account.id, "exp": exp, "logins": account.logins, **versions}
        self.remember(response.json["mfa_token"], scope=MFA, **claims)

    @if_everything
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
        self.read_factors(token)

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

    def read_factors(self, token):
        response = self.send("GET", "auth/mfa", token)
        if account := self.compare(response, self.model.authenticate, token):
            assert response.json == account.describe_factors()
            passkeys = self.send("GET", "auth/passkeys", token).json
            one_by_one = [self.send("GET", f"auth/passkeys/{it['id']}", token) for it in passkeys]
            assert [response.json for response in one_by_one] == passkeys
            names = {passkey["id"]: passkey["name"] for passkey in passkeys}
            assert names == {key: passkey.name for key, passkey in account.passkeys.items()}

    def list_users(self, token):
        response = self.send("GET", "users", token)
        if accounts := self.compare(response, self.model.list_users, token):
            expected = [(it.email, it.is_verified, it.is_disabled) for it in accounts]
            listed = [(it["email"], it["verified"], it["disabled"]) for it in response.json]
            assert listed == expected

    @if_everything
    @rule(token=token_of(ACCESS, REFRESH))
    def log_out(self, token):
        self.compare(self.send("DELETE", "auth/logout", token), self.model.log_out, token)

    @critical_rule(other=st.none() | ACCESS_TOKEN)
    def revoke_sessions(self, token, other):
        """Revoke the session of another token, or all."""
        session_id = other and (other.sid or "none")
        path = f"auth/sessions/{session_id}" if session_id else "auth/sessions"
        response = self.send("DELETE", path, token)
        self.compare(response, self.model.revoke_sessions, token, session_id)

    @critical_rule(current=PASSWORDS, new=NEW_PASSWORDS)
    def change_password(self, token, current, new):
        current = self.typed(self.email_of(token), current)
        body = {"current_password": current, "password": new}
        response = self.send("PUT", "auth/password", token, **body)
        if session := self.compare(response, self.model.change_password, token, current, new):
            self.remember_pair(response, self.model.accounts[token.sub], token.sid, session)

    @rule(email=USED_EMAILS, read=st.booleans())
    def forgot_password(self, email, read):
        assert self.send("POST", "auth/forgot", email=email).status_code == 200
        self.model.queued.append(Mail(RESET_PASSWORD, email))
        if read:
            self.run_due_jobs()

    @if_everything
    @rule(email=NEW_EMAILS)
    def resend_confirmation(self, email):
        assert self.send("POST", "auth/email/resend", email=email).status_code == 200
        self.model.queued.append(Mail(CONFIRM_EMAIL, email))

    @critical_rule(email=NEW_EMAILS, current=st.none() | PASSWORDS, read=st.booleans())
    def change_email(self, token, email, current, read):
        current = current and self.typed(self.email_of(token), current)
        body = {"current_password": current} if current else {}
        response = self.send("PUT", "auth/email", token, email=email, **body)
        if account := self.compare(response, self.model.change_email, token, email, current):
            change = User.objects.get(id=account.id).pending_change
            account.pending = Change(change["id"], email)
        if read:
            self.run_due_jobs()

    @if_issued(CONFIRM, CHANGE)
    @rule(token=CONFIRM_TOKEN, read=st.booleans())
    def confirm_email(self, token, read):
        response = self.send("POST", "auth/email/confirm", confirm_token=token.text)
        if account := self.compare(response, self.model.confirm_email, token):
            assert response.json["email"] == account.email
        if read:
            self.run_due_jobs()

    @if_logged_in
    @rule(token=ACCESS_TOKEN, email=NEW_EMAILS, adds=st.booleans(), undoes=st.booleans())
    def move(self, token, email, adds=False, undoes=False):
        """Change the email, and use every link that is mailed meanwhile.

        Then add factors, and undo the change.
        """
        before = len(self.tokens)
        self.change_email(token, email, RIGHT, read=True)
        links = [link for link in self.tokens[before:] if link.scope in (CONFIRM, CHANGE)]
        for link in sorted(links, key=lambda link: [CONFIRM, CHANGE].index(link.scope)):
            self.confirm_email(link, read=True)
        if adds:
            self.add_factors(token)
        for link in self.tokens[before:] if undoes else ():
            if link.scope == UNDO:
                self.undo_change(link, read=True)

    def add_factors(self, token):
        self.add_totp(token)
        self.add_passkey(token, counts=True, again=False)

    @if_issued(CONFIRM, CHANGE)
    @if_everything
    @rule(token=CONFIRM_TOKEN)
    def reject_email(self, token):
        response = self.send("POST", "auth/email/reject", confirm_token=token.text)
        self.compare(response, self.model.reject_email, token)

    @if_issued(UNDO)
    @rule(token=UNDO_TOKEN, read=st.booleans())
    def undo_change(self, token, read):
        response = self.send("POST", "auth/email/undo", undo_token=token.text)
        if account := self.compare(response, self.model.undo_change, token):
            assert response.json["email"] == account.email
        if read:
            self.run_due_jobs()

    @if_everything
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

    @if_issued(PWD_RESET)
    @rule(token=RESET_TOKEN, password=NEW_PASSWORDS)
    def reset_password(self, token, password):
        response = self.send("POST", "auth/reset", reset_token=token.text, password=password)
        if account := self.compare(response, self.model.reset_password, token, password):
            assert response.json["factors"] == account.describe_factors()

    @critical_rule(user_id=users, role=st.sampled_from(ROLES))
    def set_role(self, token, user_id, role):
        response = self.send("PATCH", f"users/{user_id}", token, role=role)
        self.compare(response, self.model.set_role, token, user_id, role)

    @critical_rule(user_id=users, is_disabled=st.booleans())
    def set_disabled(self, token, user_id, is_disabled):
        response = self.send("PATCH", f"users/{user_id}", token, disabled=is_disabled)
        self.compare(response, self.model.set_disabled, token, user_id, is_disabled)

    @if_everything
    @if_logged_in
    @rule(token=ACCESS_TOKEN, user_id=users)
    def mail_reset_link(self, token, user_id):
        response = self.send("POST", f"users/{user_id}/reset", token)
        self.compare(response, self.model.mail_reset_link, token, user_id)

    @if_everything
    @critical_rule(user_id=users, password=st.none() | PASSWORDS)
    def delete_user(self, token, user_id, password):
        password = password and self.typed(self.email_of(token), password)
        body = {"current_password": password} if password else {}
        response = self.send("DELETE", f"users/{user_id}", token, **body)
        self.compare(response, self.model.delete_user, token, user_id, password)

    @if_everything
    @critical_rule(target=users, email=NEW_EMAILS, role=st.sampled_from(ROLES))
    def create_user(self, token, email, role):
        body = {"email": email, "password": FIRST_PASSWORD, "role": role}
        response = self.send("POST", "users", token, **body)
        self.compare(response, self.model.create_user, token, email, FIRST_PASSWORD, role)
        if response.status_code == 200:
            return self.add_account(response.json["id"], email, FIRST_PASSWORD, role)
        return multiple()

    @if_logged_in
    @if_everything
    @rule(token=ACCESS_TOKEN, name=NAMES)
    def add_movie(self, token, name):
        response = self.send("POST", "movies", token, name=name, casts=["A"], genres=["B"])
        if account := self.compare(response, self.model.add_movie, token, name):
            self.model.movies[response.json["id"]] = (name, account.id)
            self.movies.append(response.json["id"])

    @if_logged_in
    @if_everything
    @rule(token=ACCESS_TOKEN, movie_id=MOVIES, name=NAMES)
    def update_movie(self, token, movie_id, name):
        response = self.send("PUT", f"movies/{movie_id}", token, name=name)
        self.compare(response, self.model.update_movie, token, movie_id, name)

    @if_logged_in
    @if_everything
    @rule(token=ACCESS_TOKEN, movie_id=MOVIES)
    def delete_movie(self, token, movie_id):
        response = self.send("DELETE", f"movies/{movie_id}", token)
        self.compare(response, self.model.delete_movie, token, movie_id)

    def wait_until(self, time):
        self.clock.move_to(max(now(), time))

    def code_of(self, account, steps):
        """Return the code of the factor that is on, of the one that is being added, or of none."""
        factor = account and (account.totp or account.pending_totp)
        secret = factor.secret if factor else pyotp.random_base32()
        step = int(now()) // STEP_SECONDS
        last = getattr(factor, "step", step - 1)
        by_name = {NEXT: max(step, last + 1), LAST: last}
        return Code(secret, by_name[steps] if steps in by_name else step + steps)

    def start_totp(self, token):
        response = self.send("POST", "auth/mfa/totp", token)
        if account := self.compare(response, self.model.start_totp, token):
            account.pending_totp = PendingTotp(response.json["secret"], token.sid, now())

    @critical_rule(start=st.booleans(), waits=LATE, steps=STEPS, other=st.none() | ACCESS_TOKEN)
    def add_totp(self, token, start=True, waits=None, steps=NEXT, other=None):
        """Add a second factor; another session may try to confirm it, perhaps late."""
        if start:
            self.start_totp(token)
        if waits is not None:
            self.wait_until(now() + PENDING_SECONDS - waits)
        confirming = other or token
        code = self.code_of(self.model.accounts.get(confirming.sub), steps)
        response = self.send("POST", "auth/mfa/totp/confirm", confirming, code=text_of_code(code))
        if account := self.compare(response, self.model.confirm_totp, confirming, code):
            self.remember_recovery_codes(response, account)

    def remember_recovery_codes(self, response, account):
        self.used_codes += account.recovery_codes
        account.recovery_codes = response.json["recovery_codes"]
        assert len({*account.recovery_codes}) == 10

    @critical_rule(remove=st.booleans())
    def change_totp(self, token, remove):
        """Remove the second factor, or renew its recovery codes."""
        if remove:
            self.compare(self.send("DELETE", "auth/mfa/totp", token), self.model.remove_totp, token)
            return
        response = self.send("POST", "auth/mfa/recovery-codes", token)
        if account := self.compare(response, self.model.renew_recovery_codes, token):
            self.remember_recovery_codes(response, account)

    @rule(email=USED_EMAILS)
    def reset_factors(self, email):
        """Remove every factor, as an operator does."""
        if account := self.model.get_by_email(email):
            with self.app.app_context():
                factor_service.reset(User.get_by_email(email))
            self.model.reset_factors(account)

    @rule(email=TOTP_EMAILS, means=MEANS, steps=STEPS, again=st.booleans())
    def log_in_with_both(self, email, means, steps, again):
        """Log in by password and code, perhaps once more with the same code."""
        self.log_in(email, RIGHT)
        if self.tokens[-1].scope == MFA:
            self.log_in_by_code(self.tokens[-1], means, steps, times=1, late=None)
        if again:
            used = BY_APP if means == BY_APP else BY_USED
            self.log_in_with_both(email, used, LAST, again=False)

    @if_issued(MFA)
    @rule(token=MFA_TOKEN, means=MEANS, steps=STEPS, times=st.sampled_from([1, 2, 4]), late=LATE)
    def log_in_by_code(self, token, means, steps, times, late):
        if late is not None:
            self.wait_until(token.exp - late)
        for _ in range(times):
            self.send_code(token, means, steps)

    def send_code(self, token, means, steps):
        account = self.model.accounts.get(token.sub)
        code = self.code_of(account, steps) if means == BY_APP else None
        codes = account.recovery_codes if account and means == BY_RECOVERY else self.used_codes
        recovery_code = codes[-1] if codes else NO_CODE
        body = {"code": text_of_code(code)} if code else {"recovery_code": recovery_code}
        response = self.send("POST", "auth/login/mfa", mfa_token=token.text, **body)
        arguments = token, code, recovery_code
        if account := self.compare(response, self.model.log_in_by_code, *arguments):
            self.used_codes += [] if code else [recovery_code]
            self.remember_login(response, account, CODE)

    @if_logged_in
    @rule(token=ACCESS_TOKEN, password=st.none() | PASSWORDS, steps=STEPS)
    def reauthenticate(self, token, password, steps):
        """Reauthenticate by password, or without one by code."""
        account = self.model.accounts.get(token.sub)
        code = None if password else self.code_of(account, steps)
        password = password and self.typed(self.email_of(token), password)
        body = {"current_password": password} if password else {"code": text_of_code(code)}
        response = self.send("POST", "auth/reauthenticate", token, **body)
        if session := self.compare(response, self.model.reauthenticate, token, password, code):
            self.remember_pair(response, account, token.sid, session)

    @critical_rule(counts=st.booleans(), again=st.booleans())
    def add_passkey(self, token, counts, again):
        response = self.send("POST", "auth/passkeys/options", token)
        if not self.compare(response, self.model.start_passkey, token):
            return
        handle = authenticator.to_bytes(response.json["user"]["id"])
        device = authenticator.new_passkey(handle, sign_count=int(counts))
        credential = authenticator.registration(device, response.json)
        self.send_passkey(token, device, credential, is_challenge_spent=False)
        if again:
            self.send_passkey(token, device, credential, is_challenge_spent=True)

    def send_passkey(self, token, device, credential, is_challenge_spent):
        response = self.send("POST", "auth/passkeys", token, credential=credential)
        arguments = token, is_challenge_spent
        if account := self.compare(response, self.model.add_passkey, *arguments):
            passkey = ModelledPasskey(account.password_version, device.sign_count, "Passkey")
            account.passkeys[response.json["id"]] = passkey
            self.devices.append((response.json["id"], device))

    def sign(self, device, is_copy):
        """Return the credential of a device, or of a copy that was not used meanwhile."""
        options = self.send("POST", "auth/login/passkey/options").json
        sign_count = device.sign_count if is_copy else None
        return authenticator.assertion(device, options, sign_count=sign_count)

    @if_passkeys
    @rule(device=DEVICES, is_copy=st.booleans(), again=st.booleans())
    def log_in_by_passkey(self, device, is_copy, again):
        passkey_id, device = device
        credential = self.sign(device, is_copy)
        self.send_signed(passkey_id, credential, device.sign_count)
        if again:  # the challenge is spent: it is refused as a sign count that falls back
            self.send_signed(passkey_id, credential, -1)

    def send_signed(self, passkey_id, credential, sign_count):
        response = self.send("POST", "auth/login/passkey", credential=credential)
        if account := self.compare(response, self.model.log_in_by_passkey, passkey_id, sign_count):
            self.remember_login(response, account, PASSKEY)

    @if_passkeys
    @rule(token=ACCESS_TOKEN, device=DEVICES, is_copy=st.booleans())
    def reauthenticate_by_passkey(self, token, device, is_copy):
        passkey_id, device = device
        credential = self.sign(device, is_copy)
        response = self.send("POST", "auth/reauthenticate", token, credential=credential)
        arguments = token, None, None, (passkey_id, device.sign_count)
        if session := self.compare(response, self.model.reauthenticate, *arguments):
            self.remember_pair(response, self.model.accounts[token.sub], token.sid, session)

    @if_passkeys
    @critical_rule(device=DEVICES, name=st.none() | NAMES)
    def change_passkey(self, token, device, name):
        """Rename a passkey, or without a name remove it."""
        passkey_id, path = device[0], f"auth/passkeys/{device[0]}"
        if name:
            response = self.send("PATCH", path, token, name=name)
            self.compare(response, self.model.rename_passkey, token, passkey_id, name)
        else:
            response = self.send("DELETE", path, token)
            self.compare(response, self.model.remove_passkey, token, passkey_id)

    @rule(seconds=SECONDS)
    def wait(self, seconds):
        self.clock.shift(seconds)

    @if_everything
    @rule(
        token=ACCESS_TOKEN | REFRESH_TOKEN | LINK_TOKEN | MFA_TOKEN, before=st.sampled_from([0, 1])
    )
    def wait_for_expiry(self, token, before):
        self.wait_until(token.exp - before)

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
    def stored_passkeys_are_those_of_the_model(self):
        stored = {
            str(it.id): (it.user_id, it.name, it.version, it.sign_count, it.last_used_at)
            for it in Passkey.objects
        }
        assert stored == {
            key: (account.id, it.name, it.version, it.sign_count, it.last_used_at)
            for account in self.model.accounts.values()
            for key, it in account.passkeys.items()
        }

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
        assert not accounts or ADMIN in [it.role for it in accounts if not it.is_disabled]


class FactorMachine(ServiceMachine):
    """The same without requests that have nothing to do with factors, and without long waits."""

    tries_everything = False

    @rule(
        seconds=st.sampled_from(
            [
                *(1, STEP_SECONDS, STEP_SECONDS, 60, LOGIN_SECONDS),
                RECENT_SECONDS - 1,
                RECENT_SECONDS,
            ]
        )
    )
    def wait(self, seconds):
        self.clock.shift(seconds)


def text_of_code(code):
    """Return the six digits that an authenticator app shows."""
    return pyotp.TOTP(code.secret).generate_otp(code.step)


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
            *(session["auth_time"], session["amr"]),
        )
        for session_id, session in user["sessions"].items()
    }
    former = {
        change_id: (change["email"], change["at"], change["version"])
        for change_id, change in user["former_emails"].items()
    }
    versions = user["password_version"], user["email_version"], user["logins"]
    is_verified = user.get("verified_at") is not None
    pending = user.get("pending_change") or None
    confirmed_by = user.get("confirmed_token")
    emails = user["email"], is_verified, confirmed_by, pending, former
    states = user["role"], user.get("disabled_at") is not None
    return emails, states, versions, sessions, stored_factors(user.get("factors", {}))


def modelled_account(account):
    sessions = {
        session_id: (
            *(session.generation, session.created_at, session.last_used_at),
            *({f"g{it}" for it in session.refreshed}, session.without_grace),
            *(session.auth_time, session.amr),
        )
        for session_id, session in account.sessions.items()
    }
    former = {
        change.id: (change.email, change.at, change.version) for change in account.former.values()
    }
    versions = account.password_version, account.email_version, account.logins
    pending = account.pending and {"id": account.pending.id, "email": account.pending.email}
    emails = account.email, account.is_verified, account.confirmed_by, pending, former
    states = account.role, account.is_disabled
    return emails, states, versions, sessions, modelled_factors(account)


def stored_factors(factors):
    totp = factors.get("totp") or None
    pending = factors.get("pending_totp")
    tries = {
        key: (window["until"], window["count"]) for key, window in factors.get("tries", {}).items()
    }
    return (
        totp and (totp["step"], totp["version"]),
        pending and (pending["session_id"], pending["created_at"]),
        factors.get("recovery_codes", {}),
        tries,
    )


def modelled_factors(account):
    totp, pending = account.totp, account.pending_totp
    return (
        totp and (totp.step, totp.version),
        pending and (pending.session_id, pending.created_at),
        dict.fromkeys(account.recovery_digests(), account.codes_version),
        {f"{MFA_LIMITS[seconds]}_{seconds}": tries for seconds, tries in account.tries.items()},
    )


@pytest.fixture
def settings(settings):
    """Let sessions end soon after their first refresh could be too late; signups mail a link.

    Only wrong codes reach their limits.
    """
    changed = {"JWT_SESSION_MAX_AGE": SESSION_SECONDS, "EMAIL_VERIFICATION": "optional"}
    limits = {"RATELIMIT_ENABLED": True, **dict.fromkeys(LIMITS, "1000000 per second")}
    wrong_codes = "; ".join(
        f"{count} per {seconds} seconds" for seconds, count in MFA_LIMITS.items()
    )
    return settings | changed | limits | {"RATELIMIT_MFA_PER_USER": wrong_codes}


class TestService:
    @pytest.mark.slow
    @pytest.mark.parametrize("machine", [ServiceMachine, FactorMachine])
    def test_service_does_what_the_model_does(
        self, app, clock, stopped_worker, mailbox, monkeypatch, machine
    ):
        monkeypatch.setattr(session_service, "MAX_SESSIONS", 3)  # a few logins reach it
        monkeypatch.setattr(passkey_service, "MAX_PASSKEYS", 2)
        budget = hypothesis_settings(
            max_examples=hypothesis_settings().max_examples * 2 // 5, stateful_step_count=50
        )
        run_state_machine_as_test(
            lambda: machine(app, clock, stopped_worker, mailbox), settings=budget
        )
