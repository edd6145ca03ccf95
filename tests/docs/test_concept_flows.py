"""docs/concepts: the sequence diagrams and the table of revoked sessions, done over HTTP."""

import re
import time

import pyotp
import pytest

from config import VERIFICATION
from database.db import ensure_indexes
from database.emails import ReservedEmail
from database.models import ADMIN, Job, User
from database.passkeys import Challenge, Passkey
from jobs import lanes
from jobs.queue import SEND_DELAY
from resources.routes import API_ROUTES
from services.errors import ReauthenticationRequiredError
from services.link_service import LINKS, encode_link
from services.session_service import BY_CODE, BY_PASSKEY, BY_PASSWORD, MAX_SESSIONS
from services.token_service import CHANGE, CONFIRM, UNDO
from setting_values import LINK_PAGES
from tests.support.client import ADA, NEW_PASSWORD
from tests.support.database_commands import recorded_commands
from tests.support.email_client import verify_all
from tests.support.markdown import code, sections, table
from tests.support.passkeys import add_passkey, log_in
from tests.support.processes import HOME
from tests.support.smtp_server import token_in
from tests.support.tokens import decode_parts, reset_token
from tests.support.users import create_session, create_user

CONCEPTS = HOME / "docs" / "concepts"
RESET_FLOW, CHANGE_FLOW, FACTOR, PASSKEYS, ADDRESSES, SESSIONS = (
    sections(CONCEPTS / f"{name}.md")
    for name in (
        *("reset-flow", "address-change", "second-factor", "passkeys"),
        *("email-addresses", "sessions"),
    )
)
STOPS, DATABASE = "What happens if it stops there", "Through the database"
FACTOR_FLOW = {"": FACTOR[DATABASE], STOPS: FACTOR[DATABASE]}
FLOWS = {"reset": RESET_FLOW, "change": CHANGE_FLOW, "factor": FACTOR_FLOW}
# What the pages say that they leave out: security events, and the kinds of foreign hashes.
LEFT_OUT = {"stored_event", "hash_kind"}
MESSAGE = re.compile(r"^ *(\w)-?->>(\w): (.+)$", re.M)


def turn_on(api, token):
    """Add a second factor and return its secret."""
    secret = api.post("/api/auth/mfa/totp", token=token).json()["secret"]
    code = {"code": pyotp.TOTP(secret).now()}
    assert api.post("/api/auth/mfa/totp/confirm", token=token, json=code).status_code == 200
    return secret


def commands_of(flow):
    """Return the command of each step of a flow."""
    rows = table(flow[STOPS], "step")
    return tuple(command.strip("`") for _, command, *_ in rows if command)


@pytest.fixture
def commands(database):
    with recorded_commands(LEFT_OUT) as recorder:
        yield recorder


@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS.keys())
def test_each_step_of_a_diagram_has_its_row(flow):
    steps = MESSAGE.findall(flow[""].blocks[0].source)
    numbers = [row[0] for row in table(flow[STOPS], "step")]
    assert numbers == [*map(str, range(1, len(steps) + 1)), f"after {len(steps)}"]
    smtp = [receiver == "S" for _, receiver, _ in steps]
    assert [command == "SMTP" for command in commands_of(flow)] == smtp


class TestResetFlow:
    def test_commands_are_those_of_the_product(
        self, commands, app, api, ada, stopped_worker, mailbox, clock, monkeypatch
    ):
        monkeypatch.setattr(lanes, "TURN_SECONDS", 1_000.0)  # a machine may be slow
        commands.names.clear()
        api.forgot()
        clock.shift(SEND_DELAY)
        with app.app_context():
            stopped_worker.run_due_jobs()
        del commands.names[commands.names.index("delete") + 1 :]  # no other job is due
        token = token_in(mailbox.mails[0])
        assert api.get(f"/reset/{token}").status_code == 200
        assert api.reset(token).status_code == 200
        expected = commands_of(RESET_FLOW)
        assert tuple(commands.names) == tuple(it for it in expected if it != "SMTP")


