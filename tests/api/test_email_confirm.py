"""Links that confirm the email of a signup, or refuse it (contract: "Email addresses")."""

import json

import pytest

from database.models import ADMIN, Job, Movie, User
from services import email_service, errors
from tests.support.assertions import assert_error
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.email_client import (
    DAY,
    NEW_EMAIL,
    change_email,
    confirm,
    is_verified,
    recipients_and_links,
    reject,
    resend,
    scope_in,
    undo,
    verify_all,
)
from tests.support.smtp_server import token_in
from tests.support.tokens import decode_parts

CONFIRM = "/api/auth/email/confirm"


@pytest.fixture
def settings(settings):
    """Return settings under which a signup mails a link."""
    return {**settings, "EMAIL_VERIFICATION": "optional"}


@pytest.fixture
def token(ada, mails):
    """Return the token that was mailed to Ada at her signup."""
    return token_in(mails()[0])


@pytest.fixture
def another_token(api, token, mails):
    """Return a second token for the same email, mailed later."""
    resend(api)
    return token_in(mails()[0])


class TestConfirm:
    @pytest.mark.parametrize("place", ["body", "header"])
    def test_token_verifies_the_email(self, api, ada, token, place):
        assert not is_verified(api, ada["token"])
        sent = {"json": {"confirm_token": token}} if place == "body" else {"token": token}
        response = api.post(CONFIRM, **sent)
        assert response.status_code == 200
        assert response.json().keys() == {"message", "email"}
        assert response.json()["email"] == ADA["email"]
        assert is_verified(api, ada["token"])

    def test_token_in_the_body_wins_over_a_bearer_token(self, api, token):
        def confirm_with(body, bearer):
            return api.post(CONFIRM, json={"confirm_token": body}, token=bearer)

        assert_error(confirm_with("nonsense", token), 401, "BadTokenError")
        assert confirm_with(token, "nonsense").status_code == 200

    @pytest.mark.parametrize("action", ["confirm", "reject", "undo"])
    @pytest.mark.parametrize("body", [None, {}, {"token": ""}, {"token": None}, {"token": 5}])
    def test_request_without_a_token_is_a_bad_request(self, api, action, body):
        field = "undo_token" if action == "undo" else "confirm_token"
        body = {field: body["token"]} if body else body
        response = api.post(f"/api/auth/email/{action}", json=body)
        assert assert_error(response, 400, "SchemaValidationError").keys() == {field}

    def test_nobody_is_logged_in(self, api, ada, token):
        before = User.objects.get().to_mongo()["sessions"]
        response = confirm(api, token)
        assert "eyJ" not in response.text
        assert "Set-Cookie" not in response.headers
        assert User.objects.get().to_mongo()["sessions"] == before
        assert api.verify(ada["token"]).status_code == 200

    def test_mailed_token_contains_no_email(self, api, ada, token, mails):
        verify_all()
        change_email(api, ada["token"])
        change_token = token_in(mails()[0])
        confirm(api, change_token)
        undo_token = token_in(mails()[0])
        undo(api, undo_token)
        for mailed in (token, change_token, undo_token, token_in(mails()[0])):
            claims = json.dumps(decode_parts(mailed)[1])
            assert "@" not in claims
            assert "example" not in claims

    def test_another_way_to_be_verified_voids_the_link(self, api, ada, token, mails):
        api.forgot()
        assert api.reset(token_in(mails()[0])).status_code == 200
        assert_error(confirm(api, token), 401, "UsedTokenError")


class TestVerified:
    """The API says whether an email is verified."""

    def test_access_token_says_it_from_the_next_pair_on(self, api, ada, token):
        assert decode_parts(ada["token"])[1]["verified"] is False
        confirm(api, token)
        for pair in (api.refresh(ada["refresh_token"]).json(), api.log_in().json()):
            assert decode_parts(pair["token"])[1]["verified"] is True

    def test_admin_sees_it_of_every_user(self, api, ada, eve, token):
        confirm(api, token)
        User.objects(email=ADA["email"]).update(set__role=ADMIN)
        listed = api.get("/api/users", token=ada["token"]).json()
        assert {user["email"]: user["verified"] for user in listed} == {
            ADA["email"]: True,
            EVE["email"]: False,
        }
        for user in listed:
            path = f"/api/users/{user['id']}"
            assert api.get(path, token=ada["token"]).json()["verified"] is user["verified"]


