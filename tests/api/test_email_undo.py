"""The way back from a change of the email (contract: "Email addresses", Undo)."""

import pytest

from database.emails import ReservedEmail
from database.models import ADMIN, User
from tests.support.assertions import assert_error
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.email_client import (
    DAY,
    NEW_EMAIL,
    THIRD_EMAIL,
    change_email,
    confirm,
    is_verified,
    move,
    recipients_and_links,
    reject,
    resend,
    undo,
    verify_all,
)
from tests.support.smtp_server import token_in
from tests.support.tokens import decode_parts
from tests.support.users import create_user

PATH = "/api/auth/email/undo"


@pytest.fixture
def settings(settings):
    """Return settings under which a signup mails a link."""
    return {**settings, "EMAIL_VERIFICATION": "optional"}


@pytest.fixture
def undo_token(api, verified, mails):
    """Return the token that undoes Ada's change to NEW_EMAIL."""
    return token_in(move(api, mails, verified["token"], NEW_EMAIL)[0])


@pytest.fixture
def two_tokens(api, verified, undo_token, mails):
    """Return the tokens that undo Ada's change to NEW_EMAIL, and that to THIRD_EMAIL after it."""
    return undo_token, token_in(move(api, mails, verified["token"], THIRD_EMAIL)[0])


class TestUndo:
    @pytest.mark.parametrize("place", ["body", "header"])
    def test_former_email_is_restored(self, api, undo_token, mails, place):
        sent = {"json": {"undo_token": undo_token}} if place == "body" else {"token": undo_token}
        response = api.post(PATH, **sent)
        assert response.status_code == 200
        assert response.json().keys() == {"message", "email"}
        assert response.json()["email"] == ADA["email"]
        assert "eyJ" not in response.text
        (user,) = User.objects
        assert (user.email, user.is_verified) == (ADA["email"], True)

    def test_token_in_the_body_wins_over_a_bearer_token(self, api, undo_token):
        def undo_with(body, bearer):
            return api.post(PATH, json={"undo_token": body}, token=bearer)

        assert_error(undo_with("nonsense", undo_token), 401, "BadTokenError")
        assert undo_with(undo_token, "nonsense").status_code == 200

    def test_every_session_is_ended(self, api, verified, undo_token):
        other = api.log_in(email=NEW_EMAIL).json()
        undo(api, undo_token)
        for pair in (verified, other):
            assert_error(api.verify(pair["token"]), 401, "SessionEndedError")
            assert_error(api.refresh(pair["refresh_token"]), 401, "SessionEndedError")

    @pytest.mark.parametrize("password", [ADA["password"], "", "-"])
    def test_no_password_logs_in(self, api, undo_token, password):
        undo(api, undo_token)
        for email in (ADA["email"], NEW_EMAIL):
            assert_error(api.log_in(email=email, password=password), 401, "UnauthorizedError")

    def test_reset_link_is_mailed_to_the_restored_email(self, api, undo_token, mails):
        undo(api, undo_token)
        (mail,) = mails()
        assert recipients_and_links([mail]) == [(ADA["email"], "pwd_reset")]
        assert api.reset(token_in(mail)).status_code == 200
        assert is_verified(api, api.log_in(password=NEW_PASSWORD).json()["token"])

    def test_password_can_be_forgotten_afterwards(self, api, undo_token, mails):
        undo(api, undo_token)
        mails()
        api.forgot()
        assert api.reset(token_in(mails()[0])).status_code == 200

    def test_every_other_link_is_void(self, api, verified, undo_token, mails):
        api.forgot(NEW_EMAIL)
        reset = token_in(mails()[0])
        change_email(api, verified["token"], THIRD_EMAIL)
        change = token_in(mails()[0])
        undo(api, undo_token)
        assert_error(api.reset(reset), 401, "UsedTokenError")
        for action in (confirm, reject):
            assert_error(action(api, change), 401, "UsedTokenError")

    def test_restored_email_is_a_users_and_not_reserved(self, api, undo_token):
        undo(api, undo_token)
        assert not ReservedEmail.objects(email=ADA["email"])
        assert_error(api.sign_up(), 400, "EmailAlreadyExistsError")

    def test_email_that_was_left_is_free_after_a_minute(self, api, clock, undo_token):
        undo(api, undo_token)
        clock.shift(61)
        assert api.sign_up(email=NEW_EMAIL).status_code == 200

    def test_change_back_can_be_undone_too(self, api, verified, undo_token, mails):
        move(api, mails, verified["token"], ADA["email"])
        assert undo(api, undo_token).json()["email"] == ADA["email"]
        assert_error(api.verify(verified["token"]), 401, "SessionEndedError")
        assert recipients_and_links(mails()) == [(ADA["email"], "pwd_reset")]


