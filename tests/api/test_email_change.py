"""Changes of the email (contract: "Email addresses")."""

import re

import pytest

from database.models import Job, User
from services import email_change_service, errors
from tests.support.assertions import assert_error
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.email_client import (
    NEW_EMAIL,
    THIRD_EMAIL,
    change_email,
    confirm,
    is_verified,
    move,
    recipients_and_links,
    resend,
    scope_in,
    undo,
    verify_all,
)
from tests.support.smtp_server import html_of, text_of, token_in
from tests.support.tokens import decode_parts
from tests.support.users import create_user

PATH = "/api/auth/email"
CHALLENGE = 'Bearer error="insufficient_user_authentication", max_age='


@pytest.fixture
def settings(settings):
    """Return settings under which a signup mails a link."""
    return {**settings, "EMAIL_VERIFICATION": "optional"}


def pending():
    return User.objects.get(email=ADA["email"]).pending_change


class TestRequest:
    def test_link_goes_to_the_new_email_alone(self, api, verified, mails):
        response = change_email(api, verified["token"])
        assert response.status_code == 200
        assert response.json().keys() == {"message"}
        assert recipients_and_links(mails()) == [(NEW_EMAIL, "change")]
        assert api.verify(verified["token"]).json()["email"] == ADA["email"]
        assert api.log_in(email=NEW_EMAIL).status_code == 401

    def test_mail_and_page_say_since_when_the_account_exists(self, api, verified, mails):
        User.objects.update(set__created_at=1_000_000_000)
        change_email(api, verified["token"])
        (mail,) = mails()
        page = api.get(f"/confirm/{token_in(mail)}").text
        for text in (text_of(mail), html_of(mail), page):
            assert re.search(r"\b9\b.*\b2001\b", text)
            assert ADA["email"] not in text

    def test_email_is_normalised(self, api, verified, mails):
        change_email(api, verified["token"], f" {NEW_EMAIL.upper()}\t")
        assert recipients_and_links(mails()) == [(NEW_EMAIL, "change")]

    @pytest.mark.parametrize("email", [ADA["email"], f" {ADA['email'].upper()}"])
    def test_own_email_mails_nothing_and_nothing_waits(self, api, verified, mails, email):
        response = change_email(api, verified["token"], email)
        assert response.text == change_email(api, verified["token"]).text
        assert response.status_code == 200
        mails()
        assert change_email(api, verified["token"], email).status_code == 200
        assert mails() == []
        assert not pending()

    def test_own_email_voids_the_change_that_waits(self, api, verified, change_token):
        change_email(api, verified["token"], ADA["email"])
        assert_error(confirm(api, change_token), 401, "UsedTokenError")

    @pytest.mark.parametrize("is_owner_verified", [True, False])
    def test_taken_email_gets_a_notice_without_a_link(self, api, mails, is_owner_verified):
        api.sign_up(name="Mallory")
        token = api.log_in().json()["token"]
        verify_all()
        owner = create_user(EVE["email"])
        owner.update(set__name="Evelyn", set__verified_at=1.0 if is_owner_verified else None)
        mails()
        taken, free = (change_email(api, token, email) for email in (EVE["email"], NEW_EMAIL))
        assert (taken.status_code, taken.text) == (200, free.text)
        change_email(api, token, EVE["email"])
        *_, notice = sent = mails()
        assert recipients_and_links(sent) == [(EVE["email"], None)] * 2
        for text in (text_of(notice), html_of(notice), str(notice)):
            assert "Mallory" not in text
            assert ADA["email"] not in text
            assert ("Evelyn" in text) <= is_owner_verified

    def test_unknown_and_invalid_fields_are_named(self, api, verified):
        body = {"email": "ada", "current_password": ADA["password"], "name": "x"}
        response = api.put(PATH, json=body, token=verified["token"])
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"email", "name"}
        response = api.put(PATH, json={}, token=verified["token"])
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"email"}

    def test_access_token_is_needed(self, api, verified, change_token):
        assert_error(api.put(PATH, json={"email": NEW_EMAIL}), 401, "MissingTokenError")
        for token in (verified["refresh_token"], change_token):
            assert_error(change_email(api, token), 401, "BadTokenError")
        api.log_out(verified["token"])
        assert_error(change_email(api, verified["token"]), 401, "SessionEndedError")