class TestExpiry:
    @pytest.mark.parametrize(("seconds", "status"), [(DAY - 1, 200), (DAY + 1, 401)])
    @pytest.mark.parametrize("action", [confirm, reject])
    def test_link_expires_after_24_hours(self, api, clock, token, action, seconds, status):
        clock.move_to(decode_parts(token)[1]["iat"] + seconds)
        response = action(api, token)
        assert response.status_code == status
        if status == 401:
            assert_error(response, 401, "ExpiredTokenError")
            assert User.objects.get().verified_at is None

    def test_hours_begin_when_the_email_is_sent(self, api, clock, ada, mails):
        clock.shift(5 * 3600)
        token = token_in(mails()[0])
        clock.shift(DAY - 2)
        assert confirm(api, token).status_code == 200

    def test_setting_is_in_hours(self, make_app, http, clock, mails):
        http.app = make_app(EMAIL_TOKEN_EXPIRE_HOURS=2)
        http.sign_up()
        token = token_in(mails()[0])
        clock.shift(2 * 3600 + 1)
        assert_error(confirm(http, token), 401, "ExpiredTokenError")


class TestConfirmAgain:
    def test_last_confirmed_token_is_accepted_again(self, api, token):
        first, again = confirm(api, token), confirm(api, token)
        assert (first.status_code, again.status_code) == (200, 200)
        assert first.json() == again.json()

    def test_every_other_token_is_void(self, api, token, another_token):
        assert confirm(api, token).status_code == 200
        assert_error(confirm(api, another_token), 401, "UsedTokenError")
        assert confirm(api, token).status_code == 200

    def test_confirmed_token_expires(self, api, clock, token):
        confirm(api, token)
        clock.shift(DAY + 1)
        assert_error(confirm(api, token), 401, "ExpiredTokenError")

    def test_token_is_void_once_the_email_was_changed(self, api, ada, token, mails):
        confirm(api, token)
        change_email(api, ada["token"])
        change_token = token_in(mails()[0])
        confirm(api, change_token)
        assert_error(confirm(api, token), 401, "UsedTokenError")
        assert confirm(api, change_token).json()["email"] == NEW_EMAIL

    def test_token_of_a_former_change_is_void(self, api, ada, token, mails):
        confirm(api, token)
        tokens = []
        for email in (NEW_EMAIL, ADA["email"]):
            change_email(api, ada["token"], email)
            tokens += [token_in(mail) for mail in mails() if scope_in(mail) == "change"]
            assert confirm(api, tokens[-1]).status_code == 200
        assert_error(confirm(api, tokens[0]), 401, "UsedTokenError")
        assert confirm(api, tokens[1]).json()["email"] == ADA["email"]
        assert_error(confirm(api, token), 401, "UsedTokenError")

    def test_token_is_void_after_an_undo(self, api, ada, token, mails):
        confirm(api, token)
        change_email(api, ada["token"])
        change_token = token_in(mails()[0])
        confirm(api, change_token)
        undo(api, token_in(mails()[0]))
        for void in (token, change_token):
            assert_error(confirm(api, void), 401, "UsedTokenError")


