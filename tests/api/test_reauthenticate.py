"""Reauthentication by password and by code (contract: "Second factor"). Passkeys: test_passkeys.py.

What needs it: test_recent_session.py.
"""

import pytest

from database.models import User
from infra import audit_log
from tests.support.assertions import assert_error
from tests.support.client import ADA, EVE
from tests.support.concurrency import run_simultaneously
from tests.support.factor_client import (
    RECENT_SECONDS,
    STEP,
    code_of,
    counted_tries,
    enrol,
    log_in_by_code,
    reauthenticate,
    start_totp,
    wrong_code,
)
from tests.support.full_pool import fill_pool
from tests.support.stored_user import read_stored_user
from tests.support.tokens import decode_parts, reset_token

PASSWORD = {"current_password": ADA["password"]}
WRONG = {"current_password": "wrong"}


def stored_session(tokens):
    """Return the session of a pair as it is stored."""
    return read_stored_user()["sessions"][decode_parts(tokens["token"])[1]["sid"]]


class TestByPassword:
    def test_response_is_the_next_pair(self, api, ada):
        response = reauthenticate(api, ada["token"], **PASSWORD)
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "no-store"
        new = response.json()
        assert new.keys() == ada.keys()
        assert api.verify(new["token"]).status_code == 200
        assert api.refresh(new["refresh_token"]).status_code == 200

    def test_session_notes_when_and_by_what(self, api, clock, ada):
        clock.shift(100)
        new = reauthenticate(api, ada["token"], **PASSWORD).json()
        session = stored_session(new)
        assert session["amr"] == ["pwd"]
        assert type(session["auth_time"]) is int
        before, after = (decode_parts(pair["token"])[1] for pair in (ada, new))
        assert session["auth_time"] == after["auth_time"] > before["auth_time"]
        assert after["auth_time"] == after["iat"]

    def test_session_goes_on_as_it_was(self, api, clock, ada):
        before = stored_session(ada)
        clock.shift(100)
        new = reauthenticate(api, ada["token"], **PASSWORD).json()
        after = stored_session(new)
        for name in ("created_at", "last_used_at", "user_agent"):
            assert after[name] == before[name]
        assert len(User.objects.get().sessions) == 1

    def test_session_does_not_last_longer(self, make_app, http, clock, ada):
        http.app = make_app(JWT_SESSION_MAX_AGE=1000)
        tokens = http.log_in().json()
        clock.shift(500)
        new = reauthenticate(http, tokens["token"], **PASSWORD).json()
        clock.shift(498)
        assert http.verify(new["token"]).status_code == 200
        clock.shift(2)
        assert_error(http.verify(new["token"]), 401, "ExpiredTokenError")
        assert_error(http.refresh(new["refresh_token"]), 401, "ExpiredTokenError")

    @pytest.mark.parametrize("seconds", [0, 9, 61, 800])
    def test_pair_before_is_revoked_at_once(self, api, clock, ada, seconds):
        new = reauthenticate(api, ada["token"], **PASSWORD).json()
        clock.shift(seconds)
        for response in (api.verify(ada["token"]), api.refresh(ada["refresh_token"])):
            assert_error(response, 401, "SupersededTokenError")
        assert api.verify(new["token"]).status_code == 200
        assert api.refresh(new["refresh_token"]).status_code == 200

    def test_pair_in_its_grace_is_revoked_at_once(self, api, ada):
        second = api.refresh(ada["refresh_token"]).json()
        new = reauthenticate(api, second["token"], **PASSWORD).json()
        for old in (ada, second):
            for response in (api.verify(old["token"]), api.refresh(old["refresh_token"])):
                assert_error(response, 401, "SupersededTokenError")
        assert api.verify(new["token"]).status_code == 200

    def test_other_sessions_go_on(self, api, ada):
        other = api.log_in().json()
        reauthenticate(api, ada["token"], **PASSWORD)
        assert api.verify(other["token"]).status_code == 200
        assert api.refresh(other["refresh_token"]).status_code == 200

    def test_wrong_password_changes_nothing(self, api, ada):
        before = User.objects.get().to_mongo()
        response = reauthenticate(api, ada["token"], **WRONG)
        errors = assert_error(response, 400, "SchemaValidationError")
        assert errors.keys() == {"current_password"}
        assert User.objects.get().to_mongo() == before
        assert api.verify(ada["token"]).status_code == 200

    def test_wrong_passwords_are_limited(self, make_app, http, ada):
        http.app = make_app(RATELIMIT_ENABLED=True)
        statuses = [reauthenticate(http, ada["token"], **WRONG).status_code for _ in range(6)]
        assert statuses == [400] * 5 + [429]
        response = reauthenticate(http, ada["token"], **PASSWORD)
        assert_error(response, 429, "TooManyRequestsError")
        assert 0 < int(response.headers["Retry-After"]) <= 60

    def test_password_of_another_user_is_wrong(self, api, ada, eve):
        response = reauthenticate(api, ada["token"], current_password=EVE["password"])
        errors = assert_error(response, 400, "SchemaValidationError")
        assert errors.keys() == {"current_password"}

    def test_unverified_user_may(self, api, ada):
        assert not User.objects.get().is_verified
        assert reauthenticate(api, ada["token"], **PASSWORD).status_code == 200

    def test_session_that_is_not_recent_may(self, api, clock, ada):
        clock.shift(RECENT_SECONDS + 100)
        assert reauthenticate(api, ada["token"], **PASSWORD).status_code == 200

    def test_it_is_recorded(self, api, ada, caplog):
        caplog.set_level("INFO", audit_log.__name__)
        reauthenticate(api, ada["token"], **WRONG)
        reauthenticate(api, ada["token"], **PASSWORD)
        events = [line.split("event=")[1].split()[0] for line in caplog.messages]
        assert events == ["password_refused", "reauthenticated"]

    def test_one_of_16_at_once_gets_the_pair(self, api, ada):
        responses = run_simultaneously(16, lambda _: reauthenticate(api, ada["token"], **PASSWORD))
        assert sorted(response.status_code for response in responses) == [200] + [401] * 15
        for response in responses:
            if response.ok:
                assert api.verify(response.json()["token"]).status_code == 200
            else:
                assert_error(response, 401, "SupersededTokenError")


