"""Login by passkey: whose it is, challenges, and counts of uses."""

import time

import pytest

from database.models import User
from database.passkeys import Challenge
from tests.support.assertions import assert_error
from tests.support.authenticator import (
    BACKED_UP,
    BACKUP_ELIGIBLE,
    PRESENT,
    VERIFIED,
    assertion,
    new_passkey,
    registration,
    to_bytes,
    to_text,
)
from tests.support.client import ADA, NEW_PASSWORD
from tests.support.concurrency import run_simultaneously
from tests.support.email_client import verify_all
from tests.support.factor_client import enrol
from tests.support.passkeys import (
    add,
    add_passkey,
    creation_options,
    listed,
    log_in,
    login_options,
    make_passkey,
    send_login,
    stored_session,
)
from tests.support.tokens import reset_token

CHALLENGE_SECONDS = 300
REQUESTS = 16


@pytest.fixture
def counting(api, verified):
    """Return a passkey of Ada's that counts its uses, now at 5."""
    return add_passkey(api, verified["token"], sign_count=5)


def is_next_pair(response, email=ADA["email"]):
    body = response.json()
    names = {"token", "refresh_token", "token_type", "expires_in", "email"}
    return response.status_code == 200 and body.keys() == names and body["email"] == email


class TestOptions:
    def test_options_need_no_email(self, api):
        options = login_options(api)
        assert options["rpId"] == "movie-bag.example"
        assert options["userVerification"] == "required"
        assert options["allowCredentials"] == []
        assert options["timeout"] == 1000 * CHALLENGE_SECONDS

    def test_challenges_are_random(self, api):
        first, second = login_options(api), login_options(api)
        assert first["challenge"] != second["challenge"]
        assert len(to_bytes(first["challenge"])) >= 16

    def test_options_refuse_fields(self, api):
        response = api.post("/api/auth/login/passkey/options", json={"email": ADA["email"]})
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"email"}

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("login/passkey/options", {}),
            ("login/passkey", {"credential": "x"}),
            ("passkeys/options", {}),
        ],
    )
    def test_requests_are_limited_per_ip(self, make_app, http, path, body):
        http.app = make_app(RATELIMIT_ENABLED=True, RATELIMIT_LOGIN_PER_IP="2 per minute")
        for _ in range(2):
            assert http.post(f"/api/auth/{path}", json=body).status_code in (200, 400, 401)
        response = http.post(f"/api/auth/{path}", json=body)
        assert_error(response, 429, "TooManyRequestsError")
        assert int(response.headers["Retry-After"]) > 0


class TestLogin:
    def test_login_returns_tokens(self, api, passkey):
        response = log_in(api, passkey)
        assert is_next_pair(response)
        assert response.headers["Cache-Control"] == "no-store"
        assert api.verify(response.json()["token"]).status_code == 200
        assert api.refresh(response.json()["refresh_token"]).status_code == 200

    def test_login_is_of_the_user_of_the_passkey(self, api, passkey, eves_passkey):
        assert log_in(api, passkey).json()["email"] == ADA["email"]
        assert log_in(api, eves_passkey).json()["email"] != ADA["email"]

    def test_session_says_how_its_user_logged_in(self, api, verified, passkey, clock):
        User.objects.update(set__sessions={})
        clock.shift(100)
        log_in(api, passkey)
        session = stored_session()
        assert session.amr == ["hwk", "user"]
        assert session.auth_time == int(time.time())

    def test_last_use_is_shown(self, api, verified, passkey, clock):
        clock.shift(60)
        log_in(api, passkey)
        (stored,) = listed(api, verified["token"])
        assert stored["last_used_at"] > stored["created_at"]

    def test_backup_since_then_is_shown(self, api, verified):
        passkey = add_passkey(api, verified["token"], flags=PRESENT | VERIFIED | BACKUP_ELIGIBLE)
        for backed_up in (True, False):
            flags = PRESENT | VERIFIED | BACKUP_ELIGIBLE | (BACKED_UP if backed_up else 0)
            assert log_in(api, passkey, flags=flags).status_code == 200
            assert listed(api, verified["token"])[0]["backed_up"] is backed_up

    def test_login_needs_no_code_of_a_second_factor(self, api, verified, passkey):
        enrol(api, verified)
        assert api.log_in().json()["error"] == "SecondFactorRequiredError"
        assert is_next_pair(log_in(api, passkey))

    def test_passkey_outlasts_a_change_of_password(self, api, verified, passkey):
        body = {"current_password": ADA["password"], "password": NEW_PASSWORD}
        assert api.put("/api/auth/password", json=body, token=verified["token"]).ok
        assert is_next_pair(log_in(api, passkey))

    def test_passkey_outlasts_a_reset(self, app, api, passkey):
        assert api.reset(reset_token(app, User.objects.get())).status_code == 200
        assert is_next_pair(log_in(api, passkey))

    def test_event_is_recorded(self, api, passkey, count_events):
        before = count_events("login")
        log_in(api, passkey)
        assert count_events("login") == before + 1

    def test_log_names_no_passkey(self, api, verified, passkey, caplog):
        caplog.set_level("INFO")
        options = login_options(api)
        send_login(api, assertion(passkey, options))
        send_login(api, assertion(passkey, options))
        path = f"/api/auth/passkeys/{listed(api, verified['token'])[0]['id']}"
        assert api.patch(path, json={"name": "Hush"}, token=verified["token"]).ok
        assert "event=login" in caplog.text
        for secret in (to_text(passkey.credential_id), options["challenge"], "Hush"):
            assert secret not in caplog.text