class TestChangeFlow:
    @pytest.fixture
    def work(self, app, stopped_worker, clock, commands, mailbox):
        """Return a function that sends the mails, unrecorded, and returns the last one's token."""

        def work():
            recorded = list(commands.names)
            clock.shift(SEND_DELAY)
            with app.app_context():
                stopped_worker.run_due_jobs()
            commands.names[:] = recorded
            return token_in(mailbox.mails[-1])

        return work

    def test_commands_are_those_of_the_product(self, commands, api, ada, work):
        User.objects.update(set__verified_at=1.0)
        ensure_indexes(ReservedEmail)  # once per process
        commands.names.clear()
        change = {"email": "ada@new.example", "current_password": ADA["password"]}
        assert api.put("/api/auth/email", token=ada["token"], json=change).ok
        assert api.post("/api/auth/email/confirm", token=work()).ok
        assert api.post("/api/auth/email/undo", token=work()).ok
        assert tuple(commands.names) == commands_of(CHANGE_FLOW)


class TestFactorFlow:
    def test_commands_are_those_of_the_product(self, commands, api, verified):
        commands.names.clear()
        totp = pyotp.TOTP(turn_on(api, verified["token"]))
        mfa_token = api.log_in().json()["mfa_token"]
        body = {"mfa_token": mfa_token, "code": totp.at(time.time() + totp.interval)}
        assert api.post("/api/auth/login/mfa", json=body).status_code == 200
        assert tuple(commands.names) == commands_of(FACTOR_FLOW)

    def test_table_has_every_request_that_needs_a_recent_session(self):
        rows = table(FACTOR["Recent sessions"], "request")
        needing = {
            f"{method} {path}"
            for path, resource in API_ROUTES.items()
            for method in resource.methods
            if ReauthenticationRequiredError in getattr(resource, method.lower()).operation.errors
        }
        assert {code(request)[0] for request, _ in rows} == needing

    def test_table_has_every_amr(self):
        rows = table(FACTOR["Recent sessions"], "by")
        written = [tuple(code(values)) for _, values, _ in rows]
        assert written == [BY_PASSWORD, BY_CODE, BY_PASSKEY]


class TestCeremonies:
    ADD, LOG_IN = "Add a passkey", "Log in by passkey"

    @pytest.fixture
    def rows(self):
        """Return the commands of each ceremony, of its rows in the table."""
        rows, ceremony = {}, ""
        for name, command, *_ in table(PASSKEYS[STOPS], "ceremony"):
            ceremony = name or ceremony
            rows.setdefault(ceremony, []).extend(code(command))
        return rows

    @pytest.mark.parametrize(("heading", "name"), [(ADD, "add"), (LOG_IN, "log in")])
    def test_each_command_of_a_diagram_has_its_row(self, rows, heading, name):
        (diagram,) = PASSKEYS[heading].blocks
        receivers = [receiver for _, receiver, _ in MESSAGE.findall(diagram.source)]
        assert receivers.count("D") == len(rows[name])

    def test_commands_are_those_of_the_product(self, commands, api, verified, rows):
        for document in (Passkey, Challenge):
            ensure_indexes(document)  # once per process
        commands.names.clear()
        passkey = add_passkey(api, verified["token"])
        added = list(commands.names)
        commands.names.clear()
        assert log_in(api, passkey).status_code == 200
        assert rows == {"add": added, "log in": commands.names}


class TestAddresses:
    def test_table_has_every_link(self):
        rows = table(ADDRESSES["The links"], "scope")
        written = {
            code(scope)[0]: (code(page)[0], code(claim)[0], code(setting)[0])
            for scope, page, claim, setting, _ in rows
        }
        pages = {name: f"/{page}/<token>" for name, page in LINK_PAGES.items()}
        assert written == {
            scope: (pages[link.url_setting], link.version_claim, link.lifetime_setting)
            for scope, link in LINKS.items()
        }

    @pytest.mark.parametrize("row", table(ADDRESSES["EMAIL_VERIFICATION"], "setting"))
    def test_setting_does_what_its_row_says(self, make_app, http, row):
        setting, mails, tells, login, _ = row
        http.app = make_app(EMAIL_VERIFICATION=code(setting)[0], RATELIMIT_ENABLED=False)
        assert ("id" in http.sign_up().json()) == (tells == "yes")
        assert Job.objects.count() == {"nothing": 0, "a link": 1}[mails]
        assert http.log_in().ok == (login == "yes")

    def test_table_has_every_setting(self):
        rows = table(ADDRESSES["EMAIL_VERIFICATION"], "setting")
        assert [code(setting)[0] for setting, *_ in rows] == [*VERIFICATION]