class TestByCode:
    def test_response_is_the_next_pair(self, api, factor):
        response = reauthenticate(api, factor.token, code=code_of(factor.secret))
        assert response.status_code == 200
        assert response.json().keys() == factor.tokens.keys()
        assert_error(api.verify(factor.token), 401, "SupersededTokenError")
        assert api.verify(response.json()["token"]).status_code == 200

    def test_session_notes_when_and_by_what(self, api, clock, factor):
        clock.shift(100)
        new = reauthenticate(api, factor.token, code=code_of(factor.secret)).json()
        session = stored_session(new)
        assert session["amr"] == ["pwd", "otp"]
        assert session["auth_time"] == decode_parts(new["token"])[1]["iat"]

    @pytest.mark.parametrize("steps", [-1, 0, 1])
    def test_code_of_a_step_around_is_right(self, api, clock, factor, steps):
        clock.shift(STEP)
        response = reauthenticate(api, factor.token, code=code_of(factor.secret, steps))
        assert response.status_code == 200

    @pytest.mark.parametrize("steps", [-2, 2])
    def test_code_of_another_step_is_wrong(self, api, clock, factor, steps):
        clock.shift(2 * STEP)
        response = reauthenticate(api, factor.token, code=code_of(factor.secret, steps))
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"code"}
        assert api.verify(factor.token).status_code == 200

    def test_code_works_once(self, api, factor):
        code = code_of(factor.secret)
        new = reauthenticate(api, factor.token, code=code).json()
        response = reauthenticate(api, new["token"], code=code)
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"code"}

    def test_code_of_a_login_is_used(self, api, factor):
        code = code_of(factor.secret)
        log_in_by_code(api, code)
        response = reauthenticate(api, factor.token, code=code)
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"code"}

    def test_code_of_the_confirmation_is_used(self, api, clock, verified):
        factor = enrol(api, verified)
        response = reauthenticate(api, factor.token, code=code_of(factor.secret))
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"code"}

    def test_code_of_another_user_is_wrong(self, api, clock, factor, eve):
        # Freshness by somebody else's factor: GHSA-f66q-9rf6-8795, GHSA-97r5-pg8x-p63p.
        User.objects(email=EVE["email"]).update(set__verified_at=1.0)
        eves = enrol(api, eve)
        clock.shift(STEP)
        response = reauthenticate(api, factor.token, code=code_of(eves.secret))
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"code"}
        response = reauthenticate(api, eves.token, code=code_of(eves.secret))
        assert response.status_code == 200

    def test_one_of_16_at_once_gets_the_pair(self, api, factor):
        code = code_of(factor.secret)
        responses = run_simultaneously(16, lambda _: reauthenticate(api, factor.token, code=code))
        (won,) = (response for response in responses if response.ok)
        assert {response.status_code for response in responses} <= {200, 400, 401}
        assert api.verify(won.json()["token"]).status_code == 200