class TestReject:
    """The owner of an email says that an account or a change is not theirs."""

    def test_account_that_was_never_verified_is_deleted(self, api, ada, token, mails):
        movie = {"name": "Heat", "casts": ["Al Pacino"], "genres": ["Crime"]}
        assert api.post("/api/movies", json=movie, token=ada["token"]).status_code == 200
        api.forgot()
        response = reject(api, token)
        assert response.status_code == 200
        assert response.json().keys() == {"message"}
        assert not User.objects.first()
        assert not Job.objects(kind="send_email").first()
        assert mails() == []
        assert not Movie.objects.first()
        assert_error(api.verify(ada["token"]), 401, "SessionEndedError")
        assert api.log_in().status_code == 401
        assert api.sign_up().status_code == 200

    @pytest.mark.parametrize("way", ["this link", "another link", "a reset", "the shell"])
    def test_verified_account_stays(self, api, ada, token, another_token, mails, way):
        if way == "a reset":
            api.forgot()
            api.reset(token_in(mails()[0]))
        elif way == "the shell":
            words = ["user", "verify", ADA["email"]]
            assert api.app.test_cli_runner().invoke(args=words).exit_code == 0
        else:
            confirm(api, token if way == "this link" else another_token)
        assert_error(reject(api, token), 401, "UsedTokenError")
        assert User.objects.get().verified_at

    def test_confirmation_meanwhile_wins(self, api, token):
        as_read = User.objects.get()
        assert confirm(api, token).status_code == 200
        with api.app.app_context(), pytest.raises(errors.UsedTokenError):
            email_service.reject(as_read, decode_parts(token)[1])
        assert User.objects.get().is_verified

    def test_change_that_waits_is_dropped(self, api, ada, token, mails):
        change_email(api, ada["token"])
        change_token = token_in(mails()[0])
        assert reject(api, change_token).status_code == 200
        assert_error(confirm(api, change_token), 401, "UsedTokenError")
        assert api.verify(ada["token"]).json()["email"] == ADA["email"]
        assert confirm(api, token).status_code == 200

    def test_change_that_was_confirmed_stays(self, api, ada, token, mails):
        change_email(api, ada["token"])
        change_token = token_in(mails()[0])
        confirm(api, change_token)
        assert_error(reject(api, change_token), 401, "UsedTokenError")
        assert api.verify(ada["token"]).json()["email"] == NEW_EMAIL

    def test_second_time_is_refused(self, api, ada, token, mails):
        change_email(api, ada["token"])
        change_token = token_in(mails()[0])
        reject(api, change_token)
        assert_error(reject(api, change_token), 401, "UsedTokenError")
        reject(api, token)
        assert_error(reject(api, token), 401, "BadTokenError")
        assert_error(confirm(api, token), 401, "BadTokenError")

    def test_last_admin_stays(self, api, ada, token):
        User.objects.update(set__role=ADMIN)
        assert_error(reject(api, token), 409, "LastAdminError")
        assert api.get("/api/users", token=ada["token"]).status_code == 200

    def test_verified_admin_keeps_role_and_sessions(self, api, ada, eve, token):
        User.objects.update(set__role=ADMIN)
        confirm(api, token)
        assert_error(reject(api, token), 401, "UsedTokenError")
        assert api.get("/api/users", token=ada["token"]).status_code == 200

    def test_one_of_two_admins_is_deleted(self, api, ada, eve, token):
        User.objects.update(set__role=ADMIN)
        assert reject(api, token).status_code == 200
        assert [user.email for user in User.objects] == [EVE["email"]]


class TestResend:
    def test_every_email_gets_the_same_response(self, api, ada, eve, token):
        confirm(api, token)
        emails = (ADA["email"], EVE["email"], "unknown@example.com")
        responses = [resend(api, email) for email in emails]
        assert {response.status_code for response in responses} == {200}
        assert len({response.text for response in responses}) == 1
        assert responses[0].json().keys() == {"message"}

    def test_every_email_is_the_same_job(self, api, ada, eve, token):
        confirm(api, token)
        Job.objects.delete()
        emails = [ADA["email"], EVE["email"], "unknown@example.com"]
        for request in (resend, type(api).forgot):
            for email in emails:
                request(api, email)
            arguments = [dict(job.arguments) for job in Job.objects.order_by("id")]
            Job.objects.delete()
            same = {"mail": arguments[0]["mail"], "ip": "127.0.0.1"}
            assert arguments == [same | {"email": email} for email in emails]

    def test_only_an_unverified_user_gets_a_link(self, api, ada, eve, token, mails):
        confirm(api, token)
        mails()
        for email in (ADA["email"], EVE["email"], "unknown@example.com"):
            resend(api, email)
        assert recipients_and_links(mails()) == [(EVE["email"], "confirm")]

    @pytest.mark.parametrize("email", ["ada", "", 5, None, {"$ne": None}])
    def test_malformed_email_is_refused(self, api, email):
        response = api.post("/api/auth/email/resend", json={"email": email})
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"email"}

    @pytest.mark.parametrize("reason", ["confirmed", "deleted", "moved"])
    def test_queued_link_is_not_sent_once_it_is_needless(self, api, ada, token, mails, reason):
        api.sign_up(**EVE)
        resend(api, EVE["email"])
        eve = User.objects(email=EVE["email"])
        if reason == "confirmed":
            eve.update(set__verified_at=1.0)
        elif reason == "deleted":
            eve.delete()
        else:
            eve.update(set__email=NEW_EMAIL)
        assert mails() == []

    def test_later_link_confirms_too(self, api, ada, another_token):
        assert confirm(api, another_token).status_code == 200
        assert is_verified(api, ada["token"])


class TestReset:
    """A reset through a mailed link verifies the email too."""

    def test_reset_verifies(self, api, ada, token, mails):
        api.forgot()
        assert api.reset(token_in(mails()[0])).status_code == 200
        assert is_verified(api, api.log_in(password=NEW_PASSWORD).json()["token"])

    def test_changed_password_does_not(self, api, ada):
        body = {"current_password": ADA["password"], "password": NEW_PASSWORD}
        pair = api.put("/api/auth/password", json=body, token=ada["token"]).json()
        assert not is_verified(api, pair["token"])
