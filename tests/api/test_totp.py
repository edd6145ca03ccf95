"""Codes of an authenticator app: added, confirmed, removed (contract: "Second factor")."""

import pytest

from database.models import Job, User
from infra import secret_box
from services.mail_kinds import TOTP_ADDED, TOTP_REMOVED
from tests.support.assertions import assert_error
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.concurrency import run_simultaneously
from tests.support.email_client import NEW_EMAIL, move, undo
from tests.support.factor_client import (
    PENDING_SECONDS,
    RECENT_SECONDS,
    STEP,
    TOTP_PATH,
    begin_login,
    code_of,
    confirm_totp,
    enrol,
    finish_login,
    get_factors,
    log_in_by_code,
    queued_mails,
    reauthenticate,
    remove_totp,
    renew_codes,
    start_totp,
    wrong_code,
)
from tests.support.settings import SECRETS_KEY
from tests.support.smtp_server import token_in
from tests.support.stored_user import read_stored_user
from tests.support.tokens import OTHER_KEY, reset_token

OFF = {"totp": False, "passkeys": 0, "recovery_codes_left": 0}
ON = {"totp": True, "passkeys": 0, "recovery_codes_left": 10}


@pytest.fixture
def secret(api, clock, verified):
    """Return the secret of a second factor that Ada is adding; the time is stopped."""
    return start_totp(api, verified["token"]).json()["secret"]


class TestStart:
    def test_response_is_a_secret_as_text_uri_and_image(self, api, verified):
        response = start_totp(api, verified["token"])
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "no-store"
        started = response.json()
        assert started.keys() == {"secret", "uri", "qr"}
        assert started["uri"].startswith("otpauth://totp/Movie-bag:ada%40example.com?")
        assert f"secret={started['secret']}" in started["uri"]
        assert started["qr"].startswith("data:image/svg+xml")

    def test_factor_is_not_in_force_yet(self, api, verified, secret):
        assert get_factors(api, verified["token"]) == OFF
        assert api.log_in().status_code == 200
        assert queued_mails() == []

    @pytest.mark.parametrize("send", [start_totp, lambda *a: confirm_totp(*a, code="123456")])
    def test_unverified_user_adds_none(self, api, ada, send):
        assert_error(send(api, ada["token"]), 403, "EmailNotVerifiedError")
        assert "pending_totp" not in User.objects.get().factors

    def test_user_whose_email_stopped_being_verified_adds_none(self, api, verified, secret):
        User.objects.update(set__verified_at=None)
        response = confirm_totp(api, verified["token"], code_of(secret))
        assert_error(response, 403, "EmailNotVerifiedError")

    def test_session_that_is_not_recent_adds_none(self, api, clock, verified):
        # Who has stolen a token, or a session, must not lock its user out (supabase/auth#2565).
        clock.shift(RECENT_SECONDS)
        response = start_totp(api, verified["token"])
        assert_error(response, 401, "ReauthenticationRequiredError")
        assert "pending_totp" not in User.objects.get().factors

    def test_second_factor_is_a_conflict(self, api, factor):
        assert_error(start_totp(api, factor.token), 409, "ConflictError")
        assert log_in_by_code(api, code_of(factor.secret)).status_code == 200

    def test_factor_confirmed_in_another_session_is_a_conflict(self, api, verified, secret):
        other = api.log_in().json()
        others = start_totp(api, other["token"]).json()["secret"]
        assert confirm_totp(api, other["token"], code_of(others)).status_code == 200
        response = confirm_totp(api, verified["token"], code_of(secret))
        assert_error(response, 401, "SessionEndedError")

    def test_second_start_replaces_the_first(self, api, verified, secret):
        second = start_totp(api, verified["token"]).json()["secret"]
        assert second != secret
        response = confirm_totp(api, verified["token"], code_of(secret))
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"code"}
        assert confirm_totp(api, verified["token"], code_of(second)).status_code == 200

    def test_server_without_key_answers_503(self, make_app, http, verified):
        http.app = make_app(SECRETS_KEY=None)
        response = start_totp(http, verified["token"])
        assert_error(response, 503, "ServiceUnavailableError")
        assert "SECRETS_KEY" in response.json()["message"]
        assert "pending_totp" not in User.objects.get().factors

    def test_any_field_is_refused(self, api, verified):
        response = api.post(TOTP_PATH, token=verified["token"], json={"secret": "A" * 32})
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"secret"}


