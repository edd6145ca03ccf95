"""What is logged and stored of emails that are confirmed, changed and restored."""

import io
import json
import logging
import re

import pytest

from config import PRODUCTION, REQUIRED
from database.documents import DOCUMENTS
from database.models import User
from infra import audit_log
from infra.logging import configure_handler
from infra.pseudonym import pseudonym
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.email_client import (
    NEW_EMAIL,
    THIRD_EMAIL,
    change_email,
    confirm,
    move,
    reject,
    resend,
)
from tests.support.smtp_server import token_in
from tests.support.tokens import KEY

NAME = "Lovelace"


@pytest.fixture
def settings(settings):
    """Return settings under which a signup mails a link."""
    return {**settings, "EMAIL_VERIFICATION": "optional"}


@pytest.fixture
def logged(caplog):
    """Return a function that returns all that was logged, as production writes it."""
    caplog.set_level(logging.INFO)
    handler = configure_handler(logging.StreamHandler(io.StringIO()), PRODUCTION)
    logging.getLogger().addHandler(handler)
    yield handler.stream.getvalue
    logging.getLogger().removeHandler(handler)


def events(text):
    """Return the security events of a log: name, and the text of each."""
    lines = [json.loads(line) for line in text.splitlines()]
    return [
        (line["event"], line["message"]) for line in lines if line["logger"] == audit_log.__name__
    ]


@pytest.fixture
def walked(api, mails, logged):
    """Let everything happen to Ada's email; return her id, every token, and the log."""
    api.sign_up(name=NAME)
    user_id = str(User.objects.get().id)
    resend(api)
    confirmation = token_in(mails()[0])
    confirm(api, confirmation)
    confirm(api, confirmation)
    pair = api.log_in().json()
    change_email(api, pair["token"], THIRD_EMAIL, "a wrong one")
    change_email(api, pair["token"], THIRD_EMAIL)
    refused = token_in(mails()[0])
    reject(api, refused)
    change_email(api, pair["token"], ADA["email"])
    notices = move(api, mails, pair["token"], NEW_EMAIL)
    undo_token = token_in(notices[0])
    api.post(f"/undo/{undo_token}")
    api.get(f"/confirm/{confirmation}")
    reset = token_in(mails()[0])
    api.reset(reset)
    tokens = [confirmation, refused, undo_token, reset, pair["token"], pair["refresh_token"]]
    mails()
    return user_id, tokens, logged()


class TestEvents:
    def test_each_event_is_one_line(self, walked):
        _, _, log = walked
        assert [name for name, _ in events(log)] == [
            *("signup", "confirmation_requested", "email_confirmed", "login", "password_refused"),
            *("email_change_requested", "email_change_rejected", "email_change_requested"),
            *("email_changed", "email_change_undone", "token_refused", "password_reset"),
        ]

    def test_line_names_the_user_or_a_pseudonym(self, walked):
        user_id, _, log = walked
        for name, text in events(log):
            if name == "confirmation_requested":
                email = pseudonym(ADA["email"], KEY)
                assert text == f"event={name} ip=127.0.0.1 email={email}"
            elif name == "token_refused":
                assert text == f"event={name} ip=127.0.0.1 reason=UsedTokenError"
            else:
                amr = " amr=pwd" if name == "login" else ""
                assert text == f"event={name} user={user_id} ip=127.0.0.1{amr}"

    def test_log_has_no_email_name_password_or_token(self, walked):
        _, tokens, log = walked
        assert '"event":"mail_sent"' in log.replace(": ", ":")
        for email in (ADA["email"], NEW_EMAIL, THIRD_EMAIL):
            assert email not in log
        log = re.sub("[0-9a-f]{24}@", "", log)  # the id of an email may end as its address begins
        for secret in ("ada@", "%40", NAME, ADA["password"], NEW_PASSWORD, "eyJ", *tokens):
            assert secret not in log

    def test_refused_account_is_an_event(self, api, mails, logged):
        api.sign_up()
        user_id = User.objects.get().id
        reject(api, token_in(mails()[0]))
        assert events(logged())[-1] == (
            "user_deleted",
            f"event=user_deleted user={user_id} ip=127.0.0.1",
        )

    def test_unverified_login_is_an_event_of_its_own(self, make_app, http, logged):
        http.app = make_app(EMAIL_VERIFICATION=REQUIRED)
        http.sign_up()
        http.sign_up()
        http.log_in()
        http.log_in(password="wrong")
        names = [name for name, _ in events(logged()) if name != "settings_changed"]
        assert names == ["signup", "signup_repeated", "login_unverified", "login_failed"]

    def test_command_is_an_event_at_the_shell(self, api, logged):
        api.sign_up()
        api.app.test_cli_runner().invoke(args=["user", "verify", "--all"])
        name, text = events(logged())[-1]
        assert name == "email_confirmed"
        assert re.fullmatch(r"event=email_confirmed user=[0-9a-f]{24} ip=shell", text)


class TestStored:
    def test_no_token_is_stored(self, api, walked):
        _, tokens, _ = walked
        stored = "".join(str(it.to_mongo()) for kind in DOCUMENTS for it in kind.objects)
        assert ADA["email"] in stored
        for token in tokens:
            assert token not in stored

    def test_no_token_waits_in_the_queue(self, api, ada, mails):
        change_email(api, ada["token"])
        api.sign_up(**EVE)
        api.forgot()
        stored = "".join(str(it.to_mongo()) for kind in DOCUMENTS for it in kind.objects)
        assert NEW_EMAIL in stored
        assert "eyJ" not in re.sub(r"\$2b\$[^']+", "", stored)  # a hash may have these letters

    def test_everything_is_gone_with_the_user(self, api, ada, mails):
        confirm(api, token_in(mails()[0]))
        move(api, mails, ada["token"], NEW_EMAIL)
        move(api, mails, ada["token"], THIRD_EMAIL)
        change_email(api, ada["token"], EVE["email"])
        body = {"current_password": ADA["password"]}
        assert api.delete("/api/users/me", json=body, token=ada["token"]).status_code == 200
        mails()
        stored = "".join(str(it.to_mongo()) for kind in DOCUMENTS for it in kind.objects)
        for email in (ADA["email"], NEW_EMAIL, THIRD_EMAIL, EVE["email"]):
            assert email not in stored
