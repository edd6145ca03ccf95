"""examples/other_service in this process: which tokens it accepts, and what it says to others."""

import runpy
import time

import pytest

from database.models import ADMIN
from scripts.lint.figures import count
from scripts.lint.source import SourceFile
from tests.support.forged_tokens import without
from tests.support.private_keys import EC_KEY, ED_KEY, OTHER_EC_KEY, kid_of, setting, sign_by
from tests.support.processes import HOME, free_port
from tests.support.tokens import decode_parts, sign
from tests.support.users import create_session, create_user

FILE = HOME / "examples/other_service/app.py"


@pytest.fixture
def api(make_app, http):
    """Return a client of a Movie-bag with two private keys, at the URL that its tokens name."""
    http.app = make_app(JWT_PRIVATE_KEYS=setting(EC_KEY, ED_KEY), PUBLIC_URL=http.url)
    return http


@pytest.fixture
def token(api, ada):
    """Return Ada's access token."""
    return ada["token"]


@pytest.fixture
def api_key(api):
    """Return the key of an admin."""
    pair = create_session(api.app, create_user("root@example.com", ADMIN))
    body = {"name": "Reviews", "scopes": ["introspect"]}
    return api.post("/api/keys", token=pair["token"], json=body).json()["key"]


@pytest.fixture
def start(api, api_key, monkeypatch):
    """Return a function that starts the example with these variables and returns its client."""

    def start(**changed):
        variables = {"MOVIE_BAG_URL": api.url, "MOVIE_BAG_API_KEY": api_key}
        for name, value in (variables | changed).items():
            monkeypatch.setenv(name, value)
        module = runpy.run_path(str(FILE))
        # PyJWT asks the key too, so no token shows that the list is short.
        assert module["ALGORITHMS"] == ["ES256", "EdDSA"]
        return module["app"].test_client()

    return start


def send(service, method, path, token):
    headers = {"Authorization": f"Bearer {token}"}
    return service.open(path, method=method, headers=headers)


def assert_refused(response, status, error):
    """Assert that a response has the one shape of errors."""
    assert response.status_code == status
    assert response.json.keys() == {"message", "status", "error"}
    assert (response.json["status"], response.json["error"]) == (status, error)
    challenge = "Bearer" if status == 401 else None
    assert response.headers.get("WWW-Authenticate") == challenge


ROUTES = [("GET", "/reviews"), ("POST", "/payments")]
EACH_ROUTE = pytest.mark.parametrize(("method", "path"), ROUTES)
CHANGES = {
    "another issuer": lambda h, c: (h, c | {"iss": "https://other.example"}),
    "no issuer": lambda h, c: (h, without(c, "iss")),
    "another audience": lambda h, c: (h, c | {"aud": "https://other.example"}),
    "no audience": lambda h, c: (h, without(c, "aud")),
    "no client": lambda h, c: (h, without(c, "client_id")),
    "no expiry": lambda h, c: (h, without(c, "exp")),
    "another type": lambda h, c: (h | {"typ": "JWT"}, c),
    "no type": lambda h, c: (without(h, "typ"), c),
    "another algorithm": lambda h, c: (h | {"alg": "HS256"}, c),
    "no algorithm": lambda h, c: (h | {"alg": "none"}, c),
    "another kid": lambda h, c: (h | {"kid": kid_of(ED_KEY)}, c),
    "unknown kid": lambda h, c: (h | {"kid": kid_of(OTHER_EC_KEY)}, c),
    "no kid": lambda h, c: (without(h, "kid"), c),
}


class TestEachRoute:
    @EACH_ROUTE
    def test_access_token_is_accepted(self, start, token, method, path):
        response = send(start(), method, path, token)
        assert (response.status_code, response.json["user"]) == (200, decode_parts(token)[1]["sub"])

    @EACH_ROUTE
    def test_missing_token_is_refused(self, start, method, path):
        service = start()
        for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Basic eDp5"}):
            response = service.open(path, method=method, headers=headers)
            assert_refused(response, 401, "MissingTokenError")

    @EACH_ROUTE
    def test_other_tokens_of_ours_are_refused(self, start, ada, method, path):
        error = {"/reviews": "BadTokenError", "/payments": "ExpiredTokenError"}[path]
        for token in (ada["refresh_token"], "garbled", "a.b.c", f"{ada['token']}x"):
            assert_refused(send(start(), method, path, token), 401, error)

    @EACH_ROUTE
    def test_token_for_another_service_is_refused(self, start, token, method, path):
        response = send(start(JWT_AUDIENCE="https://other.example"), method, path, token)
        assert response.status_code == 401

    @EACH_ROUTE
    def test_unreachable_movie_bag_is_no_refusal(self, start, token, method, path):
        service = start(MOVIE_BAG_URL=f"http://127.0.0.1:{free_port()}")
        assert_refused(send(service, method, path, token), 503, "ServiceUnavailableError")


class TestPublicKeys:
    def test_expired_token_is_no_bad_one(self, start, token):
        header, claims = decode_parts(token)
        expired = sign_by(EC_KEY, header, claims | {"exp": int(time.time()) - 1})
        assert_refused(send(start(), "GET", "/reviews", expired), 401, "ExpiredTokenError")

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_forged_token_is_refused(self, start, token, change):
        service, parts = start(), decode_parts(token)
        assert send(service, "GET", "/reviews", sign_by(EC_KEY, *parts)).status_code == 200
        forged = sign_by(EC_KEY, *change(*parts))
        assert_refused(send(service, "GET", "/reviews", forged), 401, "BadTokenError")

    def test_public_key_is_no_secret(self, start, api, token):
        header, claims = decode_parts(token)
        x = api.get("/.well-known/jwks.json").json()["keys"][0]["x"]
        forged = sign(header | {"alg": "HS256"}, claims, x)
        assert_refused(send(start(), "GET", "/reviews", forged), 401, "BadTokenError")


class TestIntrospection:
    def test_logout_counts_at_once(self, start, api, token):
        service = start()
        assert send(service, "POST", "/payments", token).status_code == 200
        api.log_out(token)
        assert_refused(send(service, "POST", "/payments", token), 401, "ExpiredTokenError")
        assert send(service, "GET", "/reviews", token).status_code == 200

    def test_wrong_api_key_is_our_fault(self, start, token, caplog):
        service = start(MOVIE_BAG_API_KEY="mb_wrong")
        assert_refused(send(service, "POST", "/payments", token), 503, "ServiceUnavailableError")
        assert "introspection: HTTPError" in caplog.text
        assert "mb_wrong" not in caplog.text
        assert token not in caplog.text


class TestShape:
    def test_other_errors_have_it_too(self, start):
        service = start()
        assert_refused(service.get("/nowhere"), 404, "NotFound")
        assert_refused(service.get("/payments"), 405, "MethodNotAllowed")

    def test_example_is_60_lines_of_code(self):
        assert count([SourceFile(FILE.name, FILE.read_text())]) <= 60