class TestConfirm:
    def test_response_is_ten_recovery_codes(self, api, verified, secret):
        response = confirm_totp(api, verified["token"], code_of(secret))
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "no-store"
        assert response.json().keys() == {"recovery_codes"}
        assert len(set(response.json()["recovery_codes"])) == 10
        assert get_factors(api, verified["token"]) == ON

    def test_login_asks_for_a_code_then(self, api, factor):
        begin_login(api)
        assert log_in_by_code(api, code_of(factor.secret)).status_code == 200

    def test_user_is_notified(self, api, verified, secret):
        confirm_totp(api, verified["token"], code_of(secret))
        assert queued_mails() == [(TOTP_ADDED, ADA["email"])]

    def test_other_sessions_are_revoked(self, api, verified, secret):
        other = api.log_in().json()
        assert confirm_totp(api, verified["token"], code_of(secret)).status_code == 200
        for response in (api.verify(other["token"]), api.refresh(other["refresh_token"])):
            assert_error(response, 401, "SessionEndedError")
        assert api.verify(verified["token"]).status_code == 200
        assert api.refresh(verified["refresh_token"]).status_code == 200

    @pytest.mark.parametrize("steps", [-1, 0, 1])
    def test_code_of_a_step_around_confirms(self, api, verified, secret, steps):
        response = confirm_totp(api, verified["token"], code_of(secret, steps))
        assert response.status_code == 200

    @pytest.mark.parametrize("steps", [-2, 2])
    def test_code_of_another_step_is_wrong(self, api, verified, secret, steps):
        response = confirm_totp(api, verified["token"], code_of(secret, steps))
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"code"}
        assert get_factors(api, verified["token"]) == OFF
        assert queued_mails() == []

    @pytest.mark.parametrize("body", [{}, {"code": ""}, {"code": "12345"}, {"code": "12345x"}])
    def test_text_that_is_no_code_is_refused(self, api, verified, secret, body):
        response = api.post(f"{TOTP_PATH}/confirm", token=verified["token"], json=body)
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"code"}

    @pytest.mark.parametrize("typed", ["{0[0]} {0[1]}", " {0[0]}{0[1]} "])
    def test_blanks_in_a_code_are_ignored(self, api, verified, secret, typed):
        code = code_of(secret)
        typed = typed.format((code[:3], code[3:]))
        assert confirm_totp(api, verified["token"], typed).status_code == 200

    def test_wrong_code_can_be_corrected(self, api, verified, secret):
        assert confirm_totp(api, verified["token"], wrong_code(secret)).status_code == 400
        assert confirm_totp(api, verified["token"], code_of(secret)).status_code == 200

    def test_code_that_confirmed_does_not_log_in(self, api, clock, verified, secret):
        code = code_of(secret)
        confirm_totp(api, verified["token"], code)
        assert_error(log_in_by_code(api, code), 401, "UnauthorizedError")
        clock.shift(STEP)
        assert_error(log_in_by_code(api, code), 401, "UnauthorizedError")
        assert log_in_by_code(api, code_of(secret)).status_code == 200

    def test_nothing_to_confirm_is_a_conflict(self, api, verified):
        assert_error(confirm_totp(api, verified["token"], "123456"), 409, "ConflictError")

    def test_confirming_again_is_a_conflict(self, api, factor):
        response = confirm_totp(api, factor.token, code_of(factor.secret))
        assert_error(response, 409, "ConflictError")

    def test_one_of_16_at_once_confirms(self, api, verified, secret, clock):
        code = code_of(secret)
        responses = run_simultaneously(16, lambda _: confirm_totp(api, verified["token"], code))
        assert sorted(response.status_code for response in responses) == [200] + [409] * 15
        (won,) = (response for response in responses if response.ok)
        (recovery_code, *_) = won.json()["recovery_codes"]
        assert queued_mails() == [(TOTP_ADDED, ADA["email"])]
        token = begin_login(api)
        assert finish_login(api, token, recovery_code=recovery_code).status_code == 200


