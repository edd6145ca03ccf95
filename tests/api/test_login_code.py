"""The second step of a login (contract: "Second factor"). Guesses: test_code_tries.py."""

import pytest

from database.models import User
from infra import audit_log
from tests.support.assertions import assert_error
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.concurrency import run_simultaneously
from tests.support.email_client import NEW_EMAIL, move
from tests.support.factor_client import (
    STEP,
    begin_login,
    code_of,
    finish_login,
    log_in_by_code,
    reauthenticate,
    remove_totp,
    wrong_code,
)
from tests.support.stored_user import read_stored_user
from tests.support.token_endpoints import (
    BAD_TOKEN,
    TOKEN_ENDPOINTS,
    assert_rejected,
    send,
    token_of_each_scope,
)
from tests.support.tokens import decode_parts, reset_token

MFA_SECONDS = 300
PATH = "/api/auth/login/mfa"


def stored_session(tokens):
    """Return the session of a pair as it is stored."""
    return read_stored_user()["sessions"][decode_parts(tokens["token"])[1]["sid"]]


@pytest.fixture
def mfa_token(api, factor):
    """Return the token of a login that waits for a code."""
    return begin_login(api)


class TestFirstStep:
    def test_right_password_gets_a_token_and_methods(self, api, factor):
        response = api.log_in()
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.headers["Cache-Control"] == "no-store"
        body = response.json()
        assert body.keys() == {"message", "status", "error", "mfa_token", "methods"}
        assert (body["status"], body["error"]) == (401, "SecondFactorRequiredError")
        assert body["message"] == "A second factor is required"
        assert body["methods"] == ["totp", "recovery_code"]

    def test_wrong_password_gets_what_an_unknown_email_gets(self, api, factor):
        known, unknown = api.log_in(password="wrong"), api.log_in(**EVE)
        assert_error(known, 401, "UnauthorizedError")
        assert known.json() == unknown.json()
        assert known.headers["WWW-Authenticate"] == unknown.headers["WWW-Authenticate"]

    def test_token_has_a_scope_of_its_own_and_five_minutes(self, api, factor):
        claims = decode_parts(begin_login(api))[1]
        assert claims["scope"] == "mfa"
        assert claims["exp"] - claims["iat"] == MFA_SECONDS
        assert claims["sub"] == str(User.objects.get().id)

    def test_it_opens_no_session(self, api, factor):
        before = User.objects.get()
        begin_login(api)
        after = User.objects.get()
        assert (after.sessions.keys(), after.logins) == (before.sessions.keys(), before.logins)

    def test_user_without_the_factor_is_not_asked(self, api, factor, eve):
        assert api.log_in(**EVE).status_code == 200


