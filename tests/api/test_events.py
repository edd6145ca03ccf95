"""The stored events: what is kept of what happened, and who reads it (contract: "Users")."""

import itertools
import json
import re
import time
from functools import partial

import pytest
from mongoengine.connection import get_db
from pymongo.errors import AutoReconnect

from database import db
from database.due_jobs import find_due
from database.events import StoredEvent
from database.models import ADMIN, Job, User
from infra import audit_log
from services import event_service, expiry_service, mail_queue
from services.event_service import Event
from tests.support.assertions import assert_error, case
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.concurrency import run_simultaneously
from tests.support.email_client import resend
from tests.support.openapi_check import build_document
from tests.support.smtp_server import token_in
from tests.support.tokens import reset_token
from tests.support.users import create_session, create_user

HOUR, DAY = 3600, 86400
IP, OTHER_IP = "203.0.113.7", "198.51.100.9"
UNKNOWN = "unknown@example.com"

# How each event is kept; a new one has to be added here.
TABLE = """
once signup signup_repeated user_invited invitation_accepted user_deleted user_disabled user_enabled
once login reauthenticated new_device logout session_revoked sessions_revoked refresh_token_reused
once reset_link_mailed password_reset password_changed email_confirmed email_change_requested
once email_change_rejected email_changed email_change_undone totp_added totp_removed
once recovery_codes_created recovery_code_used passkey_added passkey_removed factors_reset
once api_key_created api_key_removed
once role_changed_to_admin role_changed_to_user data_exported users_exported users_imported
summed login_failed login_unverified login_disabled second_factor_required code_refused
summed passkey_refused password_refused access_denied
by_worker password_reset_requested confirmation_requested
never refreshed refresh_token_reused_in_grace token_refused rate_limited settings_changed
never mail_sent mail_deferred mail_failed
"""
KEPT = {name: how for how, *names in map(str.split, TABLE.split("\n")[1:-1]) for name in names}


@pytest.fixture
def root(app):
    """Return the access token of an admin."""
    return create_session(app, create_user("root@example.com", ADMIN))["token"]


@pytest.fixture
def record(api):
    """Return a function that records an event of a client IP."""

    def record(event, ip=IP, **details):
        with api.app.test_request_context(environ_base={"REMOTE_ADDR": ip}):
            api.app.preprocess_request()
            event_service.record(event, **details)

    return record


def own_events(api, tokens, **query):
    response = api.get("/api/users/me/events", token=tokens["token"], params=query)
    assert response.status_code == 200, response.text
    return response.json()


def all_events(api, token, **query):
    response = api.get("/api/events", token=token, params=query)
    assert response.status_code == 200, response.text
    return response.json()


def stored(*names):
    """Return name, user, IP and count of the stored events of these names, oldest first."""
    return [
        (it.event, it.user_id, it.ip, it.count)
        for it in StoredEvent.objects.order_by("id")
        if not names or it.event in names
    ]


def pages(api, token, path):
    """Return the events of each page of a list, which the Link headers lead through."""
    found = []
    while path:
        response = api.get(path, token=token)
        found.append(response.json())
        link = response.headers.get("Link", "")
        path = link.partition(">")[0].removeprefix("<https://movie-bag.example")
    return found