class TestUser:
    """Whose passkey it is."""

    def test_user_handle_of_another_user_is_refused(self, api, passkey, eves_passkey):
        handle = {"userHandle": to_text(eves_passkey.user_handle)}
        assert_error(log_in(api, passkey, response=handle), 401, "UnauthorizedError")

    @pytest.mark.parametrize("handle", ["", "AAAA", None, to_text(ADA["email"].encode())])
    def test_other_user_handle_is_refused(self, api, passkey, handle):
        response = log_in(api, passkey, response={"userHandle": handle})
        assert response.status_code in (400, 401)
        assert log_in(api, passkey).status_code == 200

    def test_missing_user_handle_is_refused(self, api, passkey):
        credential = assertion(passkey, login_options(api))
        del credential["response"]["userHandle"]
        assert_error(send_login(api, credential), 401, "UnauthorizedError")

    def test_signature_of_another_passkey_is_refused(self, api, passkey, eves_passkey):
        own, others = (assertion(it, login_options(api)) for it in (passkey, eves_passkey))
        own["response"] = others["response"]
        assert_error(send_login(api, own), 401, "UnauthorizedError")

    def test_other_key_with_the_same_id_is_refused(self, api, passkey):
        forged = new_passkey(passkey.user_handle, credential_id=passkey.credential_id)
        assert_error(log_in(api, forged), 401, "UnauthorizedError")

    def test_unknown_passkey_is_refused(self, api, passkey):
        assert_error(log_in(api, new_passkey(passkey.user_handle)), 401, "UnauthorizedError")

    def test_refused_login_opens_no_session(self, api, verified, passkey):
        log_in(api, new_passkey(passkey.user_handle, credential_id=passkey.credential_id))
        assert len(User.objects.get().sessions) == 1


