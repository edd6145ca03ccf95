"""Recovery codes, for who has lost the authenticator app (contract: "Second factor")."""

import pytest

from database.models import Job, User
from services.mail_kinds import RECOVERY_CODE_USED, RECOVERY_CODES_CREATED
from tests.support.assertions import assert_error
from tests.support.client import ADA, EVE
from tests.support.concurrency import run_simultaneously
from tests.support.factor_client import (
    CODES_PATH,
    RECENT_SECONDS,
    begin_login,
    code_of,
    enrol,
    finish_login,
    get_factors,
    queued_mails,
    reauthenticate,
    remove_totp,
    renew_codes,
)
from tests.support.stored_user import read_stored_user
from tests.support.tokens import decode_parts


def log_in_by_recovery_code(api, code, **fields):
    return finish_login(api, begin_login(api, **fields), recovery_code=code)


def codes_left(api, factor):
    return get_factors(api, factor.token)["recovery_codes_left"]


class TestLogin:
    def test_code_logs_in(self, api, factor):
        response = log_in_by_recovery_code(api, factor.recovery_codes[0])
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "no-store"
        tokens = response.json()
        assert api.verify(tokens["token"]).status_code == 200
        session = read_stored_user()["sessions"][decode_parts(tokens["token"])[1]["sid"]]
        assert session["amr"] == ["pwd", "otp"]

    def test_code_works_once(self, api, factor):
        code = factor.recovery_codes[0]
        assert log_in_by_recovery_code(api, code).status_code == 200
        assert_error(log_in_by_recovery_code(api, code), 401, "UnauthorizedError")

    @pytest.mark.parametrize("tokens", [1, 16])
    def test_one_of_16_at_once_logs_in(self, api, factor, tokens):
        mfa_tokens = [begin_login(api) for _ in range(tokens)] * (16 // tokens)
        code = {"recovery_code": factor.recovery_codes[0]}
        responses = run_simultaneously(
            16, lambda number: finish_login(api, mfa_tokens[number], **code)
        )
        assert sorted(response.status_code for response in responses) == [200] + [401] * 15
        assert codes_left(api, factor) == 9
        assert queued_mails() == [(RECOVERY_CODE_USED, ADA["email"])]

    def test_one_of_16_codes_at_once_uses_up_a_token(self, api, factor):
        mfa_token, codes = begin_login(api), factor.recovery_codes * 2
        responses = run_simultaneously(
            16, lambda number: finish_login(api, mfa_token, recovery_code=codes[number])
        )
        assert sorted(response.status_code for response in responses) == [200] + [401] * 15
        assert codes_left(api, factor) == 9

    @pytest.mark.parametrize(
        "change",
        [
            str.upper,
            lambda code: code.replace("-", ""),
            lambda code: code.replace("-", " "),
            lambda code: f" {code.title()} ",
        ],
        ids=["upper", "no dashes", "blanks", "around"],
    )
    def test_code_is_accepted_however_it_is_typed(self, api, factor, change):
        response = log_in_by_recovery_code(api, change(factor.recovery_codes[0]))
        assert response.status_code == 200

    def test_all_ten_work_in_any_order(self, api, factor):
        for left, code in enumerate(factor.recovery_codes):
            assert log_in_by_recovery_code(api, code).status_code == 200
            assert codes_left(api, factor) == 9 - left

    def test_login_offers_none_when_all_are_used(self, api, factor):
        for code in factor.recovery_codes:
            log_in_by_recovery_code(api, code)
        assert api.log_in().json()["methods"] == ["totp"]
        response = log_in_by_recovery_code(api, factor.recovery_codes[0])
        assert_error(response, 401, "UnauthorizedError")

    @pytest.mark.parametrize("code", ["", "nonsense", "aaaa-" * 5 + "aaaa", "$gt", "-"])
    def test_other_text_is_a_wrong_code(self, api, factor, code):
        response = log_in_by_recovery_code(api, code)
        assert_error(response, 401, "UnauthorizedError")
        assert codes_left(api, factor) == 10

    @pytest.mark.parametrize("code", ["a" * 101, 1, None, {"$exists": True}, ["a"]])
    def test_what_can_be_no_code_is_refused(self, api, factor, code):
        response = log_in_by_recovery_code(api, code)
        assert "recovery_code" in assert_error(response, 400, "SchemaValidationError")
        assert codes_left(api, factor) == 10

    def test_codes_are_not_exchangeable(self, api, factor):
        response = finish_login(api, begin_login(api), code=factor.recovery_codes[0])
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"code"}
        response = log_in_by_recovery_code(api, code_of(factor.secret))
        assert_error(response, 401, "UnauthorizedError")

    def test_code_of_another_user_is_wrong(self, api, factor, eve):
        User.objects(email=EVE["email"]).update(set__verified_at=1.0)
        eves = enrol(api, eve)
        response = log_in_by_recovery_code(api, eves.recovery_codes[0])
        assert_error(response, 401, "UnauthorizedError")
        assert log_in_by_recovery_code(api, eves.recovery_codes[0], **EVE).status_code == 200

    def test_code_does_not_reauthenticate(self, api, factor):
        code = factor.recovery_codes[0]
        response = reauthenticate(api, factor.token, recovery_code=code)
        assert "recovery_code" in assert_error(response, 400, "SchemaValidationError")
        response = reauthenticate(api, factor.token, code=code)
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"code"}
        assert codes_left(api, factor) == 10