class TestMyEvents:
    def test_event_has_this_shape(self, api, ada):
        login, _ = own_events(api, ada)
        user_id = str(User.objects.get().id)
        assert login == {
            **{"id": str(StoredEvent.objects.get(event="login").id), "event": "login"},
            **{"user": user_id, "by": None, "ip": "127.0.0.1", "at": login["at"]},
        }
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", login["at"])

    def test_event_of_several_has_their_count(self, api, ada, mails):
        for _ in range(3):
            api.log_in(password="wrong")
        mails()
        assert own_events(api, ada)[0]["event"] == "login_failed"
        assert own_events(api, ada)[0]["count"] == 3

    def test_newest_come_first_in_pages(self, api, ada):
        for _ in range(3):
            api.log_in()
        first, second, third = pages(api, ada["token"], "/api/users/me/events?limit=2")
        assert [len(first), len(second), len(third)] == [2, 2, 1]
        ids = [event["id"] for event in [*first, *second, *third]]
        assert ids == sorted(ids, reverse=True)
        assert third[0]["event"] == "signup"

    def test_events_of_others_are_not_among_them(self, api, ada, eve):
        ids = {event["user"] for event in own_events(api, ada)}
        assert ids == {str(User.objects.get(email=ADA["email"]).id)}

    def test_ip_of_another_is_left_out(self, api, ada, root):
        ada_id = str(User.objects.get(email=ADA["email"]).id)
        api.post(f"/api/users/{ada_id}/reset", token=root)
        event = own_events(api, ada)[0]
        assert event["event"] == "reset_link_mailed"
        assert event["by"] == str(User.objects.get(role=ADMIN).id)
        assert "ip" not in event
        exported = api.get("/api/users/me/export", token=ada["token"]).json()["events"]
        assert "ip" not in next(it for it in exported if it["event"] == "reset_link_mailed")
        assert all_events(api, root, event="reset_link_mailed")[0]["ip"] == "127.0.0.1"

    def test_lists_are_not_cached(self, api, ada, root):
        for path, token in (("/api/users/me/events", ada["token"]), ("/api/events", root)):
            assert api.get(path, token=token).headers["Cache-Control"] == "no-store"

    def test_token_is_needed(self, api):
        assert_error(api.get("/api/users/me/events"), 401, "MissingTokenError")


class TestAllEvents:
    def test_user_who_is_no_admin_is_refused(self, api, ada):
        assert_error(api.get("/api/events", token=ada["token"]), 403, "ForbiddenError")

    def test_admin_finds_events_by_user_and_name(self, api, ada, eve, root):
        eve_id = str(User.objects.get(email=EVE["email"]).id)
        events = all_events(api, root, user=eve_id)
        assert [(it["event"], it["user"]) for it in events] == [
            ("login", eve_id),
            ("signup", eve_id),
        ]
        assert [it["user"] for it in all_events(api, root, user=eve_id, event="login")] == [eve_id]
        assert len(all_events(api, root, event="signup")) == 2

    def test_pages_keep_the_filters(self, api, ada, root):
        api.log_in()
        ada_id = str(User.objects.get(email=ADA["email"]).id)
        path = f"/api/events?user={ada_id}&event=login&limit=1"
        assert [len(page) for page in pages(api, root, path)] == [1, 1]

    @pytest.mark.parametrize(
        ("name", "value"),
        [("event", "no_event"), ("event", "token_refused"), ("user", "me"), ("after", "x")],
    )
    def test_value_that_names_nothing_is_refused(self, api, root, name, value):
        response = api.get("/api/events", token=root, params={name: value})
        assert [*assert_error(response, 400, "SchemaValidationError")] == [name]

    def test_openapi_document_lists_the_names(self, app):
        schemas = build_document(app)["components"]["schemas"]
        names = {name for name, how in KEPT.items() if how != "never"}
        assert {*schemas["EventName"]["enum"]} == names
        for schema in ("Event", "OwnEvent"):
            reference = {"$ref": "#/components/schemas/EventName"}
            assert schemas[schema]["properties"]["event"] == reference

    def test_command_lists_them(self, app, api, ada, root):
        run = app.test_cli_runner().invoke
        lines = run(args=["events", "list", "--email", ADA["email"]]).stdout.splitlines()
        user_id = str(User.objects.get(email=ADA["email"]).id)
        assert [line.split()[1:] for line in lines] == [
            ["login", user_id, "-", "127.0.0.1", "1"],
            ["signup", user_id, "-", "127.0.0.1", "1"],
        ]
        lines = run(args=["events", "list", "--event", "login"]).stdout.splitlines()
        assert [line.split()[3] for line in lines] == ["shell", "-"]
        assert run(args=["events", "list", "--event", "refreshed"]).exit_code == 2


