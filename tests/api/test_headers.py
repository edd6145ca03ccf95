"""The security headers of every response, and which origins may read it (CORS)."""

import re

import pytest
import requests
from bson import ObjectId
from flask_jwt_extended import jwt_required
from werkzeug.exceptions import TooManyRequests

from tests.support.assertions import case
from tests.support.endpoints import EACH_ENDPOINT, ENDPOINTS, path_for_admin

APP, SECOND_APP, EVIL = "https://app.example.com", "http://localhost:3000", "https://evil.example"
# A browser would let each of them read what is for the user, if the response allowed it.
FOREIGN_ORIGINS = [
    *(EVIL, "null", f"{APP}.evil.example", APP[:-1], f"{APP}:8443", f"{APP}/", APP.upper()),
    *("http://app.example.com", "https://appXexample.com", "https://evil.app.example.com"),
]
REQUEST_HEADERS = "authorization, content-type, traceparent, tracestate, x-request-id"
PREFLIGHT = {
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": REQUEST_HEADERS.replace(" ", ""),
}
RESPONSE_HEADERS = "Link, Location, Retry-After, WWW-Authenticate, X-Request-ID"
NOTHING = "default-src 'none'; frame-ancestors 'none'"
RESPONSES = {
    "200": lambda api: api.get("/api/movies"),
    "400": lambda api: api.post("/api/auth/login", json={}),
    "401": lambda api: api.get("/api/auth/verify"),
    "404": lambda api: api.get("/nothing"),
    "405": lambda api: api.put("/api/auth/login"),
    "413": lambda api: api.post("/api/auth/login", data=b"x" * 70_000),
    "415": lambda api: api.post("/api/auth/login", data=b"x"),
    "429": lambda api: api.get("/api/too-many"),
    "500": lambda api: api.get("/api/fails"),
    "200 of OPTIONS": lambda api: api.request("OPTIONS", "/api/auth/login"),
    "200 of a file": lambda api: api.get("/static/style.css"),
    "401 of a page": lambda api: api.get("/reset/nonsense"),
}


def refuse():
    raise TooManyRequests(retry_after=7)


def fail():
    raise RuntimeError


@pytest.fixture
def serve(make_app, http):
    """Return a function that serves with these settings; two of the views fail."""

    def serve(**settings):
        http.app = make_app(**settings)
        http.app.add_url_rule("/api/too-many", view_func=refuse)
        http.app.add_url_rule("/api/fails", view_func=fail)
        return http

    return serve


@pytest.fixture
def cors_api(serve):
    """Serve to two origins."""
    return serve(CORS_ORIGINS=f"{APP}, {SECOND_APP}")


class OriginClient:
    """A browser's client on a page of another origin."""

    def __init__(self, api, origin):
        self.api, self.headers = api, {"Origin": origin}

    def __getattr__(self, method):
        """Return a function that sends a request with that method."""
        return lambda path, **options: self.api.request(
            method, path, headers=self.headers, **options
        )


def cors_headers(response):
    """Return what a response allows another origin."""
    return {name: value for name, value in response.headers.items() if name.startswith("Access-")}


class TestSecurityHeaders:
    def test_every_response_has_them(self, serve):
        api = serve(APP_ENV="development")
        for status, send in RESPONSES.items():
            response = send(api)
            assert str(response.status_code) == status[:3]
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["X-Frame-Options"] == "DENY"
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
            assert "Strict-Transport-Security" not in response.headers

    def test_production_demands_tls(self, serve):
        api = serve(APP_ENV="production")
        for send in RESPONSES.values():
            assert send(api).headers["Strict-Transport-Security"] == "max-age=31536000"

    def test_json_may_load_nothing(self, api):
        assert api.get("/api/movies").headers["Content-Security-Policy"] == NOTHING

    def test_page_keeps_its_own_policy(self, api):
        assert "style-src 'self'" in api.get("/reset/x").headers["Content-Security-Policy"]

    def test_server_is_not_named(self, run):
        assert "Server" not in requests.get(f"{run().url}/healthz", timeout=10).headers


