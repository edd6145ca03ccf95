"""Webhooks about users (contract: "Other services and browsers")."""

import re
import time

import pytest
from pymongo.errors import AutoReconnect

from database.documents import Ownership
from database.models import Job, User
from services import event_service
from services.event_service import Event
from services.webhook_service import NOTHING, WEBHOOKS
from tests.support.assertions import assert_error
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.email_client import NEW_EMAIL, change_email, confirm, move, reject, undo
from tests.support.operators import accept, disable, enable, invite, switch
from tests.support.smtp_server import token_in
from tests.support.tokens import reset_token
from tests.support.webhooks import SECRET, send_due_webhooks, stop_webhooks

CREATED = "user.created"
VERIFIED = "user.verified"
DISABLED = "user.disabled"
DELETED = "user.deleted"
PASSWORD_CHANGED = "user.password_changed"


@pytest.fixture
def settings(settings, receiver):
    """Return settings under which a signup mails a link, and the receiver gets webhooks."""
    webhooks = {"WEBHOOK_URLS": receiver.url, "WEBHOOK_SECRET": SECRET}
    return {**settings, **webhooks, "EMAIL_VERIFICATION": "optional"}


@pytest.fixture
def sent(http, api, receiver):
    """Return a function that sends what is queued, and returns each type with its user."""
    stop_webhooks(http.app)

    def send():
        send_due_webhooks(http.app)
        return receiver.summaries()

    return send


def shell(api, *words):
    ended = api.app.test_cli_runner().invoke(args=["user", *words])
    assert ended.exit_code == 0, ended.output


def id_of(email=ADA["email"]):
    return str(User.objects.get(email=email).id)


def signup(api, operator, mails):
    api.sign_up()


def creation_by_an_admin(api, operator, mails):
    assert api.post("/api/users", token=operator["token"], json=ADA).status_code == 200


def creation_at_the_shell(api, operator, mails):
    shell(api, "create", ADA["email"], "--password", ADA["password"])


def invitation(api, operator, mails):
    invite(api, operator)


def accepted_invitation(api, operator, mails):
    invite(api, operator)
    assert accept(api, token_in(mails()[0])).status_code == 200


def confirmation(api, operator, mails):
    api.sign_up()
    token = token_in(mails()[0])
    for _ in range(2):  # the second changes nothing
        assert confirm(api, token).status_code == 200


def verification_at_the_shell(api, operator, mails):
    api.sign_up()
    for _ in range(2):
        shell(api, "verify", ADA["email"])


def reset(api, operator, mails):
    api.sign_up()
    token = reset_token(api.app, User.objects.get(email=ADA["email"]))
    assert api.reset(token).status_code == 200
    assert api.reset(token).status_code == 401


def reset_of_a_verified_user(api, operator, mails):
    creation_at_the_shell(api, operator, mails)
    assert api.reset(reset_token(api.app, User.objects.get(email=ADA["email"]))).status_code == 200


def first_verified_email(api, operator, mails):
    api.sign_up()
    change_email(api, api.log_in().json()["token"])
    (token,) = [token_in(mail) for mail in mails() if mail["To"] == NEW_EMAIL]
    assert confirm(api, token).status_code == 200


def undone_change(api, operator, mails):
    creation_at_the_shell(api, operator, mails)
    token = token_in(move(api, mails, api.log_in().json()["token"], NEW_EMAIL)[0])
    assert undo(api, token).status_code == 200


def another_password(api, operator, mails):
    api.sign_up()
    fields = {"current_password": ADA["password"], "password": NEW_PASSWORD}
    token = api.log_in().json()["token"]
    assert api.put("/api/auth/password", token=token, json=fields).status_code == 200


def disabled_and_enabled(api, operator, mails):
    api.sign_up()
    for change in (disable, disable, enable):
        change(api, operator)


def deletion(api, operator, mails):
    api.sign_up()
    assert api.delete(f"/api/users/{id_of()}", token=operator["token"]).status_code == 200


def rejected_signup(api, operator, mails):
    api.sign_up()
    assert reject(api, token_in(mails()[0])).status_code == 200


def refusals(api, operator, mails):
    api.sign_up()
    assert api.sign_up().status_code == 400
    token = api.log_in().json()["token"]
    fields = {"current_password": "wrong", "password": NEW_PASSWORD}
    assert api.put("/api/auth/password", token=token, json=fields).status_code == 400
    assert switch(api, operator, True, "root@example.com").status_code == 409


WHAT_IS_SENT = {
    signup: [CREATED],
    creation_by_an_admin: [CREATED],
    creation_at_the_shell: [CREATED, VERIFIED],
    invitation: [CREATED],
    accepted_invitation: [CREATED, VERIFIED],
    confirmation: [CREATED, VERIFIED],
    verification_at_the_shell: [CREATED, VERIFIED],
    reset: [CREATED, PASSWORD_CHANGED, VERIFIED],
    reset_of_a_verified_user: [CREATED, VERIFIED, PASSWORD_CHANGED],
    first_verified_email: [CREATED, VERIFIED],
    undone_change: [CREATED, VERIFIED, PASSWORD_CHANGED],
    another_password: [CREATED, PASSWORD_CHANGED],
    disabled_and_enabled: [CREATED, DISABLED],
    deletion: [CREATED, DELETED],
    rejected_signup: [CREATED, DELETED],
    refusals: [CREATED],
}


