"""Emails of users: confirmed, changed, restored (contract: "Email addresses")."""

import pytest

from tests.support.client import ADA, NEW_PASSWORD
from tests.support.smtp_server import token_in

NEW_EMAIL = "ada@new.example"


@pytest.fixture
def settings(settings):
    """Return settings under which a signup mails a link."""
    return {**settings, "EMAIL_VERIFICATION": "optional"}


def change_email(api, token, email=NEW_EMAIL, password=ADA["password"]):
    body = {"email": email, "current_password": password}
    return api.put("/api/auth/email", token=token, json=body)


def confirm(api, token):
    return api.post("/api/auth/email/confirm", json={"confirm_token": token})


def undo(api, token):
    return api.post("/api/auth/email/undo", json={"undo_token": token})


class TestWalk:
    """Sign up, confirm, change the address, undo it."""

    def test_walk(self, api, mailbox, ada):
        confirmed = confirm(api, token_in(mailbox.wait_for(1)[0]))
        assert confirmed.json()["email"] == ADA["email"]
        assert change_email(api, ada["token"]).status_code == 200
        change_mail = mailbox.wait_for(2)[1]
        assert change_mail["To"] == NEW_EMAIL
        changed = confirm(api, token_in(change_mail))
        assert changed.json()["email"] == NEW_EMAIL
        assert api.verify(ada["token"]).json()["email"] == NEW_EMAIL
        notice = mailbox.wait_for(3)[2]
        assert notice["To"] == ADA["email"]
        restored = undo(api, token_in(notice))
        assert restored.json()["email"] == ADA["email"]
        assert api.verify(ada["token"]).status_code == 401
        assert api.log_in().status_code == 401
        link = mailbox.wait_for(4)[3]
        assert link["To"] == ADA["email"]
        assert api.reset(token_in(link)).status_code == 200
        assert api.log_in(password=NEW_PASSWORD).status_code == 200
