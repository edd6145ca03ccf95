"""Forgotten passwords: the wish, the mail, the link, the new password."""

import re

import jwt
import pytest
from pymongo.errors import AutoReconnect

from database.models import Mail, User
from services import outbox
from tests.conftest import ADA, NEW_PASSWORD, at_once, wait_until
from tests.smtp import html_of, text_of, token_in

FORGOT = {"message": "If an account exists for that address, a reset link is on its way"}


def test_forgot_answers_the_same_to_a_user_and_a_stranger(api, ada):
    known, unknown = api.forgot(), api.forgot("eve@example.com")
    assert known.status_code == unknown.status_code == 200
    assert known.json() == FORGOT
    assert known.content == unknown.content
    assert known.headers.keys() == unknown.headers.keys()


def test_a_stranger_gets_no_mail(api, ada, mailbox):
    api.forgot("eve@example.com")
    api.forgot()
    wait_until(lambda: Mail.objects.first() is None)
    assert [mail["To"] for mail in mailbox.mails] == [ADA["email"]]


def test_the_mail_holds_one_link_in_text_and_html_and_says_how_long_it_works(api, mailbox):
    api.sign_up(name="Ada L")
    api.forgot()
    mail = mailbox.wait_for(1)[0]
    link = f"https://movie-bag.example/reset/{token_in(mail)}"
    for version in (text_of(mail), html_of(mail)):
        assert set(re.findall(r"\w+://[^\s\"<]+", version)) == {link}
    for body in (text_of(mail), html_of(mail)):
        assert "Hello Ada L," in body
        assert "within 10 minutes" in body
    assert mail["From"] == "support@movie-bag.com"


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(1, "1 minute"), (60, "1 hour"), (90, "1 hour and 30 minutes"), (1440, "24 hours")],
)
def test_the_mail_says_the_expiry_in_words(minutes, words):
    from services.mail_service import in_words

    assert in_words(minutes) == words


@pytest.mark.parametrize(
    "url", ["movr://reset-password?token={token}", "https://app.example/#/reset/{token}/go"]
)
def test_the_link_is_reset_url(make_app, http, mailbox, url):
    http.app = make_app(RESET_URL=url)
    http.sign_up()
    http.forgot()
    before, after = url.split("{token}")
    assert f"\n{before}eyJ" in text_of(mailbox.wait_for(1)[0])
    assert after in text_of(mailbox.mails[0])


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example"},
        {"Forwarded": "host=evil.example", "X-Forwarded-Proto": "gopher"},
        {"X-Original-URL": "http://evil.example/", "Origin": "http://evil.example"},
    ],
)
def test_nothing_of_a_request_reaches_a_mail(api, ada, mailbox, headers):
    body = {"email": ADA["email"]}
    assert api.post("/api/auth/forgot", json=body, headers=headers).status_code == 200
    assert "evil" not in str(mailbox.wait_for(1)[0])
    assert "https://movie-bag.example/reset/" in text_of(mailbox.mails[0])


@pytest.mark.parametrize("where", ["body", "bearer"])
def test_a_reset_by_body_or_bearer_sets_the_password(api, reset_link, where):
    if where == "body":
        answer = api.reset(reset_link)
    else:
        answer = api.post("/api/auth/reset", json={"password": NEW_PASSWORD}, token=reset_link)
    assert answer.status_code == 200
    assert answer.json() == {"message": "Password has been reset", "email": ADA["email"]}
    assert api.log_in(password=NEW_PASSWORD).status_code == 200
    assert api.log_in().status_code == 401


def test_a_token_in_the_body_wins_over_a_bearer(api, reset_link):
    body = {"password": NEW_PASSWORD, "reset_token": reset_link}
    assert api.post("/api/auth/reset", json=body, token="nonsense").status_code == 200


def test_a_reset_without_any_token_is_a_bad_request(api):
    answer = api.post("/api/auth/reset", json={"password": NEW_PASSWORD})
    assert answer.status_code == 400
    assert answer.json()["errors"] == {"reset_token": ["Missing data for required field."]}


def test_a_reset_ends_every_session(api, ada, reset_link):
    other = api.log_in().json()
    api.reset(reset_link)
    for tokens in (ada, other):
        assert api.whoami(tokens["token"]).status_code == 401
        assert api.refresh(tokens["refresh_token"]).status_code == 401


def test_a_reset_token_works_once(api, reset_link):
    api.reset(reset_link)
    answer = api.reset(reset_link, "another good passphrase")
    assert answer.status_code == 401
    assert answer.json() == {
        "message": "Reset token has already been used",
        "status": 401,
        "error": "UsedTokenError",
    }
    assert api.log_in(password=NEW_PASSWORD).status_code == 200


def test_a_reset_kills_every_other_outstanding_link(api, ada, mailbox):
    api.forgot()
    api.forgot()
    first, second = map(token_in, mailbox.wait_for(2))
    assert first != second
    api.reset(second)
    assert api.reset(first).json()["error"] == "UsedTokenError"


def test_of_24_simultaneous_resets_with_one_token_exactly_one_wins(api, reset_link):
    answers = at_once(24, lambda i: api.reset(reset_link, f"{NEW_PASSWORD} {i}"))
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [200] + [401] * 23
    winner = f"{NEW_PASSWORD} {statuses.index(200)}"
    assert api.log_in(password=winner).status_code == 200
    assert User.objects.get().password_version == 1


def test_a_failed_attempt_spends_nothing(api, reset_link):
    weak = api.reset(reset_link, "password1")
    assert weak.status_code == 400
    twice = {"reset_token": reset_link, "password": NEW_PASSWORD, "password_confirmation": "other"}
    assert api.post("/api/auth/reset", json=twice).json()["errors"] == {
        "password_confirmation": ["Passwords don't match."]
    }
    assert api.reset(reset_link).status_code == 200


def test_after_a_reset_the_owner_gets_a_notice(api, reset_link, mailbox):
    api.reset(reset_link)
    notice = mailbox.wait_for(2)[1]
    assert notice["To"] == ADA["email"]
    assert notice["Subject"] == "Your Movie-bag password was changed"
    for body in (text_of(notice), html_of(notice)):
        assert "was just changed" in body
        assert "eyJ" not in body


def test_a_notice_that_can_not_be_wished_for_leaves_the_password_as_it_is(
    api, reset_link, monkeypatch
):
    def away(*_):
        raise AutoReconnect

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "put", away)
        assert api.reset(reset_link).status_code == 503
    assert api.log_in().status_code == 200
    assert api.reset(reset_link).status_code == 200


@pytest.mark.parametrize(("seconds", "status"), [(599, 200), (601, 401)])
def test_a_reset_token_lives_10_minutes(api, reset_link, clock, seconds, status):
    sent_at = jwt.decode(reset_link, options={"verify_signature": False})["iat"]
    clock.move_to(sent_at + seconds)
    answer = api.reset(reset_link)
    assert answer.status_code == status
    if status == 401:
        assert answer.json()["error"] == "ExpiredTokenError"
        message = "Reset token has expired. Please request a new one."
        assert answer.json()["message"] == message


def test_the_tokens_minutes_run_from_the_sending(api, ada, mailbox, clock):
    api.forgot()
    clock.shift(3600)
    token = token_in(mailbox.wait_for(1)[0])
    clock.shift(599)
    assert api.reset(token).status_code == 200