class TestPassword:
    @pytest.mark.parametrize("seconds", [0, 601])
    @pytest.mark.parametrize("password", ["wrong", "", ADA["password"].upper()])
    def test_wrong_password_is_refused(self, api, clock, verified, mails, seconds, password):
        clock.shift(seconds)
        response = change_email(api, verified["token"], password=password)
        errors = assert_error(response, 400, "SchemaValidationError")
        assert errors.keys() == {"current_password"}
        assert mails() == []
        assert not pending()

    def test_right_password_is_enough(self, api, clock, verified, mails):
        clock.shift(601)
        assert change_email(api, verified["token"]).status_code == 200
        assert len(mails()) == 1

    def test_recent_session_is_enough(self, api, clock, verified, mails):
        clock.shift(599)
        assert change_email(api, verified["token"], password=None).status_code == 200
        assert len(mails()) == 1

    @pytest.mark.parametrize("email", [NEW_EMAIL, ADA["email"]])
    def test_older_session_needs_it(self, api, clock, verified, mails, email):
        clock.shift(600)
        response = change_email(api, verified["token"], email, password=None)
        assert_error(response, 401, "ReauthenticationRequiredError")
        assert response.headers["WWW-Authenticate"] == f"{CHALLENGE}600"
        assert response.json()["message"] == "Confirm that it is you to do this"
        assert mails() == []
        assert not pending()

    def test_seconds_are_a_setting(self, make_app, http, clock):
        http.app = make_app(REAUTHENTICATE_SECONDS=5)
        http.sign_up()
        token = http.log_in().json()["token"]
        clock.shift(4)
        assert change_email(http, token, password=None).status_code == 200
        clock.shift(2)
        response = change_email(http, token, password=None)
        assert response.headers["WWW-Authenticate"] == f"{CHALLENGE}5"

    def test_refresh_and_other_sessions_do_not_make_it_recent(self, api, clock, verified):
        clock.shift(599)
        token = api.refresh(verified["refresh_token"]).json()["token"]
        clock.shift(2)
        other = api.log_in().json()["token"]
        response = change_email(api, token, password=None)
        assert_error(response, 401, "ReauthenticationRequiredError")
        assert change_email(api, other, password=None).status_code == 200

    def test_null_is_not_valid(self, api, verified):
        body = {"email": NEW_EMAIL, "current_password": None}
        response = api.put(PATH, json=body, token=verified["token"])
        assert_error(response, 400, "SchemaValidationError")


class TestLimits:
    @pytest.fixture
    def limited(self, make_app, http):
        """Return a function that serves with limits, and returns the client and Ada's token."""

        def serve(**changed):
            http.app = make_app(RATELIMIT_ENABLED=True, **changed)
            http.sign_up()
            return http, http.log_in().json()["token"]

        return serve

    def test_mails_to_an_email_count_together(self, limited, mails):
        api, token = limited()
        mails()
        assert change_email(api, token, EVE["email"]).status_code == 200
        assert resend(api, EVE["email"]).status_code == 200
        assert api.forgot(EVE["email"]).status_code == 200
        for request in (change_email(api, token, EVE["email"]), resend(api, EVE["email"])):
            assert_error(request, 429, "TooManyRequestsError")
        assert api.forgot(EVE["email"]).status_code == 429
        assert len(mails()) == 1
        assert change_email(api, token, NEW_EMAIL).status_code == 200

    @pytest.mark.parametrize("password", ["wrong", ADA["password"], None])
    def test_requests_of_a_user_count_together(self, limited, password):
        api, token = limited(RATELIMIT_PASSWORD_PER_USER="2 per minute")
        emails = [f"{i}@example.com" for i in range(3)]
        responses = [change_email(api, token, email, password) for email in emails]
        assert [response.status_code == 429 for response in responses] == [False, False, True]
        body = {"current_password": ADA["password"]}
        assert api.delete("/api/users/me", json=body, token=token).status_code == 429


