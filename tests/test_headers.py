"""The headers of every answer, and what pages of other origins may read."""

import pytest
import requests
from werkzeug.exceptions import TooManyRequests

from tests.test_bad_input import EACH_ROUTE

APP, OTHER = "https://app.example.com", "https://evil.example"
PREFLIGHT = {
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "authorization,content-type",
}
NOTHING = "default-src 'none'; frame-ancestors 'none'"


def too_many():
    raise TooManyRequests(retry_after=7)


def fails():
    raise RuntimeError


@pytest.fixture
def serve(make_app, http):
    """Return a function that serves with these settings; two of the views fail."""

    def serve(**settings):
        http.app = make_app(**settings)
        http.app.add_url_rule("/api/too-many", view_func=too_many)
        http.app.add_url_rule("/api/fails", view_func=fails)
        return http

    return serve


@pytest.fixture
def shared(serve):
    """Serve to two origins."""
    return serve(CORS_ORIGINS=f"{APP}, http://localhost:3000")


ANSWERS = {
    "200": lambda api: api.get("/api/movies"),
    "400": lambda api: api.post("/api/auth/login", json={}),
    "401": lambda api: api.get("/api/auth/verify"),
    "404": lambda api: api.get("/nothing"),
    "405": lambda api: api.put("/api/auth/login"),
    "413": lambda api: api.post("/api/auth/login", data=b"x" * 70_000),
    "415": lambda api: api.post("/api/auth/login", data=b"x"),
    "429": lambda api: api.get("/api/too-many"),
    "500": lambda api: api.get("/api/fails"),
    "200 of OPTIONS": lambda api: api.options("/api/auth/login"),
    "200 of a file": lambda api: api.get("/static/style.css"),
    "401 of a page": lambda api: api.get("/reset/nonsense"),
}
EACH_ANSWER = pytest.mark.parametrize("ask", ANSWERS.values(), ids=ANSWERS)


@EACH_ANSWER
def test_no_answer_is_sniffed_framed_or_named_to_others(serve, ask):
    answer = ask(serve(APP_ENV="development"))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in answer.headers


@EACH_ANSWER
def test_in_production_browsers_ask_with_tls_alone(serve, ask):
    answer = ask(serve(APP_ENV="production"))
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_json_loads_nothing_and_a_page_keeps_the_policy_that_it_sets(api):
    assert api.get("/api/movies").headers["Content-Security-Policy"] == NOTHING
    assert "style-src 'self'" in api.get("/reset/x").headers["Content-Security-Policy"]


def test_no_answer_names_the_server(run):
    assert "Server" not in requests.get(f"{run().url}/healthz", timeout=10).headers


def cors(answer):
    """Return what an answer lets another origin do."""
    return {name: value for name, value in answer.headers.items() if name.startswith("Access-")}


@EACH_ROUTE
def test_a_preflight_is_answered_to_our_origins_alone(shared, method, path, body, token):
    asked = PREFLIGHT | {"Access-Control-Request-Method": method}
    for origin in (APP, "http://localhost:3000"):
        answer = shared.options(path, headers=asked | {"Origin": origin})
        assert answer.status_code == 200
        allowed = cors(answer)
        assert allowed["Access-Control-Allow-Origin"] == origin
        assert method in allowed["Access-Control-Allow-Methods"].split(", ")
        assert allowed["Access-Control-Allow-Headers"] == "authorization, content-type"
        assert allowed["Access-Control-Max-Age"] == "600"
        assert "Access-Control-Allow-Credentials" not in allowed
    for stranger in ({"Origin": OTHER}, {"Origin": "null"}, {}):
        answer = shared.options(path, headers=asked | stranger)
        assert answer.status_code == 200
        assert cors(answer) == {}
        assert answer.headers["Vary"] == "Origin"


def test_a_header_that_nobody_needs_is_not_allowed(shared):
    asked = PREFLIGHT | {"Access-Control-Request-Headers": "authorization,x-evil"}
    answer = shared.options("/api/movies", headers=asked | {"Origin": APP})
    assert cors(answer)["Access-Control-Allow-Headers"] == "authorization"


@pytest.mark.parametrize("status", ["200", "400", "401", "405", "413", "415", "429", "500"])
def test_our_origins_can_read_answers_and_errors_too_and_others_can_not(shared, status):
    readable = {
        "Access-Control-Allow-Origin": APP,
        "Access-Control-Expose-Headers": "Link, Retry-After, X-Request-ID",
    }
    for origin, expected in ((APP, readable), (OTHER, {}), (f"{APP}.evil.example", {})):
        answer = ANSWERS[status](From(shared, origin))
        assert answer.status_code == int(status)
        assert cors(answer) == expected
        assert answer.headers["Vary"] == "Origin"


def test_an_unknown_path_of_the_api_can_be_read_too(shared):
    answer = From(shared, APP).get("/api/nothing")
    assert (answer.status_code, cors(answer)["Access-Control-Allow-Origin"]) == (404, APP)


@pytest.mark.parametrize("path", ["/reset/nonsense", "/healthz", "/static/style.css", "/"])
def test_what_is_not_the_api_is_for_no_other_origin(shared, path):
    assert cors(From(shared, APP).get(path)) == {}


def test_without_cors_origins_no_origin_can_read_anything(serve):
    answer = From(serve(), APP).get("/api/movies")
    assert cors(answer) == {}
    assert "Vary" not in answer.headers


class From:
    """A browser's client on a page of another origin."""

    def __init__(self, api, origin):
        self.api, self.headers = api, {"Origin": origin}

    def __getattr__(self, method):
        """Return what asks with that method."""
        return lambda path, **more: self.api.request(method, path, headers=self.headers, **more)