class TestStored:
    def test_each_event_is_kept_as_it_should(self, record, stopped_worker, mails, count_events):
        user = create_user(ADA["email"])
        for event in Event:
            for _ in range(2):
                record(event, user_id=user.id)
        mails()
        counts = {"once": [1, 1], "summed": [2], "by_worker": [], "never": []}
        assert KEPT.keys() == {*Event}
        for event in Event:
            with case(event=event):
                assert [count for *_, count in stored(event)] == counts[KEPT[event]]
                if not event.startswith("mail_"):
                    assert count_events(event) == 2

    def test_failed_logins_of_a_user_are_one_an_hour(self, record, clock, mails):
        user_id = str(create_user(ADA["email"]).id)
        clock.move_to(100 * HOUR)
        for ip in (IP, OTHER_IP):
            record(Event.LOGIN_FAILED, ip, user_id=user_id)
        clock.shift(HOUR - 1)
        record(Event.LOGIN_FAILED, user_id=user_id)
        clock.shift(1)
        record(Event.LOGIN_FAILED, user_id=user_id)
        mails()
        assert stored() == [
            ("login_failed", user_id, IP, 3),
            ("login_failed", user_id, IP, 1),
        ]
        assert StoredEvent.objects.first().at == 100 * HOUR

    def test_failed_logins_of_unknown_emails_are_one_an_ip(self, record, mails):
        for ip in (IP, OTHER_IP, IP):
            record(Event.LOGIN_FAILED, ip, email=UNKNOWN)
        mails()
        assert stored() == [("login_failed", None, IP, 2), ("login_failed", None, OTHER_IP, 1)]

    @pytest.mark.parametrize(
        ("name", "request_mail"),
        [
            ("password_reset_requested", lambda api, email: api.forgot(email)),
            ("confirmation_requested", resend),
        ],
    )
    def test_request_for_a_mail_names_no_user(self, api, ada, mails, name, request_mail):
        for email in (ADA["email"], UNKNOWN, UNKNOWN):
            assert request_mail(api, email).status_code == 200
        assert stored(name) == []
        mails()
        assert [it[1:3] for it in stored(name)] == [(None, "127.0.0.1")]
        assert sum(count for *_, count in stored(name)) == 3

    def test_request_that_two_workers_read_counts_once(self, app, api, clock, mails):
        mails()  # no worker runs
        for _ in range(3):
            api.forgot(UNKNOWN)
        clock.shift(1)
        with app.app_context():
            due = find_due(limit=10, skipped_lanes=())
            for _ in range(2):
                assert mail_queue.find_unneeded(due) == {job["_id"] for job in due}
        (event,) = StoredEvent.objects(event="password_reset_requested")
        assert event.count == 3
        assert event.at == pytest.approx(time.time() - 1, abs=0.5)

    def test_request_whose_mail_is_deferred_counts_once(self, api, ada, mails, mailbox):
        mailbox.reply = "451 try again later"
        api.forgot()
        for _ in range(2):
            mails()
        assert [count for *_, count in stored("password_reset_requested")] == [1]

    def test_event_holds_no_address_and_no_token(self, app, api, ada, mails):
        api.log_in(password="wrong")
        api.log_in(email=UNKNOWN)
        api.forgot(UNKNOWN)
        api.forgot()
        api.reset(token_in(mails()[0]))
        api.log_in(password=NEW_PASSWORD)
        documents = [it.to_mongo() for it in StoredEvent.objects]
        assert {it["event"] for it in documents} >= {"login_failed", "password_reset_requested"}
        names = {name for it in documents for name in it}
        assert names == {"_id", "event", "user_id", "ip", "at", "count", "key"}
        assert not re.search(r"@|example|eyJ", json.dumps(documents, default=str))

    def test_actor_is_named_if_it_is_another(self, app, api, ada, root):
        ada_id = User.objects.get(email=ADA["email"]).id
        api.patch(f"/api/users/{ada_id}", json={"disabled": True}, token=root)
        app.test_cli_runner().invoke(args=["user", "enable", ADA["email"]])
        by = {it.event: it.by for it in StoredEvent.objects(user_id=str(ada_id))}
        root_id = str(User.objects.get(role=ADMIN).id)
        assert by == {"signup": None, "login": None, "user_disabled": root_id} | {
            "user_enabled": "shell"
        }

    def test_deferred_event_is_listed_where_it_happened(self, api, clock, ada, mails):
        clock.shift(60)
        api.log_in(password="wrong")
        clock.shift(60)
        api.log_in()
        clock.shift(60)
        mails()
        names = [event["event"] for event in own_events(api, ada)]
        assert names == ["login", "login_failed", "login", "signup"]

    @pytest.mark.parametrize("event", [Event.LOGIN, Event.CODE_REFUSED], ids=["once", "summed"])
    def test_first_event_of_a_process_makes_indexes(self, record, monkeypatch, event):
        indexes = get_db()["stored_event"]
        record(event)
        indexes.drop_index("key_1")
        monkeypatch.setattr(db, "_indexed", set())
        record(event)
        assert indexes.index_information()["key_1"]["unique"]

    def test_client_without_an_ip_is_not_the_shell(self, record, caplog):
        caplog.set_level("INFO", audit_log.__name__)
        record(Event.LOGIN, ip="")
        assert [(it.by, it.ip) for it in StoredEvent.objects] == [(None, None)]
        assert caplog.messages[-1] == "event=login"

    def test_events_of_an_hour_at_once_are_all_counted(self, atomic, record):
        user = create_user(ADA["email"])
        run_simultaneously(8, lambda _: record(Event.CODE_REFUSED, user_id=user.id))
        assert [it[3] for it in stored()] == [8]


