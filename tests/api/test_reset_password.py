"""POST /api/auth/reset: a new password with the token of an emailed link."""

import pytest
from pymongo.errors import AutoReconnect

from database.models import User
from jobs import queue
from tests.support.client import ADA, NEW_PASSWORD
from tests.support.concurrency import run_simultaneously
from tests.support.smtp_server import html_of, text_of, token_in
from tests.support.tokens import decode_parts, reset_token

USED = {
    "message": "Reset token has already been used",
    "status": 401,
    "error": "UsedTokenError",
}


NO_FACTORS = {"totp": False, "passkeys": 0, "recovery_codes_left": 0}
DONE = {"message": "Password has been reset", "email": ADA["email"], "factors": NO_FACTORS}


@pytest.fixture
def token(app, ada):
    """Return a reset token of Ada's that no email was sent for."""
    return reset_token(app, User.objects.get())


class TestResetPassword:
    """What a valid token does."""

    def test_mailed_token_sets_the_password(self, api, mailed_token):
        response = api.reset(mailed_token)
        assert response.status_code == 200
        assert response.json() == DONE
        assert api.log_in(password=NEW_PASSWORD).status_code == 200
        assert api.log_in().status_code == 401

    def test_bearer_token_sets_the_password(self, api, token):
        response = api.post("/api/auth/reset", json={"password": NEW_PASSWORD}, token=token)
        assert response.status_code == 200
        assert response.json() == DONE
        assert api.log_in(password=NEW_PASSWORD).status_code == 200
        assert api.log_in().status_code == 401

    def test_token_in_the_body_wins_over_a_bearer_token(self, api, token):
        body = {"password": NEW_PASSWORD, "reset_token": token}
        assert api.post("/api/auth/reset", json=body, token="nonsense").status_code == 200

    def test_every_session_is_revoked(self, api, ada, token):
        other = api.log_in().json()
        api.reset(token)
        for tokens in (ada, other):
            assert api.verify(tokens["token"]).status_code == 401
            assert api.refresh(tokens["refresh_token"]).status_code == 401

    def test_owner_gets_a_notice(self, api, token, mailbox):
        api.reset(token)
        notice = mailbox.wait_for(1)[0]
        assert notice["To"] == ADA["email"]
        for body in (text_of(notice), html_of(notice)):
            assert "was just changed" in body
            assert "eyJ" not in body


class TestResetToken:
    """When a token is valid."""

    def test_token_works_once(self, api, token):
        api.reset(token)
        response = api.reset(token, "another good passphrase")
        assert response.status_code == 401
        assert response.json() == USED
        assert api.log_in(password=NEW_PASSWORD).status_code == 200

    def test_reset_voids_every_other_mailed_link(self, api, ada, mailbox):
        api.forgot()
        api.forgot()
        first, second = map(token_in, mailbox.wait_for(2))
        assert first != second
        api.reset(second)
        assert api.reset(first).json()["error"] == "UsedTokenError"

    def test_one_of_24_simultaneous_resets_succeeds(self, api, token):
        responses = run_simultaneously(24, lambda i: api.reset(token, f"{NEW_PASSWORD} {i}"))
        statuses = [response.status_code for response in responses]
        assert sorted(statuses) == [200] + [401] * 23
        winner = f"{NEW_PASSWORD} {statuses.index(200)}"
        assert api.log_in(password=winner).status_code == 200
        assert User.objects.get().password_version == 1

    @pytest.mark.parametrize(("seconds", "status"), [(599, 200), (601, 401)])
    def test_token_expires_after_10_minutes(self, api, token, clock, seconds, status):
        clock.move_to(decode_parts(token)[1]["iat"] + seconds)
        response = api.reset(token)
        assert response.status_code == status
        if status == 401:
            assert response.json()["error"] == "ExpiredTokenError"
            message = "Reset token has expired. Please request a new one."
            assert response.json()["message"] == message


class TestRefusedReset:
    """What a refused request leaves as it was."""

    def test_request_without_a_token_is_a_bad_request(self, api):
        response = api.post("/api/auth/reset", json={"password": NEW_PASSWORD})
        assert response.status_code == 400
        assert response.json()["errors"] == {"reset_token": ["Missing data for required field."]}

    def test_invalid_passwords_leave_the_token_valid(self, api, token):
        for weak in ("password1", "", ADA["email"]):
            assert api.reset(token, weak).status_code == 400
        body = {"reset_token": token, "password": NEW_PASSWORD, "password_confirmation": "other"}
        assert api.post("/api/auth/reset", json=body).json()["errors"] == {
            "password_confirmation": ["Passwords don't match."]
        }
        assert api.reset(token).status_code == 200

    def test_password_stays_if_the_notice_can_not_be_queued(self, api, token, monkeypatch):
        def fail(*_, **__):
            raise AutoReconnect

        with monkeypatch.context() as patch:
            patch.setattr(queue, "enqueue", fail)
            assert api.reset(token).status_code == 503
        assert api.log_in().status_code == 200
        assert api.reset(token).status_code == 200