class TestTwoChanges:
    def test_earlier_undo_voids_the_later_one(self, api, clock, two_tokens):
        first, second = two_tokens
        assert undo(api, first).json()["email"] == ADA["email"]
        assert_error(undo(api, second), 401, "UsedTokenError")
        assert User.objects.get().email == ADA["email"]
        clock.shift(61)
        for email in (NEW_EMAIL, THIRD_EMAIL):
            assert api.sign_up(email=email).status_code == 200

    def test_later_undo_leaves_the_earlier_one(self, api, two_tokens, mails):
        first, second = two_tokens
        assert undo(api, second).json()["email"] == NEW_EMAIL
        assert recipients_and_links(mails()) == [(NEW_EMAIL, "pwd_reset")]
        assert_error(api.sign_up(), 400, "EmailAlreadyExistsError")
        assert undo(api, first).json()["email"] == ADA["email"]
        assert recipients_and_links(mails()) == [(ADA["email"], "pwd_reset")]
        assert_error(undo(api, second), 401, "UsedTokenError")

    def test_both_former_emails_are_reserved(self, api, two_tokens):
        for email in (ADA["email"], NEW_EMAIL):
            assert_error(api.sign_up(email=email), 400, "EmailAlreadyExistsError")

    def test_order_does_not_depend_on_clocks(self, api, clock, verified, mails):
        # The machine that confirms the second change may have a clock that is behind.
        first = token_in(move(api, mails, verified["token"], NEW_EMAIL)[0])
        clock.shift(-5)
        second = token_in(move(api, mails, verified["token"], THIRD_EMAIL)[0])
        assert undo(api, first).status_code == 200
        assert_error(undo(api, second), 401, "UsedTokenError")

    def test_changes_within_one_moment_keep_their_order(self, api, clock, verified, mails):
        first, second = (
            token_in(move(api, mails, verified["token"], email)[0])
            for email in (NEW_EMAIL, THIRD_EMAIL)
        )
        assert undo(api, second).json()["email"] == NEW_EMAIL
        assert undo(api, first).json()["email"] == ADA["email"]

    def test_undo_of_a_change_back_keeps_what_was_before(self, api, verified, two_tokens, mails):
        first, second = two_tokens
        third = token_in(move(api, mails, verified["token"], ADA["email"])[0])
        assert undo(api, third).json()["email"] == THIRD_EMAIL
        assert undo(api, second).json()["email"] == NEW_EMAIL
        assert undo(api, first).json()["email"] == ADA["email"]