class Actor:
    """A client of a sequence diagram: it sends what the diagram says and keeps its response."""

    def __init__(self, api, tokens):
        self.api, self.tokens = api, tokens
        self.response = None

    def send(self, message):
        action, _, generation = message.partition(", gen ")
        assert not generation or decode_parts(self.tokens["token"])[1]["gen"] == int(generation)
        self.response = {
            "log in": self.api.log_in,
            "refresh": lambda: self.api.refresh(self.tokens["refresh_token"]),
            "request": lambda: self.api.verify(self.tokens["token"]),
            "any request": lambda: self.api.verify(self.tokens["token"]),
        }[action]()

    def receive(self):
        """Return what the diagram calls the response."""
        body = self.response.json()
        if "refresh_token" not in body:
            return body.get("error") or str(self.response.status_code)
        is_new = self._session_of(body) != self._session_of(self.tokens)
        self.tokens = body
        generation = decode_parts(body["token"])[1]["gen"]
        return "a new session" if is_new else f"pair of gen {generation}"

    @staticmethod
    def _session_of(tokens):
        return decode_parts(tokens["token"])[1]["sid"]


class TestSequences:
    """Each message of a diagram is sent, and the response is the one that it shows."""

    @pytest.mark.parametrize("heading", ["A stolen refresh token", "Two tabs"])
    def test_responses_are_those_of_the_diagram(self, api, ada, clock, heading):
        (diagram,) = SESSIONS[heading].blocks
        actors = {}
        for line in diagram.source.splitlines():
            if "the grace is over" in line:
                clock.shift(61)
            elif message := MESSAGE.match(line):
                sender, receiver, text = message.groups()
                if receiver == "M":
                    actors.setdefault(sender, Actor(api, ada)).send(text)
                else:
                    assert actors[receiver].receive() == text, line


class Actions:
    """What the rows of the table name, done to one of Ada's two sessions."""

    def __init__(self, app, api, tokens):
        self.app, self.api, self.tokens = app, api, tokens
        self.other = api.log_in().json()
        self.user = User.objects.get(email=ADA["email"])

    def send(self, method, path, **body):
        options = {"json": body} if body else {}
        response = self.api.request(method, path, token=self.tokens["token"], **options)
        assert response.status_code == 200
        return response

    def log_out(self):
        self.send("DELETE", "/api/auth/logout")

    def revoke_other(self):
        session_id = decode_parts(self.other["token"])[1]["sid"]
        self.send("DELETE", f"/api/auth/sessions/{session_id}")

    def revoke_all(self):
        self.send("DELETE", "/api/auth/sessions")

    def change_password(self):
        change = {"current_password": ADA["password"], "password": NEW_PASSWORD}
        self.tokens.update(self.send("PUT", "/api/auth/password", **change).json())

    def reset(self):
        self.api.reset(reset_token(self.app, self.user))

    def use_link(self, scope, path):
        with self.app.app_context():
            token = encode_link(LINKS[scope], self.user).rpartition("/")[2]
        assert self.api.post(path, token=token).status_code == 200

    def reauthenticate(self):
        proof = {"current_password": ADA["password"]}
        self.tokens.update(self.send("POST", "/api/auth/reauthenticate", **proof).json())

    def confirm_totp(self):
        verify_all()
        turn_on(self.api, self.tokens["token"])

    def store_totp(self):
        secret = {"key": "a", "text": "b"}
        self.user.modify(set__factors={"totp": {"secret": secret, "step": 0, "version": 0}})

    def remove_totp(self):
        self.store_totp()
        self.send("DELETE", "/api/auth/mfa/totp")

    def renew_recovery_codes(self):
        self.store_totp()
        self.send("POST", "/api/auth/mfa/recovery-codes")

    def add_passkey(self):
        verify_all()
        add_passkey(self.api, self.tokens["token"])

    def remove_passkey(self):
        self.add_passkey()
        self.send("DELETE", f"/api/auth/passkeys/{Passkey.objects.get().id}")

    def reset_factors(self):
        command = ["user", "reset", ADA["email"], "--factors"]
        assert self.app.test_cli_runner().invoke(args=command).exit_code == 0

    def confirm_signup(self):
        self.use_link(CONFIRM, "/api/auth/email/confirm")

    def confirm_change(self):
        self.use_link(CHANGE, "/api/auth/email/confirm")

    def undo_change(self):
        self.use_link(UNDO, "/api/auth/email/undo")

    def as_admin(self, method, path, **body):
        admin = create_session(self.app, create_user("admin@example.com", role=ADMIN))
        url, options = f"/api/users/{self.user.id}{path}", {"json": body} if body else {}
        assert self.api.request(method, url, token=admin["token"], **options).status_code == 200

    def change_role(self):
        self.as_admin("PATCH", "", role=ADMIN)

    def disable(self):
        self.as_admin("PATCH", "", disabled=True)

    def revoke_as_admin(self):
        self.as_admin("DELETE", "/sessions")

    def change_name(self):
        self.send("PATCH", "/api/users/me", name="Ada")

    def delete_user(self):
        self.send("DELETE", "/api/users/me", current_password=ADA["password"])

    def reuse(self):
        for user_agent in "ab":
            self.api.refresh_as(user_agent, self.tokens["refresh_token"])

    def revoke_at_the_shell(self):
        self.app.test_cli_runner().invoke(args=["sessions", "revoke", ADA["email"]])

    def log_in_above_the_limit(self):
        self.tokens.update(self.api.refresh(self.tokens["refresh_token"]).json())
        for _ in range(MAX_SESSIONS - 1):
            create_session(self.app, self.user)


