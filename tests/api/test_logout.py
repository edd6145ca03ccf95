"""Logging out."""

import pytest


class TestLogout:
    @pytest.mark.parametrize("name", ["token", "refresh_token"])
    def test_either_token_revokes_both(self, api, ada, name):
        other = api.log_in().json()
        assert api.log_out(ada[name]).status_code == 200
        assert api.verify(ada["token"]).status_code == 401
        assert api.refresh(ada["refresh_token"]).status_code == 401
        assert api.log_out(ada[name]).status_code == 401
        assert api.verify(other["token"]).status_code == 200
