"""Introspection: an access token that would be accepted now is active, nothing else is."""

import pytest

from database.models import User
from tests.support.api_keys import ask, create_key
from tests.support.assertions import assert_error, case
from tests.support.client import ADA
from tests.support.factor_client import reauthenticate
from tests.support.forged_tokens import FORGED
from tests.support.operators import disable
from tests.support.token_endpoints import token_of_each_scope
from tests.support.tokens import decode_parts

FIELDS = {"scope", "sub", "exp", "iat", "iss", "aud", "role", "verified", "amr", "auth_time"}


@pytest.fixture
def key(api, operator):
    """Return the text of an API key."""
    return create_key(api, operator)["key"]


def assert_inactive(response):
    assert response.status_code == 200, response.text
    assert response.json() == {"active": False}


class TestActiveToken:
    def test_response_has_what_the_token_says(self, api, ada, key):
        response = ask(api, key, ada["token"])
        claims = decode_parts(ada["token"])[1]
        assert response.json() == {"active": True, **{name: claims[name] for name in FIELDS}}
        assert ADA["email"] not in response.text
        assert response.headers["Cache-Control"] == "no-store"

    def test_role_and_verification_are_those_of_now(self, api, ada, key):
        User.objects(email=ADA["email"]).update(set__role="admin", set__verified_at=1.0)
        now = ask(api, key, ada["token"]).json()
        assert (now["role"], now["verified"]) == ("admin", True)

    def test_amr_and_auth_time_are_those_of_the_session(self, api, ada, key, clock):
        clock.shift(5)
        pair = reauthenticate(api, ada["token"], current_password=ADA["password"]).json()
        now = ask(api, key, pair["token"]).json()
        assert now["amr"] == ["pwd"]
        assert now["auth_time"] == decode_parts(ada["token"])[1]["auth_time"] + 5

    def test_token_in_its_grace_is_active(self, api, ada, key, clock):
        api.refresh(ada["refresh_token"])
        clock.shift(9)
        assert ask(api, key, ada["token"]).json()["active"] is True
        clock.shift(1.5)
        assert_inactive(ask(api, key, ada["token"]))

    def test_unknown_parameters_are_ignored(self, api, ada, key):
        response = ask(api, key, ada["token"], token_type_hint="refresh_token", x="y")
        assert response.json()["active"] is True


class TestInactiveToken:
    def test_token_of_another_scope_is_inactive(self, api, app, ada, key):
        tokens = token_of_each_scope(app, ada)
        for scope in tokens.keys() - {"access"}:
            with case(scope=scope):
                assert_inactive(ask(api, key, tokens[scope]))

    def test_forged_token_is_inactive(self, api, ada, key):
        for name, forge in FORGED.items():
            with case(name=name):
                assert_inactive(ask(api, key, forge(*decode_parts(ada["token"]))))

    def test_expired_token_is_inactive(self, api, ada, key, clock):
        clock.shift(899)
        assert ask(api, key, ada["token"]).json()["active"] is True
        clock.shift(1)
        assert_inactive(ask(api, key, ada["token"]))

    def test_token_is_inactive_after_logout(self, api, ada, key):
        api.log_out(ada["token"])
        assert_inactive(ask(api, key, ada["token"]))

    def test_token_of_a_disabled_user_is_inactive(self, api, ada, operator, key):
        disable(api, operator)
        assert_inactive(ask(api, key, ada["token"]))

    def test_token_of_a_deleted_user_is_inactive(self, api, ada, key):
        User.objects(email=ADA["email"]).delete()
        assert_inactive(ask(api, key, ada["token"]))

    @pytest.mark.parametrize("text", ["", "x", "x" * 4096, "x" * 60_000, "\u00e9", "\x00", "mb_"])
    def test_text_is_inactive(self, api, key, text):
        assert_inactive(ask(api, key, text))

    def test_api_key_is_inactive(self, api, key):
        assert_inactive(ask(api, key, key))


class TestRequest:
    def test_token_is_required(self, api, key):
        for parameters in ({}, {"x": "y"}):
            response = api.post("/api/auth/introspect", token=key, data=parameters)
            assert assert_error(response, 400, "SchemaValidationError").keys() == {"token"}

    def test_body_is_a_form(self, api, ada, key):
        body = {"token": ada["token"]}
        response = api.post("/api/auth/introspect", token=key, json=body)
        assert_error(response, 415, "UnsupportedMediaTypeError")

    def test_query_is_refused(self, api, ada, key):
        url = f"/api/auth/introspect?token={ada['token']}"
        response = api.post(url, token=key, data={"token": ada["token"]})
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"token"}

    def test_key_is_checked_before_the_body(self, api):
        assert_error(api.post("/api/auth/introspect", json={}), 401, "MissingTokenError")
