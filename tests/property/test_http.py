"""Any request gets its result or an error in the one shape, never a 500."""

from urllib.parse import quote_from_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.endpoints import EACH_ENDPOINT, path_for_admin, path_of_passkey
from tests.support.stored_user import read_stored_user, restore_user
from tests.support.strategies import A_FEW, ANY_BYTES, CREDENTIALS, JSON, TEXT, json_bytes
from tests.support.validity import have_reasons

QUOTED = ANY_BYTES.map(quote_from_bytes) | TEXT.map(str.encode).map(quote_from_bytes)
JSON_HEADER = {"Content-Type": "application/json"}


def is_result_or_error(response):
    """Return whether a response is the result, or a client's error in the one shape."""
    if response.status_code == 200:
        return True
    body = response.json()
    has_shape = body.keys() - {"errors"} == {"message", "status", "error"}
    has_reasons = "errors" not in body or have_reasons(body["errors"])
    return has_shape and has_reasons and 400 <= body["status"] == response.status_code < 500


class TestBodies:
    @EACH_ENDPOINT
    def test_any_body_gets_a_response(self, api, stopped_worker, ada, method, path, body, token):
        path, stored = path_of_passkey(path_for_admin(path)), read_stored_user()
        values = {name: JSON | TEXT | st.just(value) for name, value in body.items()}
        if "credential" in body:
            values["credential"] |= CREDENTIALS

        @A_FEW
        @given(ANY_BYTES | json_bytes(JSON | st.fixed_dictionaries({}, optional=values)))
        def check(data):
            response = api.request(
                method, path, data=data, headers=JSON_HEADER, token=ada.get(token)
            )
            assert is_result_or_error(response)
            restore_user(stored)

        check()


class TestQueries:
    @pytest.mark.parametrize("path", ["/api/movies?", "/api/users?"])
    def test_any_query_gets_a_response(self, api, stopped_worker, ada, path):
        path_for_admin("")
        names = st.sampled_from(["limit", "after", "genre", "q"]) | QUOTED

        @given(st.lists(st.tuples(names, QUOTED).map("=".join)).map("&".join) | QUOTED)
        @example("after=%FF")
        def check(query):
            assert is_result_or_error(api.get(path + query, token=ada["token"]))

        check()


class TestPaths:
    @pytest.mark.parametrize("path", ["movies", "users", "auth/sessions", "auth/passkeys", ""])
    def test_any_path_gets_a_response(self, api, stopped_worker, ada, path):
        path_for_admin("")

        @A_FEW
        @given(st.sampled_from(["GET", "PUT", "PATCH", "DELETE"]), QUOTED)
        def check(method, end):
            response = api.request(method, f"/api/{path}/{end}", token=ada["token"])
            assert is_result_or_error(response)

        check()