class TestFailedWrite:
    @pytest.fixture(autouse=True)
    def _full_disk(self, monkeypatch, ada):
        """Let no event be stored from now on."""

        def fail(*_):
            raise AutoReconnect("the disk is full")

        for name in ("insert", "add"):
            monkeypatch.setattr(StoredEvent, name, fail)

    def test_request_goes_on_and_the_failure_is_logged(self, api, caplog):
        assert api.log_in().status_code == 200
        lines = [line for line in caplog.messages if "the disk is full" in line]
        assert lines == ["The event login is in the log alone: the disk is full"]

    def test_deferred_event_is_stored_later(self, api, mails, monkeypatch):
        assert_error(api.log_in(password="wrong"), 401, "UnauthorizedError")
        mails()
        assert Job.objects.get().last_error == "AutoReconnect"
        monkeypatch.undo()
        mails()
        assert [it[0] for it in stored()] == ["signup", "login", "login_failed"]


class TestDeletion:
    def delete(self, api, tokens):
        body = {"current_password": ADA["password"]}
        return api.delete("/api/users/me", json=body, token=tokens["token"])

    def test_only_that_of_the_deletion_is_left(self, api, ada, eve, mails):
        ada_id = str(User.objects.get(email=ADA["email"]).id)
        api.log_in(password="wrong")
        assert self.delete(api, ada).status_code == 200
        assert stored("login_failed") == []
        assert [it[0] for it in stored() if it[1] == ada_id] == ["user_deleted"]
        mails()
        assert [it[:2] for it in stored() if it[1] == ada_id] == [("user_deleted", ada_id)]
        assert len(stored("signup", "login")) == 2

    def test_event_recorded_meanwhile_is_deleted(self, api, ada, record, mails):
        user_id = str(User.objects.get().id)
        self.delete(api, ada)
        record(Event.LOGIN, user_id=user_id)
        mails()
        record(Event.LOGIN_FAILED, user_id=user_id)
        mails()
        assert stored() == [("user_deleted", user_id, "127.0.0.1", 1)]

    def test_other_user_of_the_email_has_none(self, api, ada, mails):
        self.delete(api, ada)
        api.sign_up()
        events = own_events(api, api.log_in().json())
        assert [event["event"] for event in events] == ["login", "signup"]


