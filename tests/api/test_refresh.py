"""Refresh tokens: each is exchanged once, with a grace period, and reuse revokes the session."""

import pytest

from tests.support.assertions import assert_error
from tests.support.concurrency import run_simultaneously


@pytest.fixture
def without_grace(make_app, http):
    """Return a client of an application that has no grace period."""
    http.app = make_app(JWT_REFRESH_GRACE=0)
    http.sign_up()
    return http


class TestRefresh:
    def test_response_is_the_next_pair_and_revokes_the_old(self, without_grace):
        old = without_grace.log_in().json()
        response = without_grace.refresh(old["refresh_token"])
        new = response.json()
        assert new.keys() == old.keys()
        assert response.headers["Cache-Control"] == "no-store"
        assert without_grace.verify(new["token"]).status_code == 200
        assert_error(without_grace.verify(old["token"]), 401, "BadTokenError")
        assert without_grace.refresh(old["refresh_token"]).status_code == 401

    def test_one_of_16_simultaneous_refreshes_succeeds(self, without_grace):
        token = without_grace.log_in().json()["refresh_token"]
        statuses = run_simultaneously(16, lambda _: without_grace.refresh(token).status_code)
        assert sorted(statuses) == [200] + [401] * 15

    def test_clock_behind_another_machine_gives_no_grace(self, without_grace, clock):
        token = without_grace.log_in().json()["refresh_token"]
        clock.shift(60)
        without_grace.refresh(token)
        clock.shift(-1)
        assert without_grace.refresh(token).status_code == 401


class TestGracePeriod:
    def test_16_simultaneous_refreshes_all_get_valid_tokens(self, api, ada):
        responses = run_simultaneously(16, lambda _: api.refresh(ada["refresh_token"]))
        assert [response.status_code for response in responses] == [200] * 16
        for response in responses:
            assert api.verify(response.json()["token"]).status_code == 200
        assert api.refresh(responses[7].json()["refresh_token"]).status_code == 200

    def test_token_refreshed_twice_gets_the_current_pair(self, api, ada, clock):
        clock.shift(60)
        second = api.refresh(ada["refresh_token"]).json()
        third = api.refresh(second["refresh_token"]).json()
        clock.shift(9)
        current = api.refresh(ada["refresh_token"]).json()
        assert api.verify(current["token"]).status_code == 200
        assert api.verify(third["token"]).status_code == 200

    @pytest.mark.parametrize(("seconds", "status"), [(9, 200), (11, 401)])
    def test_grace_ends_10_seconds_after_the_refresh(self, api, ada, clock, seconds, status):
        clock.shift(60)
        api.refresh(ada["refresh_token"])
        clock.shift(seconds)
        assert api.refresh(ada["refresh_token"]).status_code == status


class TestReuseDetection:
    def test_reuse_after_the_grace_revokes_the_session(self, api, ada, clock):
        new = api.refresh(ada["refresh_token"]).json()
        clock.shift(11)
        assert_error(api.refresh(ada["refresh_token"]), 401, "BadTokenError")
        assert api.verify(new["token"]).status_code == 401
        assert api.refresh(new["refresh_token"]).status_code == 401

    def test_reuse_keeps_the_other_sessions(self, api, ada, clock):
        other = api.log_in().json()
        api.refresh(ada["refresh_token"])
        clock.shift(11)
        api.refresh(ada["refresh_token"])
        assert api.verify(other["token"]).status_code == 200


class TestMaxAge:
    def test_older_session_is_not_refreshed(self, make_app, http, clock):
        http.app = make_app()
        http.sign_up()
        token = http.log_in().json()["refresh_token"]
        clock.shift(1000)
        http.app = make_app(JWT_SESSION_MAX_AGE=1000)
        assert_error(http.refresh(token), 401, "ExpiredTokenError")

    def test_refreshes_extend_a_session_up_to_its_max_age(self, make_app, http, clock):
        http.app = make_app(JWT_REFRESH_TOKEN_EXPIRES=1000, JWT_SESSION_MAX_AGE=2500)
        http.sign_up()
        tokens = http.log_in().json()
        for _ in range(2):
            clock.shift(999)
            tokens = http.refresh(tokens["refresh_token"]).json()
        assert tokens["expires_in"] == 502
        clock.shift(501)
        assert http.verify(tokens["token"]).status_code == 200
        clock.shift(2)
        assert_error(http.verify(tokens["token"]), 401, "ExpiredTokenError")
        assert_error(http.refresh(tokens["refresh_token"]), 401, "ExpiredTokenError")