class TestInterruptedRequest:
    """While the password is verified, another request may end the session or change the user."""

    @pytest.mark.parametrize(
        ("update", "error"),
        [
            ({"set__sessions": {}}, errors.SessionEndedError),
            ({"inc__password_version": 1}, errors.ConflictError),
        ],
    )
    def test_nothing_waits(self, api, verified, mails, update, error):
        user, claims = User.objects.get(), decode_parts(verified["token"])[1]
        User.objects.update(**update)
        with api.app.app_context(), pytest.raises(error):
            email_change_service.request_change(user, claims, NEW_EMAIL, ADA["password"])
        assert not pending()
        assert mails() == []


class TestConfirmedChange:
    def test_email_is_replaced_and_sessions_go_on(self, api, verified, change_token):
        response = confirm(api, change_token)
        assert response.status_code == 200
        assert response.json()["email"] == NEW_EMAIL
        assert "eyJ" not in response.text
        assert api.verify(verified["token"]).json()["email"] == NEW_EMAIL
        assert api.refresh(verified["refresh_token"]).json()["email"] == NEW_EMAIL
        assert api.log_in(email=NEW_EMAIL).status_code == 200
        assert api.log_in().status_code == 401

    def test_user_stays_verified(self, api, verified, change_token):
        confirm(api, change_token)
        assert is_verified(api, verified["token"])
        pair = api.refresh(verified["refresh_token"]).json()
        assert decode_parts(pair["token"])[1]["verified"] is True

    def test_link_to_the_new_email_verifies_it(self, api, ada, mails):
        mails()
        change_email(api, ada["token"])
        assert not is_verified(api, ada["token"])
        confirm(api, token_in(mails()[0]))
        assert is_verified(api, ada["token"])

    def test_link_of_the_signup_does_not_confirm_another_email(self, api, ada, mails):
        signup_token = token_in(mails()[0])
        change_email(api, ada["token"])
        change_token = token_in(mails()[0])
        assert confirm(api, signup_token).json()["email"] == ADA["email"]
        assert api.verify(ada["token"]).json()["email"] == ADA["email"]
        confirm(api, change_token)
        assert_error(confirm(api, signup_token), 401, "UsedTokenError")

    def test_links_mailed_to_the_former_email_are_void(self, api, ada, mails):
        confirmation = token_in(mails()[0])
        api.forgot()
        reset = token_in(mails()[0])
        move(api, mails, ada["token"], NEW_EMAIL)
        assert_error(api.reset(reset), 401, "UsedTokenError")
        assert_error(confirm(api, confirmation), 401, "UsedTokenError")
        for page in (f"/reset/{reset}", f"/confirm/{confirmation}"):
            assert api.get(page).status_code == 401

    def test_links_requested_for_the_former_email_are_not_sent(self, api, ada, mails):
        mails()
        change_email(api, ada["token"])
        token = token_in(mails()[0])
        api.forgot()
        resend(api)
        confirm(api, token)
        assert mails() == []

    def test_confirmed_token_of_a_former_email_does_not_undo_it(self, api, verified, mails):
        notices = move(api, mails, verified["token"], NEW_EMAIL)
        assert scope_in(notices[0]) == "undo"
        assert_error(confirm(api, token_in(notices[0])), 401, "BadTokenError")