class TestSecondStep:
    def test_response_is_that_of_a_login(self, api, factor, mfa_token):
        response = finish_login(api, mfa_token, code=code_of(factor.secret))
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "no-store"
        tokens = response.json()
        assert tokens.keys() == factor.tokens.keys()
        assert api.verify(tokens["token"]).status_code == 200
        assert api.refresh(tokens["refresh_token"]).status_code == 200

    def test_session_notes_when_and_by_what(self, api, clock, factor):
        mfa_token = begin_login(api)
        before = decode_parts(mfa_token)[1]["iat"]
        clock.shift(100)
        response = finish_login(api, mfa_token, code=code_of(factor.secret))
        session = stored_session(response.json())
        assert session["amr"] == ["pwd", "otp"]
        assert session["auth_time"] == before + 100
        assert type(session["auth_time"]) is int
        assert stored_session(factor.tokens)["amr"] == ["pwd"]

    def test_other_sessions_go_on(self, api, factor, mfa_token):
        finish_login(api, mfa_token, code=code_of(factor.secret))
        assert api.verify(factor.token).status_code == 200

    def test_user_agent_is_that_of_the_second_step(self, api, factor, mfa_token):
        body = {"mfa_token": mfa_token, "code": code_of(factor.secret)}
        response = api.post(PATH, json=body, headers={"User-Agent": "second"})
        assert stored_session(response.json())["user_agent"] == "second"

    @pytest.mark.parametrize(
        ("codes", "wrong"),
        [
            ([], {"code"}),
            (["code", "recovery_code"], {"code", "recovery_code"}),
        ],
    )
    def test_exactly_one_code_is_given(self, api, factor, mfa_token, codes, wrong):
        both = {"code": code_of(factor.secret), "recovery_code": factor.recovery_codes[0]}
        response = finish_login(api, mfa_token, **{name: both[name] for name in codes})
        assert assert_error(response, 400, "SchemaValidationError").keys() == wrong
        assert finish_login(api, mfa_token, code=both["code"]).status_code == 200

    @pytest.mark.parametrize(
        "body",
        [
            {"code": "123456"},
            {"mfa_token": 1, "code": "123456"},
            {"mfa_token": "a" * 4097, "code": "123456"},
        ],
        ids=["missing", "number", "long"],
    )
    def test_token_is_needed(self, api, factor, body):
        response = api.post(PATH, json=body)
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"mfa_token"}

    @pytest.mark.parametrize("code", ["", "12345", "1234567", "12345a", "１２３４５６", 123456])
    def test_text_that_is_no_code_is_refused(self, api, mfa_token, code):
        response = finish_login(api, mfa_token, code=code)
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"code"}

    def test_wrong_code_is_refused_and_spends_nothing(self, api, factor, mfa_token):
        response = finish_login(api, mfa_token, code=wrong_code(factor.secret))
        assert_error(response, 401, "UnauthorizedError")
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert finish_login(api, mfa_token, code=code_of(factor.secret)).status_code == 200

    @pytest.mark.parametrize("setting", ["off", "optional", "required"])
    def test_setting_of_emails_changes_nothing(self, make_app, http, factor, setting):
        http.app = make_app(EMAIL_VERIFICATION=setting)
        assert log_in_by_code(http, code_of(factor.secret)).status_code == 200

    def test_email_that_must_be_verified_comes_first(self, make_app, http, factor):
        http.app = make_app(EMAIL_VERIFICATION="required")
        mfa_token = begin_login(http)
        User.objects.update(set__verified_at=None)
        right, wrong = http.log_in(), http.log_in(password="wrong")
        assert_error(right, 401, "UnauthorizedError")
        assert right.json() == wrong.json()
        response = finish_login(http, mfa_token, code=code_of(factor.secret))
        assert_error(response, 401, "UnauthorizedError")

    def test_events_tell_what_happened(self, api, clock, factor, caplog):
        caplog.set_level("INFO", audit_log.__name__)
        mfa_token = begin_login(api)
        finish_login(api, mfa_token, code=wrong_code(factor.secret))
        finish_login(api, mfa_token, code=code_of(factor.secret))
        events = [line.split("event=")[1].split()[0] for line in caplog.messages]
        assert events == ["second_factor_required", "code_refused", "login"]
        assert all(f"user={User.objects.get().id}" in line for line in caplog.messages)


