"""Emails that are taken, or reserved for who left them (contract: "Email addresses")."""

import pytest

from database.emails import ReservedEmail
from database.models import ADMIN, User
from services import email_change_service
from tests.support.assertions import assert_error
from tests.support.client import ADA, EVE
from tests.support.email_client import (
    DAY,
    NEW_EMAIL,
    THIRD_EMAIL,
    change_email,
    confirm,
    move,
    recipients_and_links,
    undo,
    verify_all,
)
from tests.support.smtp_server import token_in
from tests.support.users import create_user


@pytest.fixture
def settings(settings):
    """Return settings under which a signup mails a link."""
    return {**settings, "EMAIL_VERIFICATION": "optional"}


class TestTakenEmail:
    def test_email_taken_meanwhile_is_refused(self, api, verified, change_token):
        create_user(NEW_EMAIL)
        assert_error(confirm(api, change_token), 400, "EmailAlreadyExistsError")
        assert api.verify(verified["token"]).json()["email"] == ADA["email"]
        assert User.objects(email=NEW_EMAIL).count() == 1
        User.objects(email=NEW_EMAIL).delete()
        assert confirm(api, change_token).status_code == 200

    def test_one_of_two_changes_to_an_email_succeeds(self, api, verified, eve, mails):
        mails()
        for token, password in ((verified, ADA["password"]), (eve, EVE["password"])):
            change_email(api, token["token"], NEW_EMAIL, password)
        first, second = (token_in(mail) for mail in mails())
        assert confirm(api, first).status_code == 200
        assert_error(confirm(api, second), 400, "EmailAlreadyExistsError")

    def test_too_many_changes_are_a_conflict(self, api, verified, mails):
        former = {f"{i:024x}": {"email": f"{i}@example.com", "at": 1e11} for i in range(20)}
        User.objects.update(set__former_emails=former)
        change_email(api, verified["token"])
        assert_error(confirm(api, token_in(mails()[0])), 409, "ConflictError")


class TestReservation:
    """A former email is its user's for 7 days."""

    @pytest.fixture
    def moved(self, api, verified, mails):
        """Return the tokens of Ada, who has left her email."""
        move(api, mails, verified["token"], NEW_EMAIL)
        return verified

    def test_nobody_can_sign_up_with_it(self, api, moved):
        assert_error(api.sign_up(), 400, "EmailAlreadyExistsError")
        User.objects.update(set__role=ADMIN)
        response = api.post("/api/users", json=ADA, token=moved["token"])
        assert_error(response, 400, "EmailAlreadyExistsError")
        words = ["user", "create", ADA["email"], "--password", ADA["password"]]
        assert api.app.test_cli_runner().invoke(args=words).exit_code == 1
        assert [user.email for user in User.objects] == [NEW_EMAIL]

    def test_nobody_gets_a_link_to_move_to_it(self, api, moved, eve, mails):
        mails()
        free, reserved = (
            change_email(api, eve["token"], email, EVE["password"])
            for email in (THIRD_EMAIL, ADA["email"])
        )
        assert (reserved.status_code, reserved.text) == (200, free.text)
        assert "change" not in [scope for _, scope in recipients_and_links(mails())]

    def test_nobody_moves_to_it_with_an_earlier_link(self, api, verified, eve, mails):
        mails()
        notices = move(api, mails, verified["token"], NEW_EMAIL)
        reserved = ReservedEmail.objects.get(email=ADA["email"])
        reserved.delete()
        change_email(api, eve["token"], ADA["email"], EVE["password"])
        change_token = token_in(mails()[0])
        reserved.save(force_insert=True)
        assert_error(confirm(api, change_token), 400, "EmailAlreadyExistsError")
        assert undo(api, token_in(notices[0])).status_code == 200

    def test_owner_may_move_back(self, api, moved, mails):
        notices = move(api, mails, moved["token"], ADA["email"])
        assert recipients_and_links(notices) == [(NEW_EMAIL, "undo")]
        assert_error(api.sign_up(email=NEW_EMAIL), 400, "EmailAlreadyExistsError")

    @pytest.mark.parametrize("seconds", [7 * DAY - 1, 7 * DAY + 1])
    def test_it_is_free_after_7_days(self, api, clock, verified, mails, seconds):
        move(api, mails, verified["token"], NEW_EMAIL)
        clock.shift(seconds)
        with api.app.app_context():
            email_change_service.delete_expired()
        is_over = seconds > 7 * DAY
        assert bool(ReservedEmail.objects(email=ADA["email"])) is not is_over
        assert bool(User.objects.get().former_emails) is not is_over
        assert not ReservedEmail.objects(email=NEW_EMAIL)
        assert api.sign_up().status_code == (200 if is_over else 400)

    def test_it_is_free_before_anything_is_swept(self, api, clock, moved):
        clock.shift(7 * DAY + 1)
        assert api.sign_up().status_code == 200

    def test_another_user_may_move_to_it_then(self, api, clock, moved, eve, mails):
        clock.shift(7 * DAY + 1)
        token = api.log_in(**EVE).json()["token"]
        assert move(api, mails, token, ADA["email"], EVE["password"]) == []
        assert api.verify(token).json()["email"] == ADA["email"]

    def test_days_are_a_setting(self, make_app, http, clock, mails):
        http.app = make_app(UNDO_TOKEN_EXPIRE_DAYS=2)
        http.sign_up()
        verify_all()
        move(http, mails, http.log_in().json()["token"], NEW_EMAIL)
        clock.shift(2 * DAY - 1)
        assert http.sign_up().status_code == 400
        clock.shift(2)
        assert http.sign_up().status_code == 200

    def test_it_is_free_once_its_user_is_deleted(self, api, moved):
        body = {"current_password": ADA["password"]}
        assert api.delete("/api/users/me", json=body, token=moved["token"]).status_code == 200
        assert not ReservedEmail.objects.first()
        assert api.sign_up().status_code == 200

    def test_refused_change_reserves_no_email_for_long(self, api, clock, verified, change_token):
        create_user(NEW_EMAIL)
        confirm(api, change_token)
        User.objects(email=NEW_EMAIL).delete()
        clock.shift(61)
        assert api.sign_up(email=NEW_EMAIL).status_code == 200