def is_stored(webhook_type, user_id):
    """Return whether what a webhook reports is stored."""
    user = User.objects(id=user_id).first()
    if webhook_type == DELETED:
        return user is None
    is_true = {
        CREATED: user,
        VERIFIED: user and user.is_verified,
        DISABLED: user and user.is_disabled,
        PASSWORD_CHANGED: user and user.password_version > 0,
    }
    return bool(is_true[webhook_type])


class TestWhatIsSent:
    @pytest.fixture
    def queued(self, monkeypatch):
        """Return a list of the webhooks that are queued, and whether each is stored then."""
        queued, insert = [], Job.insert

        def note(kind, arguments, *others):
            if kind == "send_webhook":
                webhook = arguments["type"], arguments["user"]
                queued.append((*webhook, is_stored(*webhook)))
            return insert(kind, arguments, *others)

        monkeypatch.setattr(Job, "insert", note)
        return queued

    @pytest.mark.parametrize("action", WHAT_IS_SENT, ids=lambda action: action.__name__)
    def test_action_sends_these_once_they_are_stored(
        self, api, operator, mails, sent, queued, action
    ):
        action(api, operator, mails)
        webhooks = sent()
        assert [webhook_type for webhook_type, _ in webhooks] == WHAT_IS_SENT[action]
        assert len({user_id for _, user_id in webhooks}) == 1
        assert queued == [(*webhook, True) for webhook in webhooks]

    def test_user_is_the_one_of_the_api(self, api, ada, sent):
        user_id = api.get("/api/users/me", token=ada["token"]).json()["id"]
        assert sent() == [(CREATED, user_id)]

    def test_user_who_was_deleted_is_reported_by_id(self, api, operator, sent):
        api.sign_up()
        user_id = id_of()
        api.delete(f"/api/users/{user_id}", token=operator["token"])
        assert sent() == [(CREATED, user_id), (DELETED, user_id)]

    def test_deletion_is_reported_even_if_its_rest_fails(self, api, operator, sent, monkeypatch):
        """The user is gone then, and a job deletes what belonged to them."""
        api.sign_up()
        user_id = id_of()
        delete_all = Ownership.delete_all

        def fail(documents, user, **condition):
            if not condition and User.get_by_id(user.id) is None:
                raise AutoReconnect
            delete_all(documents, user, **condition)

        monkeypatch.setattr(Ownership, "delete_all", fail)
        response = api.delete(f"/api/users/{user_id}", token=operator["token"])
        assert_error(response, 503, "ServiceUnavailableError")
        assert sent() == [(CREATED, user_id), (DELETED, user_id)]

    def test_imported_users_are_not_reported(self, api, sent, tmp_path):
        file = tmp_path / "users.jsonl"
        file.write_text('{"email": "ada@example.com", "verified": true}\n')
        shell(api, "import", str(file))
        assert User.objects.count() == 1
        assert sent() == []

    def test_without_the_setting_nothing_is_queued(self, make_app, http):
        http.app = make_app(WEBHOOK_URLS=None)
        assert http.sign_up().status_code == 200
        assert Job.objects(queue=WEBHOOKS).first() is None

    def test_lost_webhook_refuses_no_request(self, api, sent, monkeypatch, caplog):
        def fail(*_):
            raise AutoReconnect

        monkeypatch.setattr("services.webhook_service.Job.insert", fail)
        with api.app.app_context():
            event_service.record(Event.USER_DISABLED, user_id="a" * 24)
        assert f"No webhook reports user_disabled of user {'a' * 24}" in caplog.text


class TestRequest:
    """What a receiver gets."""

    def test_it_is_signed_json_with_these_fields_alone(self, api, sent, receiver):
        before = time.time()
        api.sign_up()
        send_due_webhooks(api.app)
        (received,) = receiver.received
        event = received.event
        assert event == {
            "type": CREATED,
            "timestamp": event["timestamp"],
            "data": {"user": id_of()},
        }
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["timestamp"])
        assert received.headers["content-type"] == "application/json"
        assert before - 1 <= int(received.headers["webhook-timestamp"]) <= time.time()
        assert receiver.url.endswith(receiver.paths[0])

    def test_no_email_is_in_it(self, api, sent, receiver):
        # The names have letters that no id has: ids are hexadecimal.
        api.sign_up(email="lovelace@example.com", name="Byron")
        send_due_webhooks(api.app)
        (received,) = receiver.received
        assert not re.search(b"lovelace|byron|@|example", received.body, re.IGNORECASE)


class TestRepeatedSignup:
    """Where emails must be verified, the time must not tell who has an account."""

    @pytest.fixture
    def settings(self, settings):
        return {**settings, "EMAIL_VERIFICATION": "required"}

    def test_it_costs_as_much_and_sends_nothing(self, api, sent):
        for email in (ADA["email"], EVE["email"], ADA["email"]):
            assert api.sign_up(email=email).status_code == 200
        types = [job.arguments["type"] for job in Job.objects(queue=WEBHOOKS)]
        assert sorted(types) == [NOTHING, CREATED, CREATED]
        assert sent() == [(CREATED, id_of()), (CREATED, id_of(EVE["email"]))]
        assert Job.objects(queue=WEBHOOKS).first() is None


def test_every_webhook_has_a_row_of_its_own():
    sent = {webhook_type for types in WHAT_IS_SENT.values() for webhook_type in types}
    assert sent == {*event_service.WEBHOOKS.values(), event_service.USER_VERIFIED} - {NOTHING}
