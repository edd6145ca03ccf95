"""Reauthentication by passkey: it makes a session recent, and revokes the pair before at once."""

import time

import pytest

from database.models import User
from tests.support.assertions import assert_error
from tests.support.authenticator import assertion, new_passkey, to_text
from tests.support.client import EVE
from tests.support.concurrency import run_simultaneously
from tests.support.factor_client import enrol, reauthenticate
from tests.support.passkeys import (
    add_passkey,
    creation_options,
    log_in,
    login_options,
    reauthenticate_by,
    stored_session,
)

RECENT_SECONDS = 600
REQUESTS = 16


@pytest.fixture
def old(clock, verified, passkey):
    """Return the tokens of Ada, who has a passkey and whose login is no longer recent."""
    clock.shift(RECENT_SECONDS + 1)
    return verified


def is_recent(api, token):
    """Return whether a session is recent, as an endpoint that asks for it says."""
    response = api.post("/api/auth/passkeys/options", token=token)
    if response.status_code != 200:
        assert_error(response, 401, "ReauthenticationRequiredError")
    return response.ok


def auth_time(email):
    (session,) = User.objects.get(email=email).sessions.values()
    return session.auth_time


class TestReauthenticate:
    def test_next_pair_is_recent(self, api, old, passkey):
        assert not is_recent(api, old["token"])
        response = reauthenticate_by(api, old["token"], passkey)
        assert response.status_code == 200
        assert response.json().keys() == old.keys()
        assert response.headers["Cache-Control"] == "no-store"
        assert is_recent(api, response.json()["token"])

    def test_session_says_when_and_how(self, api, old, passkey):
        assert stored_session().amr == ["pwd"]
        reauthenticate_by(api, old["token"], passkey)
        session = stored_session()
        assert (session.auth_time, session.amr) == (int(time.time()), ["hwk", "user"])

    def test_age_of_the_session_goes_on(self, api, old, passkey):
        created_at = stored_session().created_at
        reauthenticate_by(api, old["token"], passkey)
        assert stored_session().created_at == created_at

    def test_it_lasts_10_minutes(self, api, old, passkey, clock):
        token = reauthenticate_by(api, old["token"], passkey).json()["token"]
        proved_at = stored_session().auth_time
        clock.move_to(proved_at + RECENT_SECONDS - 1)
        assert is_recent(api, token)
        clock.move_to(proved_at + RECENT_SECONDS)
        assert not is_recent(api, token)

    def test_refresh_does_not_prolong_it(self, api, old, passkey, clock):
        pair = reauthenticate_by(api, old["token"], passkey).json()
        clock.shift(RECENT_SECONDS)
        assert not is_recent(api, api.refresh(pair["refresh_token"]).json()["token"])

    def test_user_with_a_second_factor_may_use_a_passkey(self, api, verified, passkey, clock):
        enrol(api, verified)
        clock.shift(RECENT_SECONDS + 1)
        response = reauthenticate_by(api, verified["token"], passkey)
        assert is_recent(api, response.json()["token"])

    def test_event_is_recorded(self, api, old, passkey, count_events):
        reauthenticate_by(api, old["token"], passkey)
        assert count_events("reauthenticated") == 1


class TestPairBefore:
    """It is revoked without grace, and its tokens do not end the session."""

    def test_access_token_is_refused_at_once(self, api, old, passkey):
        assert reauthenticate_by(api, old["token"], passkey).ok
        assert_error(api.verify(old["token"]), 401, "SupersededTokenError")

    def test_refresh_token_gets_no_pair(self, api, old, passkey):
        pair = reauthenticate_by(api, old["token"], passkey).json()
        for _ in range(2):
            assert_error(api.refresh(old["refresh_token"]), 401, "SupersededTokenError")
        assert api.verify(pair["token"]).status_code == 200
        assert api.refresh(pair["refresh_token"]).status_code == 200

    def test_refresh_token_gets_no_pair_later(self, api, old, passkey, clock):
        pair = reauthenticate_by(api, old["token"], passkey).json()
        clock.shift(3600)
        assert_error(api.refresh(old["refresh_token"]), 401, "SupersededTokenError")
        assert api.refresh(pair["refresh_token"]).status_code == 200

    def test_access_token_gives_no_second_pair(self, api, old, passkey):
        assert reauthenticate_by(api, old["token"], passkey).ok
        response = reauthenticate_by(api, old["token"], passkey)
        assert_error(response, 401, "SupersededTokenError")

    def test_one_of_16_at_once_gets_the_next_pair(self, api, atomic, verified, passkey):
        signed = [assertion(passkey, login_options(api)) for _ in range(REQUESTS)]

        def send(index):
            return reauthenticate(api, verified["token"], credential=signed[index])

        responses = run_simultaneously(REQUESTS, send)
        won = [response.json() for response in responses if response.ok]
        lost = [response for response in responses if not response.ok]
        assert (len(won), len(lost)) == (1, REQUESTS - 1)
        for response in lost:
            assert_error(response, 401, "SupersededTokenError")
        assert api.verify(won[0]["token"]).status_code == 200
        assert api.refresh(won[0]["refresh_token"]).status_code == 200