class TestWithTotp:
    """A password alone is refused before anybody looks at it."""

    @pytest.mark.parametrize("proof", [PASSWORD, WRONG], ids=["right", "wrong"])
    def test_password_alone_is_refused(self, api, clock, factor, proof):
        clock.shift(RECENT_SECONDS)
        response = reauthenticate(api, factor.token, **proof)
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"code"}
        response = start_totp(api, factor.token)
        assert_error(response, 401, "ReauthenticationRequiredError")

    def test_right_and_wrong_password_get_one_response(self, api, factor):
        right, wrong = (reauthenticate(api, factor.token, **it) for it in (PASSWORD, WRONG))
        assert right.json() == wrong.json()

    def test_no_hash_is_computed(self, api, factor):
        tasks = fill_pool()
        try:
            response = reauthenticate(api, factor.token, **PASSWORD)
            assert api.log_in().status_code == 503
        finally:
            tasks.release()
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"code"}

    def test_no_try_is_counted(self, make_app, http, factor):
        http.app = make_app(RATELIMIT_ENABLED=True)
        for _ in range(8):
            assert reauthenticate(http, factor.token, **WRONG).status_code == 400
        assert counted_tries() == []
        body = PASSWORD | {"password": "staple horse correct"}
        response = http.put("/api/auth/password", token=factor.token, json=body)
        assert response.status_code == 200


class TestFields:
    def test_password_is_missing_without_the_factor(self, api, ada):
        response = reauthenticate(api, ada["token"])
        errors = assert_error(response, 400, "SchemaValidationError")
        assert errors.keys() == {"current_password"}

    def test_code_is_missing_with_the_factor(self, api, factor):
        response = reauthenticate(api, factor.token)
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"code"}

    def test_code_without_the_factor_is_wrong(self, api, ada):
        response = reauthenticate(api, ada["token"], code="123456")
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"code"}
        assert counted_tries() == []

    def test_code_that_is_pending_is_wrong(self, api, clock, verified):
        secret = start_totp(api, verified["token"]).json()["secret"]
        response = reauthenticate(api, verified["token"], code=code_of(secret))
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"code"}

    def test_only_one_proof_is_given(self, api, factor):
        proofs = PASSWORD | {"code": code_of(factor.secret)}
        response = reauthenticate(api, factor.token, **proofs)
        assert assert_error(response, 400, "SchemaValidationError").keys() == proofs.keys()
        response = reauthenticate(api, factor.token, code=proofs["code"])
        assert response.status_code == 200

    def test_malformed_code_is_no_try(self, make_app, http, factor):
        http.app = make_app(RATELIMIT_ENABLED=True)
        response = reauthenticate(http, factor.token, code=wrong_code(factor.secret)[:5])
        assert "code" in assert_error(response, 400, "SchemaValidationError")
        assert counted_tries() == []


class TestToken:
    def test_access_token_is_needed(self, app, api, ada):
        for token, error in (
            (None, "MissingTokenError"),
            ("nonsense", "BadTokenError"),
            (ada["refresh_token"], "BadTokenError"),
            (reset_token(app, User.objects.get()), "BadTokenError"),
        ):
            assert_error(reauthenticate(api, token, **PASSWORD), 401, error)

    def test_session_that_ended_is_refused(self, api, ada):
        api.log_out(ada["token"])
        response = reauthenticate(api, ada["token"], **PASSWORD)
        assert_error(response, 401, "SessionEndedError")

    def test_access_token_in_its_grace_is_accepted(self, api, ada):
        second = api.refresh(ada["refresh_token"]).json()
        new = reauthenticate(api, ada["token"], **PASSWORD)
        assert api.verify(new.json()["token"]).status_code == 200
        assert_error(api.verify(second["token"]), 401, "SupersededTokenError")


class TestSimultaneousRequests:
    def test_one_pair_survives_a_simultaneous_refresh(self, api, ada):
        for _ in range(10):
            tokens = api.log_in().json()
            requests = (
                lambda tokens=tokens: api.refresh(tokens["refresh_token"]),
                lambda tokens=tokens: reauthenticate(api, tokens["token"], **PASSWORD),
            )
            refreshed, proved = run_simultaneously(
                2, lambda number, requests=requests: requests[number]()
            )
            assert {refreshed.status_code, proved.status_code} <= {200, 401}
            newest = proved if proved.ok else refreshed
            assert api.verify(newest.json()["token"]).status_code == 200