class TestNotice:
    def test_verified_former_email_gets_an_undo_link(self, api, verified, mails):
        notices = move(api, mails, verified["token"], NEW_EMAIL)
        assert recipients_and_links(notices) == [(ADA["email"], "undo")]

    def test_unverified_former_email_gets_nothing(self, api, ada, mails):
        assert move(api, mails, ada["token"], NEW_EMAIL) == []
        user = User.objects.get()
        assert not user.former_emails
        assert api.sign_up().status_code == 200

    @pytest.mark.parametrize("email", [NEW_EMAIL, "grace.hopper@x.example", "g@new.example"])
    def test_new_email_is_not_in_it_in_full(self, api, verified, mails, email):
        (notice,) = move(api, mails, verified["token"], email)
        for text in (str(notice), text_of(notice), html_of(notice)):
            assert email not in text
            # The id of the notice may end as the email begins.
            others = re.sub("[0-9a-f]{24}@", "", text.replace(ADA["email"], ""))
            assert email.partition("@")[0] + "@" not in others
            assert "hopper" not in text
            assert "g…" not in text or len(email.partition("@")[0]) > 1

    def test_refused_confirmation_sends_none(self, api, verified, change_token, mails):
        create_user(NEW_EMAIL)
        assert confirm(api, change_token).status_code == 400
        assert mails() == []


class TestVoidChange:
    """A change that waits is bound to its email, and to the credentials that asked for it."""

    @pytest.mark.parametrize("second", [THIRD_EMAIL, NEW_EMAIL])
    def test_second_request_voids_the_first(self, api, verified, mails, change_token, second):
        change_email(api, verified["token"], second)
        latest = token_in(mails()[0])
        assert_error(confirm(api, change_token), 401, "UsedTokenError")
        assert confirm(api, latest).json()["email"] == second

    def test_queued_link_of_a_replaced_change_is_not_sent(self, api, verified, mails):
        change_email(api, verified["token"])
        change_email(api, verified["token"], THIRD_EMAIL)
        assert recipients_and_links(mails()) == [(THIRD_EMAIL, "change")]

    @pytest.mark.parametrize(
        "way",
        [
            *("new password", "reset", "all sessions", "shell", "shell for all", "role", "deleted"),
            "undo",
        ],
    )
    def test_change_of_credentials_voids_it(self, api, verified, mails, way):
        notices = move(api, mails, verified["token"], THIRD_EMAIL) if way == "undo" else []
        change_email(api, verified["token"])
        change_token = token_in(mails()[0])
        self.act(api, verified["token"], mails, way, notices)
        error = "BadTokenError" if way == "deleted" else "UsedTokenError"
        assert_error(confirm(api, change_token), 401, error)
        assert not User.objects(email=NEW_EMAIL)

    def act(self, api, token, mails, way, notices):
        current = {"current_password": ADA["password"]}
        commands = {
            "shell": ["sessions", "revoke", ADA["email"]],
            "shell for all": ["sessions", "revoke", "--all"],
            "role": ["user", "promote", ADA["email"]],
            "deleted": ["user", "delete", "--yes", ADA["email"]],
        }
        if way == "new password":
            body = current | {"password": NEW_PASSWORD}
            assert api.put("/api/auth/password", json=body, token=token).status_code == 200
        elif way == "reset":
            api.forgot()
            assert api.reset(token_in(mails()[0])).status_code == 200
        elif way == "all sessions":
            assert api.delete("/api/auth/sessions", token=token).status_code == 200
        elif way == "undo":
            assert undo(api, token_in(notices[0])).status_code == 200
        else:
            assert api.app.test_cli_runner().invoke(args=commands[way]).exit_code == 0

    def test_queued_link_is_not_sent_once_it_is_void(self, api, verified, mails):
        change_email(api, verified["token"])
        api.delete("/api/auth/sessions", token=verified["token"])
        assert mails() == []

    def test_nothing_but_the_notice_is_sent_once_the_user_is_deleted(self, api, verified, mails):
        change_email(api, verified["token"])
        api.forgot()
        assert api.sign_up(email=NEW_EMAIL).status_code == 200
        body = {"current_password": ADA["password"]}
        assert api.delete("/api/users/me", json=body, token=verified["token"]).status_code == 200
        assert recipients_and_links(mails()) == [(ADA["email"], None), (NEW_EMAIL, "confirm")]
        assert not Job.objects(kind="send_email")

    def test_it_survives_a_refresh_and_a_login(self, api, verified, change_token):
        api.refresh(verified["refresh_token"])
        api.log_in()
        assert confirm(api, change_token).status_code == 200
