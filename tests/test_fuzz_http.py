"""Whatever a request says is answered in the one shape, and what is stored is shown as it was."""

import json
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from database.models import User
from tests.test_bad_input import EACH_ROUTE, as_admin
from tests.test_fuzz import A_FEW, JSON, TEXT, is_told

ANY_BYTES = st.binary() | st.text().map(str.encode)
QUOTED = ANY_BYTES.map(quote_from_bytes) | TEXT.map(str.encode).map(quote_from_bytes)


def is_answered(answer):
    """Say whether an answer is the one asked for, or a refusal in the one shape."""
    if answer.status_code == 200:
        return True
    body = answer.json()
    shape = body.keys() - {"errors"} == {"message", "status", "error"}
    told = "errors" not in body or is_told(body["errors"])
    return shape and told and 400 <= body["status"] == answer.status_code < 500


@EACH_ROUTE
def test_any_body_is_answered(api, still_outbox, ada, method, path, body, token):
    path, stored = as_admin(path), User.objects.get().to_mongo()
    values = {name: JSON | TEXT | st.just(value) for name, value in body.items()}
    bodies = JSON | st.fixed_dictionaries({}, optional=values)

    @A_FEW
    @given(ANY_BYTES | bodies.map(json.dumps).map(str.encode))
    def try_out(data):
        headers = {"Content-Type": "application/json"}
        assert is_answered(
            api.request(method, path, data=data, headers=headers, token=ada.get(token))
        )
        User.objects.delete()
        User._get_collection().insert_one(dict(stored))

    try_out()


@pytest.mark.parametrize("path", ["/api/movies?", "/api/users?"])
def test_any_query_is_answered(api, still_outbox, ada, path):
    as_admin("")
    names = st.sampled_from(["limit", "after", "genre", "q"]) | QUOTED

    @A_FEW
    @given(st.lists(st.tuples(names, QUOTED).map("=".join)).map("&".join) | QUOTED)
    def try_out(query):
        assert is_answered(api.get(path + query, token=ada["token"]))

    try_out()


@pytest.mark.parametrize("path", ["movies", "users", "auth/sessions", ""])
def test_any_path_is_answered(api, still_outbox, ada, path):
    as_admin("")

    @A_FEW
    @given(st.sampled_from(["GET", "PUT", "PATCH", "DELETE"]), QUOTED)
    def try_out(method, end):
        assert is_answered(api.request(method, f"/api/{path}/{end}", token=ada["token"]))

    try_out()