class TestPendingSecret:
    def test_it_lasts_ten_minutes(self, api, clock, verified, secret):
        clock.shift(PENDING_SECONDS - 1)
        response = confirm_totp(api, verified["token"], code_of(secret))
        assert response.status_code == 200

    def test_it_has_expired_after_ten_minutes(self, api, clock, verified, secret):
        clock.shift(PENDING_SECONDS)
        response = confirm_totp(api, verified["token"], code_of(secret))
        assert_error(response, 409, "ConflictError")
        assert get_factors(api, verified["token"]) == OFF

    def test_session_need_not_be_recent_any_more(self, api, clock, verified):
        clock.shift(RECENT_SECONDS - 30)
        secret = start_totp(api, verified["token"]).json()["secret"]
        clock.shift(60)
        assert_error(start_totp(api, verified["token"]), 401, "ReauthenticationRequiredError")
        assert confirm_totp(api, verified["token"], code_of(secret)).status_code == 200

    def test_other_session_does_not_confirm_it(self, api, verified, secret):
        other = api.log_in().json()
        response = confirm_totp(api, other["token"], code_of(secret))
        assert_error(response, 409, "ConflictError")
        assert confirm_totp(api, verified["token"], code_of(secret)).status_code == 200

    def test_other_user_does_not_confirm_it(self, api, verified, secret, eve):
        User.objects.update(set__verified_at=1.0)
        response = confirm_totp(api, eve["token"], code_of(secret))
        assert_error(response, 409, "ConflictError")

    def test_it_outlasts_a_refresh(self, api, verified, secret):
        new = api.refresh(verified["refresh_token"]).json()
        assert confirm_totp(api, new["token"], code_of(secret)).status_code == 200

    def test_it_outlasts_a_reauthentication(self, api, verified, secret):
        response = reauthenticate(api, verified["token"], current_password=ADA["password"])
        assert confirm_totp(api, response.json()["token"], code_of(secret)).status_code == 200

    def test_change_of_the_password_drops_it(self, api, verified, secret):
        body = {"current_password": ADA["password"], "password": NEW_PASSWORD}
        new = api.put("/api/auth/password", token=verified["token"], json=body).json()
        assert_error(confirm_totp(api, new["token"], code_of(secret)), 409, "ConflictError")
        assert secret not in stored_secrets()

    def test_change_of_the_email_drops_it(self, api, verified, secret, mails):
        move(api, mails, verified["token"], NEW_EMAIL)
        response = confirm_totp(api, verified["token"], code_of(secret))
        assert_error(response, 409, "ConflictError")

    def test_reset_drops_it(self, app, api, verified, secret):
        assert api.reset(reset_token(app, User.objects.get())).status_code == 200
        response = confirm_totp(api, verified["token"], code_of(secret))
        assert_error(response, 401, "SessionEndedError")
        assert "pending_totp" not in User.objects.get().factors

    def test_end_of_the_session_ends_it(self, api, verified, secret):
        other = api.log_in().json()
        api.log_out(verified["token"])
        response = confirm_totp(api, other["token"], code_of(secret))
        assert_error(response, 409, "ConflictError")


def stored_secrets():
    """Return the secrets that are stored of the one user, decrypted."""
    factors = User.objects.get().factors
    stored = [factors[name]["secret"] for name in ("pending_totp", "totp") if factors.get(name)]
    return [secret_box.decrypt(secret, [SECRETS_KEY]) for secret in stored]


class TestStorage:
    def test_secret_is_encrypted_while_it_is_pending(self, verified, secret):
        assert secret not in str(read_stored_user())
        assert stored_secrets() == [secret]

    def test_secret_is_encrypted_in_force(self, factor):
        assert factor.secret not in str(read_stored_user())
        assert stored_secrets() == [factor.secret]

    def test_recovery_codes_are_hashed(self, factor):
        stored = str(read_stored_user())
        for code in factor.recovery_codes:
            for text in (code, code.replace("-", ""), code.upper()):
                assert text not in stored

    def test_no_secret_is_logged_or_queued(self, api, clock, verified, caplog):
        caplog.set_level("DEBUG")
        factor = enrol(api, verified)
        clock.shift(STEP)
        log_in_by_code(api, code_of(factor.secret))
        queued = str(list(Job.objects.as_pymongo()))
        assert TOTP_ADDED in queued
        for text in (factor.secret, *factor.recovery_codes):
            assert text not in caplog.text
            assert text not in queued

    def test_code_works_after_a_rotation_of_the_key(self, make_app, http, factor):
        http.app = make_app(SECRETS_KEY=f"{OTHER_KEY},{SECRETS_KEY}")
        assert log_in_by_code(http, code_of(factor.secret)).status_code == 200

    def test_missing_key_is_no_wrong_code(self, app, api, factor):
        app.config["SECRETS_KEYS"] = [OTHER_KEY]
        response = reauthenticate(api, factor.token, code=code_of(factor.secret))
        assert_error(response, 503, "ServiceUnavailableError")


