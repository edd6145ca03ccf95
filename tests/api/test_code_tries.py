"""Guesses of codes: limited per user, across tokens, processes and restarts (contract).

Who knows a password could otherwise try every code (keycloak#46164, CVE-2025-64102).
"""

import itertools

import pytest

from database.models import User
from tests.support.assertions import assert_error
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.concurrency import run_simultaneously
from tests.support.factor_client import (
    begin_login,
    code_of,
    confirm_totp,
    counted_tries,
    enrol,
    finish_login,
    log_in_by_code,
    reauthenticate,
    remove_totp,
    renew_codes,
    start_totp,
    wrong_code,
)
from tests.support.tokens import reset_token

MINUTE, DAY = 60, 24 * 3600
# Neither is what is tested here.
OTHER_LIMITS = {
    f"RATELIMIT_{name}": "1000 per minute"
    for name in ("LOGIN_PER_EMAIL", "LOGIN_PER_IP", "PASSWORD_PER_USER", "RESET_PER_IP")
}


@pytest.fixture
def settings(settings):
    """Return settings under which codes are limited."""
    return {**settings, "RATELIMIT_ENABLED": True, **OTHER_LIMITS}


@pytest.fixture
def guess(http, factor):
    """Return a function that guesses a code at a login of its own."""
    return lambda code=None: log_in_by_code(http, code or wrong_code(factor.secret))


def right(factor):
    """Return the code that is right now."""
    return code_of(factor.secret)


class TestLimit:
    def test_sixth_guess_in_a_minute_is_refused(self, guess):
        assert [guess().status_code for _ in range(5)] == [401] * 5
        response = guess()
        assert_error(response, 429, "TooManyRequestsError")
        assert 0 < int(response.headers["Retry-After"]) <= MINUTE + 1

    def test_right_code_is_refused_too_until_retry_after(self, api, clock, factor, guess):
        for _ in range(5):
            guess()
        response = guess(right(factor))
        assert_error(response, 429, "TooManyRequestsError")
        seconds = int(response.headers["Retry-After"])
        clock.shift(seconds)
        assert guess(right(factor)).status_code == 200

    def test_window_ends_a_minute_after_its_first_guess(self, clock, factor, guess):
        guess()
        clock.shift(40)
        for _ in range(4):
            guess()
        clock.shift(MINUTE - 40 - 1)
        assert guess(right(factor)).status_code == 429
        clock.shift(1)
        assert guess(right(factor)).status_code == 200

    def test_next_window_has_as_much_room(self, clock, guess):
        for _ in range(5):
            guess()
        clock.shift(MINUTE)
        assert [guess().status_code for _ in range(6)] == [401] * 5 + [429]

    def test_fiftieth_guess_of_a_day_is_the_last(self, clock, factor, guess):
        for number in range(50):
            assert guess().status_code == 401
            if number % 5 == 4:
                clock.shift(MINUTE)
        passed = 10 * MINUTE
        response = guess(right(factor))
        assert_error(response, 429, "TooManyRequestsError")
        left = DAY - passed
        assert left <= int(response.headers["Retry-After"]) <= left + 1
        clock.shift(left - 1)
        assert guess(right(factor)).status_code == 429
        clock.shift(1)
        assert guess(right(factor)).status_code == 200

    def test_setting_says_how_many(self, make_app, http, clock, factor, guess):
        http.app = make_app(RATELIMIT_MFA_PER_USER="2 per hour")
        assert [guess().status_code for _ in range(3)] == [401, 401, 429]
        clock.shift(3599)
        assert guess(right(factor)).status_code == 429
        clock.shift(1)
        assert guess(right(factor)).status_code == 200

    def test_no_limit_with_limits_off(self, make_app, http, factor, guess):
        http.app = make_app(RATELIMIT_ENABLED=False)
        assert {guess().status_code for _ in range(12)} == {401}
        assert guess(right(factor)).status_code == 200
        assert counted_tries() == []


