"""The log of security events: one line for each, with no email, password or token."""

import re
from typing import NamedTuple

import pytest

from database.models import ADMIN, User
from infra import audit_log
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.smtp_server import token_in

UNKNOWN = "unknown@example.com"


class UsedAccount(NamedTuple):
    """An account that was used and deleted, its tokens, and the lines of the security log."""

    user_id: str
    tokens: list[str]
    lines: list[str]


@pytest.fixture
def events(caplog):
    """Return a function that returns the lines of the security log."""
    caplog.set_level("INFO", audit_log.__name__)

    def lines():
        return [
            record.getMessage() for record in caplog.records if record.name == audit_log.__name__
        ]

    return lines


def change_password(api, current):
    token = api.log_in().json()["token"]
    body = {"current_password": current, "password": NEW_PASSWORD}
    api.put("/api/auth/password", json=body, token=token)


@pytest.fixture
def used_account(api, mailbox, clock, events):
    """Let every event of an account happen that needs no admin; return what is in the log."""
    api.sign_up()
    user_id = str(User.objects.get().id)
    api.log_in(password="a wrong one")
    api.log_in(email=UNKNOWN)
    api.forgot(UNKNOWN)
    tokens = api.log_in().json()
    new = api.refresh(tokens["refresh_token"]).json()
    api.refresh(tokens["refresh_token"])
    clock.shift(61)
    api.refresh(tokens["refresh_token"])
    api.log_out(api.log_in().json()["token"])
    change_password(api, ADA["password"])
    clock.shift(1)
    api.forgot()
    clock.shift(1)
    reset_token = token_in(mailbox.wait_for(2)[-1])
    api.reset(reset_token)
    last = api.log_in(password=NEW_PASSWORD).json()
    body = {"current_password": NEW_PASSWORD}
    api.delete("/api/users/me", json=body, token=last["token"])
    pairs = [pair[name] for pair in (tokens, new, last) for name in ("token", "refresh_token")]
    return UsedAccount(user_id, [reset_token, *pairs], events())


class TestSecurityEvents:
    def test_admin_who_acts_on_another_user_is_named(self, api, ada, events):
        User.objects.update(set__role=ADMIN)
        body = {"current_password": "wrong", "password": NEW_PASSWORD}
        before = len(events())
        api.put("/api/auth/password", json=body, token=ada["token"])
        root, body = User.objects.get(), EVE | {"role": ADMIN}
        eve_id = api.post("/api/users", json=body, token=ada["token"]).json()["id"]
        api.patch(f"/api/users/{eve_id}", json={"role": "user"}, token=ada["token"])
        api.delete(f"/api/users/{eve_id}", token=ada["token"])
        assert events()[before:] == [
            f"event=password_refused user={root.id} ip=127.0.0.1",
            f"event=signup user={eve_id} by={root.id} ip=127.0.0.1",
            f"event=role_changed_to_user user={eve_id} by={root.id} ip=127.0.0.1",
            f"event=user_deleted user={eve_id} by={root.id} ip=127.0.0.1",
        ]

    def test_each_event_is_one_line(self, used_account):
        names = [line.split()[0].removeprefix("event=") for line in used_account.lines]
        assert names == [
            *("signup", "login_failed", "login_failed", "password_reset_requested", "login"),
            *("refreshed", "refresh_token_reused_in_grace"),
            *("refresh_token_reused", "token_refused"),
            *("login", "logout", "login", "password_changed"),
            *("password_reset_requested", "password_reset", "login", "user_deleted"),
        ]

    def test_line_names_the_user_or_a_pseudonym(self, used_account):
        user_id, _, lines = used_account
        assert lines[-1] == f"event=user_deleted user={user_id} ip=127.0.0.1"
        assert lines[4] == f"event=login user={user_id} ip=127.0.0.1 amr=pwd"
        pseudonym = lines[2].partition("email=")[2]
        assert re.fullmatch(r"[0-9a-f]{12}", pseudonym)
        assert lines[2] == f"event=login_failed ip=127.0.0.1 email={pseudonym}"
        assert lines[3] == f"event=password_reset_requested ip=127.0.0.1 email={pseudonym}"

    def test_line_has_no_email_password_or_token(self, used_account):
        text = "\n".join(used_account.lines)
        emails = (ADA["email"], "unknown")
        for secret in (*emails, ADA["password"], NEW_PASSWORD, "wrong", "eyJ"):
            assert secret not in text
        assert not any(token in text for token in used_account.tokens)
