"""Logging out."""

import pytest

from tests.support.assertions import assert_error


class TestLogout:
    @pytest.mark.parametrize("name", ["token", "refresh_token"])
    def test_either_token_revokes_both(self, api, ada, name):
        other = api.log_in().json()
        assert api.log_out(ada[name]).status_code == 200
        assert_error(api.verify(ada["token"]), 401, "SessionEndedError")
        assert_error(api.refresh(ada["refresh_token"]), 401, "SessionEndedError")
        assert_error(api.log_out(ada[name]), 401, "SessionEndedError")
        assert api.verify(other["token"]).status_code == 200

    @pytest.mark.parametrize("times", [1, 2, 10])
    @pytest.mark.parametrize("seconds", [0, 5, 3600])
    def test_refresh_token_of_any_generation_ends_it(self, api, ada, clock, times, seconds):
        tokens = ada
        for _ in range(times):
            tokens = api.refresh(tokens["refresh_token"]).json()
        clock.shift(seconds)
        assert api.log_out(ada["refresh_token"]).status_code == 200
        assert_error(api.refresh(tokens["refresh_token"]), 401, "SessionEndedError")

    def test_access_token_in_its_grace_ends_it(self, api, ada):
        new = api.refresh(ada["refresh_token"]).json()
        assert api.log_out(ada["token"]).status_code == 200
        assert_error(api.verify(new["token"]), 401, "SessionEndedError")

    def test_access_token_after_its_grace_ends_nothing(self, api, ada, clock):
        new = api.refresh(ada["refresh_token"]).json()
        clock.shift(11)
        assert_error(api.log_out(ada["token"]), 401, "SupersededTokenError")
        assert api.verify(new["token"]).status_code == 200