class TestDeletionMeanwhile:
    @pytest.fixture
    def settings(self, settings, interrupted):
        """Return settings of an application whose commands are interrupted."""
        return settings

    @pytest.mark.parametrize("password", [ADA["password"], "wrong"], ids=["right", "wrong"])
    def test_login_leaves_no_event(self, api, root, interrupted, mails, password):
        for step in itertools.count(1):
            user = create_user(f"user{step}@example.com")
            path = f"/api/users/{user.id}"
            interrupted.after(step, partial(api.delete, path, token=root))
            api.log_in(email=user.email, password=password)
            if not interrupted.happened():
                break
            mails()
            events = StoredEvent.objects(user_id=str(user.id))
            assert [it.event for it in events] == ["user_deleted"], step
        assert step > 2


class TestAge:
    def test_events_are_deleted_after_event_days(self, make_app, clock, record):
        app = make_app(EVENT_DAYS=2)
        record(Event.LOGIN)
        clock.shift(2 * DAY - 1)
        record(Event.LOGOUT)
        with app.app_context():
            expiry_service.delete_expired()
            assert [it[0] for it in stored()] == ["login", "logout"]
            clock.shift(2)
            expiry_service.delete_expired()
        assert [it[0] for it in stored()] == ["logout"]

    def test_worker_deletes_them(self, app, clock, record):
        record(Event.LOGIN)
        clock.shift(91 * DAY)
        with app.app_context():
            app.extensions["worker"]._sweep()
        assert stored() == []


class TestRefusals:
    """What may be an attack is an event; its line in the log says what was refused."""

    @pytest.fixture
    def lines(self, caplog, count_events):
        """Return a function that returns the lines of the log with an event."""
        return lambda name: [it for it in caplog.messages if f"event={name} " in it]

    @pytest.mark.parametrize(
        ("token", "reason"), [("nonsense", "BadTokenError"), ("ended", "SessionEndedError")]
    )
    def test_refused_token_is_a_line(self, api, ada, lines, token, reason):
        if token == "ended":
            token = ada["token"]
            api.log_out(token)
        api.verify(token)
        assert lines("token_refused") == [f"event=token_refused ip=127.0.0.1 reason={reason}"]

    def test_request_without_a_token_is_none(self, api, lines):
        api.get("/api/auth/verify")
        assert lines("token_refused") == []

    def test_refused_link_is_a_line(self, app, api, ada, lines):
        token = reset_token(app, User.objects.get())
        api.reset(token)
        api.reset(token)
        api.get(f"/reset/{token}")
        line = "event=token_refused ip=127.0.0.1 reason=UsedTokenError"
        assert lines("token_refused") == [line, line]

    def test_limit_is_a_line_with_a_pseudonym(self, make_app, http, lines):
        http.app = make_app(RATELIMIT_ENABLED=True, RATELIMIT_FORGOT_PER_EMAIL="1 per hour")
        for _ in range(2):
            http.forgot()
        (line,) = lines("rate_limited")
        expected = r"event=rate_limited ip=127\.0\.0\.1 limit=FORGOT_PER_EMAIL key=[0-9a-f]{12}"
        assert re.fullmatch(expected, line)
        assert stored("rate_limited") == []

    def test_limit_of_a_user_names_the_user(self, make_app, http, lines):
        http.app = make_app(RATELIMIT_ENABLED=True, RATELIMIT_WRITES_PER_USER="1 per hour")
        http.sign_up()
        token = http.log_in().json()["token"]
        for _ in range(2):
            http.patch("/api/users/me", json={"name": "Ada"}, token=token)
        (line,) = lines("rate_limited")
        assert f" user={User.objects.get().id} ip=127.0.0.1 limit=WRITES_PER_USER " in line

    def test_forbidden_request_is_an_event_an_hour(self, api, ada, lines):
        for path in ("/api/users", "/api/events"):
            assert_error(api.get(path, token=ada["token"]), 403, "ForbiddenError")
        user_id = str(User.objects.get().id)
        assert stored("access_denied") == [("access_denied", user_id, "127.0.0.1", 2)]
        assert lines("access_denied") == [f"event=access_denied user={user_id} ip=127.0.0.1"] * 2