ACTIONS = {
    "`DELETE /api/auth/logout`": Actions.log_out,
    "`DELETE /api/auth/sessions/<session_id>` of another session": Actions.revoke_other,
    "`DELETE /api/auth/sessions`": Actions.revoke_all,
    "`PUT /api/auth/password`": Actions.change_password,
    "`POST /api/auth/reset`": Actions.reset,
    "`POST /api/auth/reauthenticate`": Actions.reauthenticate,
    "`POST /api/auth/mfa/totp/confirm`": Actions.confirm_totp,
    "`DELETE /api/auth/mfa/totp`": Actions.remove_totp,
    "`POST /api/auth/mfa/recovery-codes`": Actions.renew_recovery_codes,
    "`POST /api/auth/passkeys`": Actions.add_passkey,
    "`DELETE /api/auth/passkeys/<passkey_id>`": Actions.remove_passkey,
    "`POST /api/auth/email/confirm` of a signup": Actions.confirm_signup,
    "`POST /api/auth/email/confirm` of a change": Actions.confirm_change,
    "`POST /api/auth/email/undo`": Actions.undo_change,
    "`PATCH /api/users/<user_id>` with another `role`": Actions.change_role,
    "`PATCH /api/users/<user_id>` with `disabled`": Actions.disable,
    "`DELETE /api/users/<user_id>/sessions`": Actions.revoke_as_admin,
    "`PATCH /api/users/me` with another `name`": Actions.change_name,
    "`DELETE /api/users/me`": Actions.delete_user,
    "reuse of a refresh token": Actions.reuse,
    "`flask --app app sessions revoke EMAIL`": Actions.revoke_at_the_shell,
    "`flask --app app user reset EMAIL --factors`": Actions.reset_factors,
    "a login above the limit": Actions.log_in_above_the_limit,
}

PENDING = {"id": "a" * 24, "email": "ada@new.example"}


class TestWhatEndsWhichSessions:
    ROWS = table(SESSIONS["What ends which sessions"], "request or event")

    @pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
    def test_row_says_what_ends(self, app, api, ada, row):
        name, this_session, other_sessions, links, change = row
        actions = Actions(app, api, ada)
        self.store_changes_of_the_email(actions.user)
        link = reset_token(app, actions.user)
        ACTIONS[name](actions)
        assert self.is_active(api, ada) == this_session.startswith("stays")
        assert self.is_active(api, actions.other) == other_sessions.startswith("stay")
        assert bool(User.objects(pending_change__id=PENDING["id"])) == (change == "stays")
        assert (api.reset(link).status_code == 200) == (links == "stay")

    def test_each_action_has_a_row(self):
        assert [name for name, *_ in self.ROWS] == [*ACTIONS]

    @staticmethod
    def store_changes_of_the_email(user):
        """Store one that waits and one that can be undone."""
        former = {"b" * 24: {"email": "ada@old.example", "at": time.time()}}
        user.modify(set__pending_change=PENDING, set__former_emails=former)

    @staticmethod
    def is_active(api, pair):
        return api.verify(pair["token"]).status_code == 200