class TestRemove:
    def test_login_asks_for_no_code_then(self, api, factor):
        response = remove_totp(api, factor.token)
        assert response.status_code == 200
        assert response.json().keys() == {"message"}
        assert get_factors(api, factor.token) == OFF
        assert api.log_in().status_code == 200

    def test_user_is_notified(self, api, factor):
        remove_totp(api, factor.token)
        assert queued_mails() == [(TOTP_REMOVED, ADA["email"])]

    def test_secret_and_recovery_codes_are_gone(self, api, factor):
        remove_totp(api, factor.token)
        assert stored_secrets() == []
        assert User.objects.get().factors["recovery_codes"] == {}

    def test_login_that_waits_is_void(self, api, factor):
        token = begin_login(api)
        remove_totp(api, factor.token)
        response = finish_login(api, token, code=code_of(factor.secret))
        assert_error(response, 401, "UsedTokenError")

    def test_session_that_is_not_recent_removes_none(self, api, clock, factor):
        clock.shift(RECENT_SECONDS)
        response = remove_totp(api, factor.token)
        assert_error(response, 401, "ReauthenticationRequiredError")
        assert get_factors(api, factor.token) == ON

    def test_nothing_to_remove_is_a_conflict(self, api, verified, secret):
        assert_error(remove_totp(api, verified["token"]), 409, "ConflictError")
        assert queued_mails() == []
        assert confirm_totp(api, verified["token"], code_of(secret)).status_code == 200

    def test_one_of_16_at_once_removes_it(self, api, factor):
        responses = run_simultaneously(16, lambda _: remove_totp(api, factor.token))
        assert sorted(response.status_code for response in responses) == [200] + [409] * 15
        assert queued_mails() == [(TOTP_REMOVED, ADA["email"])]

    def test_factor_can_be_added_again(self, api, factor):
        remove_totp(api, factor.token)
        again = enrol(api, factor.tokens)
        assert again.secret != factor.secret
        assert get_factors(api, factor.token) == ON


class TestOwner:
    def test_code_of_another_user_does_not_log_in(self, api, clock, factor, eve):
        User.objects(email=EVE["email"]).update(set__verified_at=1.0)
        eves = enrol(api, eve)
        clock.shift(STEP)
        response = log_in_by_code(api, code_of(eves.secret))
        assert_error(response, 401, "UnauthorizedError")
        assert log_in_by_code(api, code_of(eves.secret), **EVE).status_code == 200

    def test_factor_goes_with_its_user(self, api, factor):
        token = begin_login(api)
        body = {"current_password": ADA["password"]}
        assert api.delete("/api/users/me", token=factor.token, json=body).status_code == 200
        response = finish_login(api, token, code=code_of(factor.secret))
        assert_error(response, 401, "BadTokenError")
        assert api.sign_up().status_code == 200
        assert api.log_in().status_code == 200


class TestUndoOfAnEmailChange:
    """An intruder who changed the email may have added the factor: an undo removes it."""

    def undo_and_reset(self, api, mails, token):
        assert undo(api, token).status_code == 200
        (mail,) = mails()
        assert api.reset(token_in(mail)).status_code == 200
        return api.log_in(password=NEW_PASSWORD)

    def test_factor_that_was_added_since_is_removed(self, api, clock, verified, mails):
        undo_token = token_in(move(api, mails, verified["token"], NEW_EMAIL)[0])
        enrol(api, verified)
        mails()
        assert self.undo_and_reset(api, mails, undo_token).status_code == 200
        assert User.objects.get().factors["recovery_codes"] == {}

    def test_factor_from_before_stays(self, api, clock, factor, mails):
        undo_token = token_in(move(api, mails, factor.token, NEW_EMAIL)[0])
        response = self.undo_and_reset(api, mails, undo_token)
        assert response.json()["error"] == "SecondFactorRequiredError"
        token = response.json()["mfa_token"]
        assert finish_login(api, token, code=code_of(factor.secret)).status_code == 200

    def test_recovery_codes_that_were_made_since_are_removed(self, api, factor, mails):
        undo_token = token_in(move(api, mails, factor.token, NEW_EMAIL)[0])
        renewed = renew_codes(api, factor.token).json()["recovery_codes"]
        mails()
        token = self.undo_and_reset(api, mails, undo_token).json()["mfa_token"]
        for code in (renewed[0], factor.recovery_codes[0]):
            response = finish_login(api, token, recovery_code=code)
            assert_error(response, 401, "UnauthorizedError")
        assert finish_login(api, token, code=code_of(factor.secret)).status_code == 200

    def test_factor_that_was_added_again_since_is_removed(self, api, clock, factor, mails):
        undo_token = token_in(move(api, mails, factor.token, NEW_EMAIL)[0])
        remove_totp(api, factor.token)
        enrol(api, factor.tokens)
        mails()
        assert self.undo_and_reset(api, mails, undo_token).status_code == 200


def test_changes_count_under_the_limit_of_writes(make_app, http, factor):
    http.app = make_app(RATELIMIT_ENABLED=True, RATELIMIT_WRITES_PER_USER="2 per hour")
    assert renew_codes(http, factor.token).status_code == 200
    assert remove_totp(http, factor.token).status_code == 200
    for send in (start_totp, remove_totp, renew_codes):
        assert_error(send(http, factor.token), 429, "TooManyRequestsError")


def test_factors_are_shown_to_their_user_alone(api, factor):
    assert get_factors(api, factor.token) == ON
    assert_error(api.get("/api/auth/mfa"), 401, "MissingTokenError")