class TestSteps:
    """A code works once, in its time step and the two around it."""

    @pytest.mark.parametrize("steps", [-1, 0, 1])
    def test_code_of_a_step_around_logs_in(self, api, clock, factor, steps):
        clock.shift(STEP)  # so that the step before has not been used
        response = log_in_by_code(api, code_of(factor.secret, steps))
        assert response.status_code == 200

    @pytest.mark.parametrize("steps", [-2, 2])
    def test_code_of_another_step_does_not(self, api, clock, factor, steps):
        clock.shift(2 * STEP)
        response = log_in_by_code(api, code_of(factor.secret, steps))
        assert_error(response, 401, "UnauthorizedError")

    def test_code_works_once(self, api, clock, factor):
        code = code_of(factor.secret)
        assert log_in_by_code(api, code).status_code == 200
        assert_error(log_in_by_code(api, code), 401, "UnauthorizedError")
        clock.shift(STEP)
        assert_error(log_in_by_code(api, code), 401, "UnauthorizedError")
        assert log_in_by_code(api, code_of(factor.secret)).status_code == 200

    def test_earlier_code_does_not_work_after_a_later_one(self, api, factor):
        assert log_in_by_code(api, code_of(factor.secret, 1)).status_code == 200
        response = log_in_by_code(api, code_of(factor.secret))
        assert_error(response, 401, "UnauthorizedError")

    def test_code_of_a_reauthentication_does_not_log_in(self, api, factor):
        code = code_of(factor.secret)
        assert reauthenticate(api, factor.token, code=code).status_code == 200
        assert_error(log_in_by_code(api, code), 401, "UnauthorizedError")

    @pytest.mark.parametrize("tokens", [1, 16])
    def test_one_of_16_at_once_logs_in(self, api, factor, tokens):
        mfa_tokens = [begin_login(api) for _ in range(tokens)] * (16 // tokens)
        before, code = User.objects.get(), code_of(factor.secret)
        responses = run_simultaneously(
            16, lambda number: finish_login(api, mfa_tokens[number], code=code)
        )
        assert sorted(response.status_code for response in responses) == [200] + [401] * 15
        assert len(User.objects.get().sessions) == len(before.sessions) + 1

    def test_one_of_two_codes_at_once_logs_in(self, api, factor, mfa_token):
        codes = [code_of(factor.secret), code_of(factor.secret, 1)] * 8
        responses = run_simultaneously(
            16, lambda number: finish_login(api, mfa_token, code=codes[number])
        )
        assert sorted(response.status_code for response in responses) == [200] + [401] * 15


class TestMfaToken:
    @pytest.mark.parametrize("seconds", [0, MFA_SECONDS - 1])
    def test_it_lasts_five_minutes(self, api, clock, factor, mfa_token, seconds):
        clock.shift(seconds)
        response = finish_login(api, mfa_token, code=code_of(factor.secret))
        assert response.status_code == 200

    def test_it_has_expired_after_five_minutes(self, api, clock, factor, mfa_token):
        clock.shift(MFA_SECONDS)
        response = finish_login(api, mfa_token, code=code_of(factor.secret))
        assert_error(response, 401, "ExpiredTokenError")
        assert response.headers["WWW-Authenticate"] == BAD_TOKEN

    @pytest.mark.parametrize("endpoint", sorted(TOKEN_ENDPOINTS.keys() - {"login/mfa"}))
    def test_it_opens_nothing_else(self, api, factor, mfa_token, endpoint):
        assert_rejected(send(api, endpoint, mfa_token))

    def test_it_enrols_nothing(self, api, factor, mfa_token):
        # A known password alone must not lead past the factor (supabase/auth#2565).
        for method, path in (
            ("POST", "/api/auth/mfa/totp"),
            ("DELETE", "/api/auth/mfa/totp"),
            ("POST", "/api/auth/mfa/recovery-codes"),
            ("POST", "/api/auth/passkeys/options"),
            ("POST", "/api/auth/reauthenticate"),
        ):
            response = api.request(method, path, token=mfa_token)
            assert_error(response, 401, "BadTokenError")

    def test_other_tokens_are_none(self, app, api, factor):
        for scope, token in token_of_each_scope(app, factor.tokens).items():
            if scope != "mfa":
                response = finish_login(api, token, code=code_of(factor.secret))
                assert_error(response, 401, "BadTokenError")

    def test_success_spends_it(self, api, clock, factor, mfa_token):
        assert finish_login(api, mfa_token, code=code_of(factor.secret)).status_code == 200
        clock.shift(STEP)
        response = finish_login(api, mfa_token, code=code_of(factor.secret))
        assert_error(response, 401, "UsedTokenError")
        response = finish_login(api, mfa_token, recovery_code=factor.recovery_codes[0])
        assert_error(response, 401, "UsedTokenError")

    def test_success_voids_the_others_of_the_user(self, api, clock, factor, mfa_token):
        assert log_in_by_code(api, code_of(factor.secret)).status_code == 200
        clock.shift(STEP)
        response = finish_login(api, mfa_token, code=code_of(factor.secret))
        assert_error(response, 401, "UsedTokenError")

    def test_login_by_recovery_code_voids_the_others(self, api, factor, mfa_token):
        code = {"recovery_code": factor.recovery_codes[0]}
        assert finish_login(api, begin_login(api), **code).status_code == 200
        response = finish_login(api, mfa_token, code=code_of(factor.secret))
        assert_error(response, 401, "UsedTokenError")

    def test_others_first_steps_void_nothing(self, api, factor, mfa_token):
        begin_login(api)
        api.log_in(password="wrong")
        assert finish_login(api, mfa_token, code=code_of(factor.secret)).status_code == 200

    def test_requests_of_other_sessions_void_nothing(self, api, factor, mfa_token):
        new = api.refresh(factor.tokens["refresh_token"]).json()
        api.log_out(new["token"])
        assert finish_login(api, mfa_token, code=code_of(factor.secret)).status_code == 200

    def reset(self, app, api, factor, mails):
        assert api.reset(reset_token(app, User.objects.get())).status_code == 200

    def change_password(self, app, api, factor, mails):
        body = {"current_password": ADA["password"], "password": NEW_PASSWORD}
        response = api.put("/api/auth/password", token=factor.token, json=body)
        assert response.status_code == 200

    def change_email(self, app, api, factor, mails):
        move(api, mails, factor.token, NEW_EMAIL)

    def remove(self, app, api, factor, mails):
        assert remove_totp(api, factor.token).status_code == 200

    @pytest.mark.parametrize("change", [reset, change_password, change_email, remove])
    def test_change_of_credentials_voids_it(self, app, api, factor, mfa_token, mails, change):
        change(self, app, api, factor, mails)
        response = finish_login(api, mfa_token, code=code_of(factor.secret))
        assert_error(response, 401, "UsedTokenError")

    def test_deletion_of_the_user_voids_it(self, api, factor, mfa_token):
        User.objects.delete()
        response = finish_login(api, mfa_token, code=code_of(factor.secret))
        assert_error(response, 401, "BadTokenError")


class TestReset:
    """A mailed link is no way round the factor (CVE-2026-18963, kratos#4285)."""

    @pytest.fixture
    def response(self, app, api, factor):
        """Return the response to a reset."""
        return api.reset(reset_token(app, User.objects.get()))

    def test_response_says_how_many_factors_are_left(self, response):
        assert response.status_code == 200
        body = response.json()
        assert body.keys() == {"message", "email", "factors"}
        assert body["factors"] == {"totp": True, "passkeys": 0, "recovery_codes_left": 10}

    def test_nobody_is_logged_in(self, api, factor, response):
        assert "eyJ" not in response.text
        assert User.objects.get().sessions == {}
        assert_error(api.verify(factor.token), 401, "SessionEndedError")

    def test_login_asks_for_a_code_still(self, api, factor, response):
        mfa_token = begin_login(api, password=NEW_PASSWORD)
        assert finish_login(api, mfa_token, code=code_of(factor.secret)).status_code == 200

    def test_recovery_codes_still_work(self, api, factor, response):
        mfa_token = begin_login(api, password=NEW_PASSWORD)
        code = {"recovery_code": factor.recovery_codes[3]}
        assert finish_login(api, mfa_token, **code).status_code == 200

    def test_used_code_stays_used(self, app, api, factor):
        code = code_of(factor.secret)
        log_in_by_code(api, code)
        api.reset(reset_token(app, User.objects.get()))
        response = log_in_by_code(api, code, password=NEW_PASSWORD)
        assert_error(response, 401, "UnauthorizedError")

    def test_page_says_what_is_left(self, app, api, factor):
        token = reset_token(app, User.objects.get())
        page = api.post(f"/reset/{token}", data={"password": NEW_PASSWORD})
        assert page.status_code == 200
        assert "second factor" in page.text.lower()
        assert begin_login(api, password=NEW_PASSWORD)

    def test_response_without_factors_says_so(self, app, api, verified):
        factors = api.reset(reset_token(app, User.objects.get())).json()["factors"]
        assert factors == {"totp": False, "passkeys": 0, "recovery_codes_left": 0}
