"""POST /api/auth/forgot and the email that it requests."""

import re

import pytest

from database.models import Job, User
from tests.support.client import ADA, EVE
from tests.support.concurrency import wait_until
from tests.support.smtp_server import html_of, text_of, token_in

FORGOT = {"message": "If an account exists for that address, a reset link is on its way"}
FORGED_HEADERS = [
    {"Host": "evil.example"},
    {"X-Forwarded-Host": "evil.example"},
    {"Forwarded": "host=evil.example", "X-Forwarded-Proto": "gopher"},
    {"X-Original-URL": "http://evil.example/", "Origin": "http://evil.example"},
]


class TestForgotPassword:
    """The response."""

    def test_unknown_email_gets_the_same_response(self, api, ada):
        known, unknown = api.forgot(), api.forgot(EVE["email"])
        assert known.status_code == unknown.status_code == 200
        assert known.json() == FORGOT
        assert known.content == unknown.content
        assert known.headers.keys() == unknown.headers.keys()

    def test_unknown_email_gets_no_mail(self, api, ada, mailbox):
        api.forgot(EVE["email"])
        api.forgot()
        wait_until(lambda: Job.objects.first() is None)
        assert [mail["To"] for mail in mailbox.mails] == [ADA["email"]]


class TestResetEmail:
    """What the email says."""

    def test_text_and_html_have_one_link_and_its_lifetime(self, api, mailbox):
        api.sign_up(name="Ada L")
        User.objects.update(set__verified_at=0.0)
        api.forgot()
        mail = mailbox.wait_for(1)[0]
        link = f"https://movie-bag.example/reset/{token_in(mail)}"
        for body in (text_of(mail), html_of(mail)):
            assert set(re.findall(r"\w+://[^\s\"<]+", body)) == {link}
            assert "Ada L" in body
            assert "within 10 minutes" in body
        assert mail["From"] == "support@movie-bag.com"

    def test_name_is_not_sent_to_an_unverified_address(self, api, mailbox):
        api.sign_up(name="Zoë")
        api.forgot()
        mail = mailbox.wait_for(1)[0]
        assert "Zoë" not in text_of(mail) + html_of(mail) + mail.as_string()

    @pytest.mark.parametrize(
        "url", ["movr://reset-password?token={token}", "HTTPS://app.example/#/reset/{token}/go"]
    )
    def test_link_is_reset_url(self, make_app, http, mailbox, url):
        http.app = make_app(RESET_URL=url)
        http.sign_up()
        http.forgot()
        before, after = url.split("{token}")
        mail = mailbox.wait_for(1)[0]
        assert f"\n{before}eyJ" in text_of(mail)
        assert after in text_of(mail)
        # A browser can't open the link of an app.
        assert ("into your browser" in html_of(mail)) == url.lower().startswith("http")
        assert "browser" not in text_of(mail)

    def test_headers_of_the_request_do_not_reach_the_email(self, api, ada, mailbox):
        for headers in FORGED_HEADERS:
            body = {"email": ADA["email"]}
            assert api.post("/api/auth/forgot", json=body, headers=headers).status_code == 200
        for mail in mailbox.wait_for(len(FORGED_HEADERS)):
            assert "evil" not in str(mail)
            assert "https://movie-bag.example/reset/" in text_of(mail)

    def test_lifetime_begins_when_the_email_is_sent(self, api, ada, mailbox, clock):
        api.forgot()
        clock.shift(3600)
        token = token_in(mailbox.wait_for(1)[0])
        clock.shift(599)
        assert api.reset(token).status_code == 200