class TestWhatCounts:
    """Every wrong code, wherever it is tried, and nothing else."""

    def of_login(self, api, factor):
        return log_in_by_code(api, wrong_code(factor.secret))

    def of_one_token(self, api, factor):
        self.token = getattr(self, "token", "") or begin_login(api)
        return finish_login(api, self.token, code=wrong_code(factor.secret))

    def of_recovery(self, api, factor):
        return finish_login(api, begin_login(api), recovery_code="nonsense")

    def of_reauthentication(self, api, factor):
        return reauthenticate(api, factor.token, code=wrong_code(factor.secret))

    def used_code(self, api, factor):
        return log_in_by_code(api, code_of(factor.secret, -1))

    @pytest.mark.parametrize(
        "send", [of_login, of_one_token, of_recovery, of_reauthentication, used_code]
    )
    def test_each_way_is_limited(self, api, factor, send):
        statuses = [send(self, api, factor).status_code for _ in range(6)]
        assert statuses[5] == 429
        assert {*statuses[:5]} <= {400, 401}

    def test_all_ways_share_a_limit(self, api, factor):
        for send in (self.of_login, self.of_recovery, self.of_reauthentication, self.used_code):
            assert send(api, factor).status_code in (400, 401)
        assert self.of_one_token(api, factor).status_code == 401
        for send in (self.of_login, self.of_recovery, self.of_reauthentication, self.of_one_token):
            assert send(api, factor).status_code == 429
        response = reauthenticate(api, factor.token, code=right(factor))
        assert response.status_code == 429
        code = {"recovery_code": factor.recovery_codes[0]}
        assert finish_login(api, begin_login(api), **code).status_code == 429

    def test_codes_that_confirm_are_limited(self, api, clock, verified):
        secret = start_totp(api, verified["token"]).json()["secret"]
        wrong = wrong_code(secret)
        statuses = [confirm_totp(api, verified["token"], wrong).status_code for _ in range(6)]
        assert statuses == [400] * 5 + [429]
        assert confirm_totp(api, verified["token"], code_of(secret)).status_code == 429
        clock.shift(MINUTE)
        assert confirm_totp(api, verified["token"], code_of(secret)).status_code == 200

    def test_right_codes_do_not_count(self, api, clock, factor):
        for _ in range(4):
            assert log_in_by_code(api, wrong_code(factor.secret)).status_code == 401
        for steps in (0, 1):
            assert log_in_by_code(api, code_of(factor.secret, steps)).status_code == 200
        for code in factor.recovery_codes[:6]:
            response = finish_login(api, begin_login(api), recovery_code=code)
            assert response.status_code == 200
        assert counted_tries() == [4, 4]

    def test_passwords_and_malformed_codes_do_not_count(self, api, factor):
        for fields in ({"current_password": "wrong"}, {"code": "12345"}, {}):
            assert reauthenticate(api, factor.token, **fields).status_code == 400
        api.log_in(password="wrong")
        finish_login(api, "nonsense", code=wrong_code(factor.secret))
        assert counted_tries() == []

    def test_void_token_does_not_count(self, api, factor):
        mfa_token = begin_login(api)
        log_in_by_code(api, right(factor))
        for _ in range(6):
            response = finish_login(api, mfa_token, code=wrong_code(factor.secret))
            assert_error(response, 401, "UsedTokenError")
        assert counted_tries() == []

    def test_other_users_have_room(self, api, clock, factor, guess, eve):
        User.objects(email=EVE["email"]).update(set__verified_at=1.0)
        eves = enrol(api, eve)
        clock.shift(30)
        for _ in range(6):
            guess()
        assert log_in_by_code(api, code_of(eves.secret), **EVE).status_code == 200

    def test_password_alone_still_gets_a_token(self, api, factor, guess):
        for _ in range(6):
            guess()
        assert begin_login(api)


class TestWhereItCounts:
    """In the user's document: whichever process looks at the code."""

    def test_two_processes_share_the_limit(self, make_app, http, guess):
        apps = itertools.cycle([make_app(), make_app()])
        statuses = []
        for _ in range(6):
            http.app = next(apps)
            statuses.append(guess().status_code)
        assert statuses == [401] * 5 + [429]

    def test_restart_forgets_nothing(self, make_app, http, factor, guess):
        for _ in range(5):
            guess()
        http.app = make_app()
        assert guess(right(factor)).status_code == 429

    def test_no_more_than_the_limit_of_16_at_once_are_looked_at(self, http, factor):
        tokens = [begin_login(http) for _ in range(16)]
        wrong = wrong_code(factor.secret)
        responses = run_simultaneously(
            16, lambda number: finish_login(http, tokens[number], code=wrong)
        )
        statuses = sorted(response.status_code for response in responses)
        assert statuses == [401] * 5 + [429] * 11
        assert counted_tries() == [5, 5]

    def test_right_code_among_16_at_once_works_at_most_once(self, http, factor):
        token, code = begin_login(http), right(factor)
        codes = [code if number % 4 == 0 else wrong_code(factor.secret) for number in range(16)]
        responses = run_simultaneously(
            16, lambda number: finish_login(http, token, code=codes[number])
        )
        statuses = [response.status_code for response in responses]
        assert {*statuses} <= {200, 401, 429}
        assert statuses.count(200) <= 1
        assert max(counted_tries(), default=0) <= 5


class TestWhatClears:
    @pytest.fixture
    def full(self, factor, guess):
        """Leave no room."""
        for _ in range(5):
            guess()

    def test_reset_of_the_password_does(self, app, api, factor, full):
        assert api.reset(reset_token(app, User.objects.get())).status_code == 200
        response = log_in_by_code(api, right(factor), password=NEW_PASSWORD)
        assert response.status_code == 200

    def test_reset_gives_the_whole_room_of_a_day(self, app, api, factor, full):
        api.reset(reset_token(app, User.objects.get()))
        assert counted_tries() == []

    def change_password(self, api, factor):
        body = {"current_password": ADA["password"], "password": NEW_PASSWORD}
        return api.put("/api/auth/password", token=factor.token, json=body)

    def renew(self, api, factor):
        return renew_codes(api, factor.token)

    def remove(self, api, factor):
        return remove_totp(api, factor.token)

    def log_out(self, api, factor):
        return api.log_out(factor.token)

    def refresh(self, api, factor):
        return api.refresh(factor.tokens["refresh_token"])

    @pytest.mark.parametrize("send", [change_password, renew, remove, log_out, refresh])
    def test_nothing_else_does(self, api, factor, full, send):
        assert send(self, api, factor).status_code == 200
        assert counted_tries() == [5, 5]

    def test_adding_the_factor_again_does_not(self, api, factor, full):
        remove_totp(api, factor.token)
        secret = start_totp(api, factor.token).json()["secret"]
        assert confirm_totp(api, factor.token, code_of(secret)).status_code == 429