class TestNotice:
    def test_user_learns_how_many_are_left(self, api, factor):
        for code in factor.recovery_codes[:2]:
            log_in_by_recovery_code(api, code)
        arguments = [job.arguments for job in Job.objects.order_by("id")]
        assert [them["mail"] for them in arguments] == [RECOVERY_CODE_USED] * 2
        assert [them["codes_left"] for them in arguments] == ["9", "8"]
        assert {them["to"] for them in arguments} == {ADA["email"]}
        assert {them["ip"] for them in arguments} == {"127.0.0.1"}

    def test_wrong_code_sends_none(self, api, factor):
        log_in_by_recovery_code(api, "nonsense")
        assert queued_mails() == []


class TestRenew:
    def test_response_is_ten_other_codes(self, api, factor):
        response = renew_codes(api, factor.token)
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "no-store"
        assert response.json().keys() == {"recovery_codes"}
        assert len({*response.json()["recovery_codes"], *factor.recovery_codes}) == 20
        assert codes_left(api, factor) == 10

    def test_former_codes_are_void_and_new_ones_work(self, api, factor):
        new = renew_codes(api, factor.token).json()["recovery_codes"]
        response = log_in_by_recovery_code(api, factor.recovery_codes[0])
        assert_error(response, 401, "UnauthorizedError")
        assert log_in_by_recovery_code(api, new[0]).status_code == 200

    def test_used_codes_are_replaced_too(self, api, factor):
        log_in_by_recovery_code(api, factor.recovery_codes[0])
        renew_codes(api, factor.token)
        assert codes_left(api, factor) == 10

    def test_factor_stays_as_it_is(self, api, factor):
        renew_codes(api, factor.token)
        response = finish_login(api, begin_login(api), code=code_of(factor.secret))
        assert response.status_code == 200

    def test_sessions_go_on_and_logins_that_wait_are_void(self, api, factor):
        mfa_token = begin_login(api)
        renew_codes(api, factor.token)
        assert api.verify(factor.token).status_code == 200
        response = finish_login(api, mfa_token, code=code_of(factor.secret))
        assert_error(response, 401, "UsedTokenError")

    def test_user_is_notified(self, api, factor):
        renew_codes(api, factor.token)
        assert queued_mails() == [(RECOVERY_CODES_CREATED, ADA["email"])]

    def test_new_codes_are_hashed(self, api, factor):
        stored = renew_codes(api, factor.token).json()["recovery_codes"]
        text = str(read_stored_user())
        assert not any(code in text or code.replace("-", "") in text for code in stored)

    def test_session_that_is_not_recent_gets_none(self, api, clock, factor):
        clock.shift(RECENT_SECONDS)
        response = renew_codes(api, factor.token)
        assert_error(response, 401, "ReauthenticationRequiredError")
        assert log_in_by_recovery_code(api, factor.recovery_codes[0]).status_code == 200

    def test_user_without_the_factor_gets_none(self, api, factor):
        remove_totp(api, factor.token)
        Job.objects.delete()
        assert_error(renew_codes(api, factor.token), 409, "ConflictError")
        assert queued_mails() == []

    def test_any_field_is_refused(self, api, factor):
        response = api.post(CODES_PATH, token=factor.token, json={"count": 1})
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"count"}

    def test_one_list_of_16_at_once_works(self, api, factor):
        responses = run_simultaneously(16, lambda _: renew_codes(api, factor.token))
        lists = [it.json()["recovery_codes"] for it in responses if it.status_code == 200]
        assert {it.status_code for it in responses} <= {200, 409}
        assert len(queued_mails()) == len(lists)
        worked = [log_in_by_recovery_code(api, codes[0]).status_code for codes in lists]
        assert worked.count(200) == 1