class TestLink:
    """What an undo link survives, and what voids it."""

    @pytest.mark.parametrize(
        "way",
        [
            *("reset", "new password", "role", "all sessions", "later change", "later undo"),
            *("waiting change", "rejected change", "name"),
        ],
    )
    def test_link_survives(self, api, verified, undo_token, mails, way):
        self.act(api, verified["token"], mails, way)
        assert undo(api, undo_token).json()["email"] == ADA["email"]
        assert api.log_in(password=NEW_PASSWORD).status_code == 401

    def act(self, api, token, mails, way):
        current = {"current_password": ADA["password"]}
        if way == "reset":
            api.forgot(NEW_EMAIL)
            assert api.reset(token_in(mails()[0])).status_code == 200
        elif way == "new password":
            body = current | {"password": NEW_PASSWORD}
            assert api.put("/api/auth/password", json=body, token=token).status_code == 200
        elif way == "role":
            create_user(EVE["email"], ADMIN)
            for command in ("promote", "demote"):
                words = ["user", command, NEW_EMAIL]
                assert api.app.test_cli_runner().invoke(args=words).exit_code == 0
        elif way == "all sessions":
            assert api.delete("/api/auth/sessions", token=token).status_code == 200
        elif way == "name":
            body = {"name": "Ada"}
            assert api.patch("/api/users/me", json=body, token=token).status_code == 200
        elif way in ("later change", "later undo"):
            notices = move(api, mails, token, THIRD_EMAIL)
            if way == "later undo":
                assert undo(api, token_in(notices[0])).status_code == 200
        else:
            change_email(api, token, THIRD_EMAIL)
            (mail,) = mails()
            if way == "rejected change":
                assert reject(api, token_in(mail)).status_code == 200

    def test_link_works_once(self, api, undo_token, mails):
        undo(api, undo_token)
        (mail,) = mails()
        assert_error(undo(api, undo_token), 401, "UsedTokenError")
        assert mails() == []
        assert api.reset(token_in(mail)).status_code == 200

    def test_link_is_void_once_the_user_is_deleted(self, api, verified, undo_token):
        body = {"current_password": ADA["password"]}
        api.delete("/api/users/me", json=body, token=verified["token"])
        for _ in ("before a new signup", "after it"):
            assert_error(undo(api, undo_token), 401, "BadTokenError")
            api.sign_up()

    @pytest.mark.parametrize(("seconds", "status"), [(7 * DAY - 1, 200), (7 * DAY, 401)])
    def test_link_expires_after_7_days(self, api, clock, verified, mails, seconds, status):
        token = token_in(move(api, mails, verified["token"], NEW_EMAIL)[0])
        clock.move_to(decode_parts(token)[1]["iat"] + seconds)
        response = undo(api, token)
        assert response.status_code == status
        if status == 401:
            assert_error(response, 401, "ExpiredTokenError")

    def test_days_begin_at_the_confirmation(self, api, clock, verified, mails):
        change_email(api, verified["token"])
        confirm(api, token_in(mails()[0]))
        clock.shift(DAY)
        token = token_in(mails()[0])
        clock.shift(6 * DAY - 2)
        assert undo(api, token).status_code == 200

    def test_days_do_not_begin_at_the_sending(self, api, clock, verified, mails):
        change_email(api, verified["token"])
        confirm(api, token_in(mails()[0]))
        clock.shift(DAY)
        token = token_in(mails()[0])
        clock.shift(6 * DAY + 1)
        assert_error(undo(api, token), 401, "ExpiredTokenError")

    def test_days_are_a_setting(self, make_app, http, clock, mails):
        http.app = make_app(UNDO_TOKEN_EXPIRE_DAYS=2)
        http.sign_up()
        verify_all()
        notices = move(http, mails, http.log_in().json()["token"], NEW_EMAIL)
        clock.shift(2 * DAY + 1)
        assert_error(undo(http, token_in(notices[0])), 401, "ExpiredTokenError")

    def test_link_of_another_user_does_not_undo_it(self, api, verified, eve, undo_token, mails):
        verify_all()
        eves = move(api, mails, eve["token"], THIRD_EMAIL, EVE["password"])
        assert undo(api, token_in(eves[0])).json()["email"] == EVE["email"]
        assert User.objects(email=NEW_EMAIL)


class TestAfterwards:
    """What the restored user can do."""

    def test_user_can_move_again(self, api, undo_token, mails):
        undo(api, undo_token)
        api.reset(token_in(mails()[0]))
        token = api.log_in(password=NEW_PASSWORD).json()["token"]
        notices = move(api, mails, token, NEW_EMAIL, NEW_PASSWORD)
        assert recipients_and_links(notices) == [(ADA["email"], "undo")]
        assert undo(api, token_in(notices[0])).status_code == 200

    def test_verified_user_needs_no_confirmation(self, api, undo_token, mails):
        undo(api, undo_token)
        mails()
        resend(api)
        assert mails() == []