class TestProof:
    def test_passkey_of_another_user_is_refused(self, api, old, passkey, eves_passkey):
        response = reauthenticate_by(api, old["token"], eves_passkey)
        errors = assert_error(response, 400, "SchemaValidationError")
        assert errors.keys() == {"credential"}
        assert not is_recent(api, old["token"])

    def test_nobody_becomes_recent_by_it(self, api, passkey, eve, clock):
        before = auth_time(EVE["email"])
        clock.shift(10)
        assert not reauthenticate_by(api, eve["token"], passkey).ok
        assert auth_time(EVE["email"]) == before

    def test_other_user_handle_is_refused(self, api, old, passkey, eves_passkey):
        handle = {"userHandle": to_text(passkey.user_handle)}
        response = reauthenticate_by(api, old["token"], eves_passkey, response=handle)
        assert_error(response, 400, "SchemaValidationError")
        assert not is_recent(api, old["token"])

    def test_other_key_is_refused(self, api, old, passkey):
        forged = new_passkey(passkey.user_handle, credential_id=passkey.credential_id)
        response = reauthenticate_by(api, old["token"], forged)
        assert_error(response, 400, "SchemaValidationError")
        assert not is_recent(api, old["token"])

    def test_proof_is_used_once(self, api, old, passkey):
        credential = assertion(passkey, login_options(api))
        pair = reauthenticate(api, old["token"], credential=credential).json()
        response = reauthenticate(api, pair["token"], credential=credential)
        assert_error(response, 400, "SchemaValidationError")

    def test_proof_that_logged_in_is_used(self, api, old, passkey):
        options = login_options(api)
        body = {"credential": assertion(passkey, options)}
        assert api.post("/api/auth/login/passkey", json=body).status_code == 200
        response = reauthenticate(api, old["token"], credential=assertion(passkey, options))
        assert_error(response, 400, "SchemaValidationError")

    def test_challenge_of_a_registration_is_refused(self, api, verified, passkey):
        options = creation_options(api, verified["token"])
        credential = assertion(passkey, options | {"rpId": options["rp"]["id"]})
        response = reauthenticate(api, verified["token"], credential=credential)
        assert_error(response, 400, "SchemaValidationError")

    def test_count_that_falls_is_refused(self, api, verified, count_events):
        counting = add_passkey(api, verified["token"], sign_count=5)
        response = reauthenticate_by(api, verified["token"], counting, sign_count=4)
        assert_error(response, 400, "SchemaValidationError")
        assert count_events("passkey_refused") == 1

    def test_removed_passkey_is_refused(self, api, verified, passkey):
        (stored,) = api.get("/api/auth/passkeys", token=verified["token"]).json()
        assert api.delete(f"/api/auth/passkeys/{stored['id']}", token=verified["token"]).ok
        response = reauthenticate_by(api, verified["token"], passkey)
        assert_error(response, 400, "SchemaValidationError")

    def test_only_one_proof_is_taken(self, api, verified, passkey):
        credential = assertion(passkey, login_options(api))
        proof = {"credential": credential, "current_password": "correct horse battery"}
        response = reauthenticate(api, verified["token"], **proof)
        errors = assert_error(response, 400, "SchemaValidationError")
        assert errors.keys() == proof.keys()

    def test_token_is_checked_first(self, api, verified, passkey):
        assert api.log_out(verified["token"]).ok
        response = reauthenticate_by(api, verified["token"], passkey)
        assert_error(response, 401, "SessionEndedError")

    def test_logged_in_by_passkey_is_recent(self, api, passkey):
        assert is_recent(api, log_in(api, passkey).json()["token"])
