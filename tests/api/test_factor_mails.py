"""Emails about the second factor: what happened, when and from where."""

import time

import pytest

from database.models import User
from services.languages import long_time
from services.mail_kinds import (
    NEW_DEVICE,
    PASSWORD_CHANGED,
    RECOVERY_CODE_USED,
    RECOVERY_CODES_CREATED,
    TOTP_ADDED,
    TOTP_REMOVED,
)
from tests.support.client import ADA, NEW_PASSWORD
from tests.support.emails import subject_of
from tests.support.factor_client import (
    CODES_PATH,
    TOTP_PATH,
    begin_login,
    code_of,
    remove_totp,
    start_totp,
)
from tests.support.smtp_server import html_of, text_of
from tests.support.tokens import reset_token

USER_AGENT = "Click https://evil.example"


def add(api, factor):
    remove_totp(api, factor.token)
    secret = start_totp(api, factor.token).json()["secret"]
    return send(api, "POST", f"{TOTP_PATH}/confirm", factor.token, code=code_of(secret))


def remove(api, factor):
    return send(api, "DELETE", TOTP_PATH, factor.token)


def renew(api, factor):
    return send(api, "POST", CODES_PATH, factor.token)


def use(api, factor):
    code = {"mfa_token": begin_login(api), "recovery_code": factor.recovery_codes[0]}
    return send(api, "POST", "/api/auth/login/mfa", None, **code)


def send(api, method, path, token, **body):
    """Send a request whose client has a name that no email may repeat."""
    headers = {"User-Agent": USER_AGENT}
    response = api.request(method, path, token=token, json=body or None, headers=headers)
    assert response.status_code == 200
    return response


@pytest.mark.parametrize(
    ("action", "kinds"),
    [
        (add, [TOTP_REMOVED, TOTP_ADDED]),
        (remove, [TOTP_REMOVED]),
        (renew, [RECOVERY_CODES_CREATED]),
        (use, [RECOVERY_CODE_USED, NEW_DEVICE]),
    ],
)
class TestNotice:
    def test_user_learns_what_when_and_from_where(self, app, api, factor, mails, action, kinds):
        action(api, factor)
        with app.app_context():
            now = " ".join(long_time(time.time()).split())
        sent = mails()
        assert sorted(mail["Subject"] for mail in sent) == sorted(
            subject_of(app, kind) for kind in kinds
        )
        for mail in sent:
            assert mail["To"] == ADA["email"]
            for text in (text_of(mail), html_of(mail)):
                assert "127.0.0.1" in text
                assert now in " ".join(text.split())

    def test_no_client_writes_into_an_email(self, app, api, factor, mails, action, kinds):
        action(api, factor)
        for mail in mails():
            assert "evil" not in mail.as_string() + text_of(mail) + html_of(mail)

    def test_no_secret_is_in_an_email(self, app, api, factor, mails, action, kinds):
        created = str(action(api, factor).json().get("recovery_codes", ""))
        for mail in mails():
            text = text_of(mail) + html_of(mail)
            assert factor.secret not in text
            for code in [*factor.recovery_codes, *filter(None, created.split("'")[1::2])]:
                assert code not in text


class TestRecoveryCodeUsed:
    def test_email_says_how_many_are_left(self, app, api, factor, mails):
        use(api, factor)
        (mail,) = (it for it in mails() if it["Subject"] == subject_of(app, RECOVERY_CODE_USED))
        assert "Recovery codes left: 9" in text_of(mail)


class TestPasswordChanged:
    """After a reset the notice says what else logs in: an intruder may have added it."""

    def notice(self, app, mails):
        (mail,) = mails()
        assert mail["Subject"] == subject_of(app, PASSWORD_CHANGED)
        return text_of(mail)

    def test_notice_of_a_reset_says_how_many_factors_are_left(self, app, api, factor, mails):
        assert api.reset(reset_token(app, User.objects.get())).status_code == 200
        notice = self.notice(app, mails)
        assert "Second factor: on" in notice
        assert "Recovery codes left: 10" in notice

    def test_notice_of_a_reset_without_factors_lists_none(self, app, api, verified, mails):
        assert api.reset(reset_token(app, User.objects.get())).status_code == 200
        assert "factor" not in self.notice(app, mails)

    def test_notice_of_a_change_lists_none(self, app, api, factor, mails):
        body = {"current_password": ADA["password"], "password": NEW_PASSWORD}
        response = api.put("/api/auth/password", token=factor.token, json=body)
        assert response.status_code == 200
        assert "factor" not in self.notice(app, mails)