class TestChallenge:
    def test_challenge_is_used_once(self, api, passkey):
        options = login_options(api)
        assert send_login(api, assertion(passkey, options)).status_code == 200
        assert_error(send_login(api, assertion(passkey, options)), 401, "UnauthorizedError")

    def test_refused_login_uses_it_up(self, api, passkey):
        options = login_options(api)
        assert not send_login(api, assertion(passkey, options, rp_id="other.example")).ok
        assert_error(send_login(api, assertion(passkey, options)), 401, "UnauthorizedError")

    def test_one_of_16_at_once_succeeds(self, api, atomic, passkey):
        credential = assertion(passkey, login_options(api))
        responses = run_simultaneously(REQUESTS, lambda _: send_login(api, credential))
        statuses = sorted(response.status_code for response in responses)
        assert statuses == [200] + [401] * (REQUESTS - 1)

    def test_one_of_16_registrations_at_once_succeeds(self, api, atomic, verified):
        options = creation_options(api, verified["token"])
        credential = registration(make_passkey(options), options)
        add_again = lambda _: add(api, verified["token"], credential)  # noqa: E731
        statuses = [it.status_code for it in run_simultaneously(REQUESTS, add_again)]
        assert sorted(statuses) == [200] + [400] * (REQUESTS - 1)
        assert len(listed(api, verified["token"])) == 1

    @pytest.mark.parametrize(("seconds", "status"), [(-1, 200), (0, 401), (3600, 401)])
    def test_challenge_of_a_login_lasts_5_minutes(self, api, passkey, clock, seconds, status):
        options = login_options(api)
        clock.shift(CHALLENGE_SECONDS + seconds)
        assert send_login(api, assertion(passkey, options)).status_code == status

    @pytest.mark.parametrize(("seconds", "status"), [(-1, 200), (0, 400)])
    def test_challenge_of_a_registration_too(self, api, verified, clock, seconds, status):
        options = creation_options(api, verified["token"])
        clock.shift(CHALLENGE_SECONDS + seconds)
        response = add(api, verified["token"], registration(make_passkey(options), options))
        assert response.status_code == status

    def test_challenge_of_a_registration_logs_nobody_in(self, api, verified, passkey):
        options = creation_options(api, verified["token"]) | {"rpId": "movie-bag.example"}
        assert_error(send_login(api, assertion(passkey, options)), 401, "UnauthorizedError")

    def test_challenge_of_a_login_registers_nothing(self, api, verified):
        options = creation_options(api, verified["token"])
        of_login = options | {"challenge": login_options(api)["challenge"]}
        credential = registration(make_passkey(options), of_login)
        errors = assert_error(add(api, verified["token"], credential), 400, "SchemaValidationError")
        assert errors.keys() == {"credential"}

    def test_challenge_of_another_user_registers_nothing(self, api, verified, eve):
        verify_all()
        options, others = (creation_options(api, it["token"]) for it in (verified, eve))
        credential = registration(make_passkey(options), others)
        response = add(api, verified["token"], credential)
        assert_error(response, 400, "SchemaValidationError")
        assert listed(api, verified["token"]) == []

    def test_challenge_of_our_own_choice_is_refused(self, api, passkey):
        options = login_options(api) | {"challenge": to_text(bytes(64))}
        assert_error(send_login(api, assertion(passkey, options)), 401, "UnauthorizedError")

    def test_expired_challenges_are_deleted(self, api, app, clock):
        login_options(api)
        clock.shift(CHALLENGE_SECONDS + 1)
        with app.app_context():
            Challenge.delete_expired()
        assert Challenge.objects.count() == 0


class TestSignCount:
    """A count that does not rise: there may be a copy of the key (WebAuthn §6.1.1)."""

    def test_zero_stays_fine(self, api, passkey, count_events):
        assert [log_in(api, passkey).status_code for _ in range(3)] == [200] * 3
        assert count_events("passkey_refused") == 0

    def test_rising_is_fine(self, api, counting):
        assert [log_in(api, counting).status_code for _ in range(3)] == [200] * 3
        assert log_in(api, counting, sign_count=2**32 - 1).status_code == 200

    @pytest.mark.parametrize("count", [0, 1, 5, 6])
    def test_falling_is_refused_and_recorded(self, api, counting, count_events, count):
        assert log_in(api, counting).status_code == 200
        assert_error(log_in(api, counting, sign_count=count), 401, "UnauthorizedError")
        assert count_events("passkey_refused") == 1
        assert log_in(api, counting).status_code == 200

    def test_falling_without_the_key_is_not_recorded(self, api, counting, count_events):
        forged = new_passkey(counting.user_handle, credential_id=counting.credential_id)
        assert_error(log_in(api, forged, sign_count=1), 401, "UnauthorizedError")
        assert count_events("passkey_refused") == 0

    def test_one_of_16_equal_counts_succeeds(self, api, atomic, counting):
        used = [assertion(counting, login_options(api), sign_count=6) for _ in range(REQUESTS)]
        responses = run_simultaneously(REQUESTS, lambda index: send_login(api, used[index]))
        statuses = sorted(response.status_code for response in responses)
        assert statuses == [200] + [401] * (REQUESTS - 1)

    def test_from_zero_it_may_begin_to_rise(self, api, passkey):
        assert log_in(api, passkey, sign_count=1).status_code == 200
        assert_error(log_in(api, passkey, sign_count=0), 401, "UnauthorizedError")