class TestNoStore:
    """What is personal is kept in no cache: whatever is for one user, and errors as well."""

    @EACH_ENDPOINT
    def test_response_to_a_user_is_not_stored(self, api, ada, method, path, body, token):
        path = re.sub("<.*?>", str(ObjectId()), path_for_admin(path))
        for sent in ({}, body):
            bearer = ada[token] if token else None
            response = api.request(method, path, json=sent, token=bearer)
            if token or method != "GET":
                assert response.headers["Cache-Control"] == "no-store"

    def test_own_view_of_a_learner_is_not_stored(self, app, api):
        app.add_url_rule("/api/mine", view_func=jwt_required()(lambda: "for you alone"))
        api.sign_up()
        response = api.get("/api/mine", token=api.log_in().json()["token"])
        assert response.text == "for you alone"
        assert response.headers["Cache-Control"] == "no-store"

    def test_public_responses_may_be_stored(self, api):
        for path in ("/api/movies", "/api/openapi.json", "/static/style.css"):
            assert "no-store" not in api.get(path).headers.get("Cache-Control", "")


class TestPreflight:
    def test_own_origins_may_send_every_request(self, cors_api):
        for method, path, *_ in ENDPOINTS:
            for origin in (APP, SECOND_APP):
                headers = PREFLIGHT | {"Access-Control-Request-Method": method, "Origin": origin}
                response = cors_api.request("OPTIONS", path, headers=headers)
                assert response.status_code == 200
                allowed = cors_headers(response)
                assert allowed["Access-Control-Allow-Origin"] == origin
                assert method in allowed["Access-Control-Allow-Methods"].split(", ")
                assert allowed["Access-Control-Allow-Headers"] == REQUEST_HEADERS
                assert allowed["Access-Control-Max-Age"] == "600"
                assert allowed["Access-Control-Allow-Credentials"] == "true"

    def test_other_origins_may_send_nothing(self, cors_api):
        for method, path, *_ in ENDPOINTS:
            for origin in FOREIGN_ORIGINS if path == "/api/auth/refresh" else (None, EVIL):
                sent = {"Access-Control-Request-Method": method, "Origin": origin}
                headers = PREFLIGHT | sent
                response = cors_api.request("OPTIONS", path, headers=headers)
                assert response.status_code == 200
                assert cors_headers(response) == {}
                assert response.headers["Vary"] == "Origin"

    def test_header_that_no_request_needs_is_not_allowed(self, cors_api):
        headers = {"Access-Control-Request-Headers": "authorization,x-evil", "Origin": APP}
        response = cors_api.request("OPTIONS", "/api/movies", headers=PREFLIGHT | headers)
        assert cors_headers(response)["Access-Control-Allow-Headers"] == "authorization"


class TestCors:
    def test_own_origins_can_read_responses_and_errors(self, cors_api):
        readable = {
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Allow-Origin": APP,
            "Access-Control-Expose-Headers": RESPONSE_HEADERS,
        }
        for status in ("200", "400", "401", "405", "413", "415", "429", "500"):
            for origin in (APP, *FOREIGN_ORIGINS):
                with case(status=status, origin=origin):
                    response = RESPONSES[status](OriginClient(cors_api, origin))
                    assert response.status_code == int(status)
                    assert cors_headers(response) == (readable if origin == APP else {})
                    assert response.headers["Vary"] == "Origin"

    def test_unknown_path_of_the_api_can_be_read(self, cors_api):
        response = OriginClient(cors_api, APP).get("/api/nothing")
        assert response.status_code == 404
        assert cors_headers(response)["Access-Control-Allow-Origin"] == APP

    def test_other_paths_can_not_be_read(self, cors_api):
        for path in ("/reset/nonsense", "/healthz", "/static/style.css", "/"):
            assert cors_headers(OriginClient(cors_api, APP).get(path)) == {}

    def test_no_origin_can_read_without_the_setting(self, serve):
        response = OriginClient(serve(), APP).get("/api/movies")
        assert cors_headers(response) == {}
        assert "Vary" not in response.headers
