"""The OpenAPI document, which every other test holds its answers to as well (see described)."""

import json
import os
import subprocess
import sys

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from database.models import User
from tests.conftest import ADA
from tests.described import path_of
from tests.servers import HOME

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
HEAT = {"name": "Heat", "casts": ["Al Pacino"], "genres": ["Crime"]}
BIN = os.path.dirname(sys.executable)


@pytest.fixture(params=["development", "production"])
def of(request, make_app, http):
    """Return the application and its document."""
    http.app = make_app(APP_ENV=request.param)
    return http.app, http.get("/api/openapi.json").json()


@pytest.fixture
def document(api):
    """Return the document that the test's application serves."""
    return api.get("/api/openapi.json").json()


def operations(document):
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_the_document_is_valid_openapi_3_1(of):
    _, document = of
    assert document["openapi"] == "3.1.0"
    validate(document, cls=OpenAPIV31SpecValidator)


def test_every_route_has_an_entry_and_every_entry_its_route(of):
    app, document = of
    routes = {
        f"{method} {path_of(rule)}"
        for rule in app.url_map.iter_rules()
        if not rule.endpoint.endswith("static")
        for method in rule.methods & METHODS
    }
    assert operations(document).keys() == routes


def test_every_entry_has_a_summary_that_is_a_sentence_and_a_name_of_its_own(document):
    entries = operations(document).values()
    assert all(entry["summary"].endswith(".") for entry in entries)
    assert len({entry["operationId"] for entry in entries}) == len(entries)


def test_every_refusal_has_the_one_shape_and_an_example_of_each_error(document):
    for entry in operations(document).values():
        for status, response in entry["responses"].items():
            content = response["content"].get("application/json")
            if content and status != "200":
                assert content["schema"] == {"$ref": "#/components/schemas/Error"}
                for name, example in content["examples"].items():
                    assert example["value"]["error"] == name
                    assert example["value"]["status"] == int(status)


def test_every_field_of_a_request_has_an_example_or_a_choice(document):
    schemas = document["components"]["schemas"]
    for entry in operations(document).values():
        for content in entry.get("requestBody", {}).get("content", {}).values():
            name = content["schema"]["$ref"].rpartition("/")[2]
            for field in schemas[name]["properties"].values():
                shown = field.get("items", field)
                assert "examples" in shown or "enum" in shown, field


def test_answers_may_grow_and_requests_may_not(document):
    schemas = document["components"]["schemas"]
    assert "additionalProperties" not in schemas["Tokens"]
    assert schemas["Login"]["additionalProperties"] is False


def test_every_query_parameter_says_what_it_is_for(document):
    entries = operations(document).values()
    asked = [given for entry in entries for given in entry["parameters"] if given["in"] == "query"]
    assert len(asked) == 6
    assert all(given["description"].endswith(".") for given in asked)


@pytest.mark.parametrize(
    ("operation", "security"),
    [
        ("POST /api/auth/login", []),
        ("POST /api/auth/refresh", [{"refresh": []}]),
        ("GET /api/auth/verify", [{"access": []}]),
        ("DELETE /api/auth/logout", [{"access": []}, {"refresh": []}]),
        ("POST /api/auth/reset", [{}, {"pwd_reset": []}]),
        ("GET /api/users", [{"access": []}]),
        ("GET /api/movies", []),
        ("POST /api/movies", [{"access": []}]),
    ],
)
def test_an_entry_says_which_scope_opens_it(document, operation, security):
    assert operations(document)[operation]["security"] == security


@pytest.mark.parametrize(
    ("operation", "status", "errors"),
    [
        ("POST /api/auth/login", "401", {"UnauthorizedError"}),
        (
            *("POST /api/auth/reset", "401"),
            {"MissingTokenError", "BadTokenError", "ExpiredTokenError", "UsedTokenError"},
        ),
        ("GET /api/users", "403", {"ForbiddenError"}),
        ("DELETE /api/users/{user_id}", "409", {"LastAdminError"}),
        ("PUT /api/movies/{movie_id}", "403", {"UpdatingMovieError"}),
        ("GET /api/movies", "503", {"ServiceUnavailableError"}),
    ],
)
def test_an_entry_names_the_errors_of_a_status(document, operation, status, errors):
    response = operations(document)[operation]["responses"][status]
    assert response["content"]["application/json"]["examples"].keys() == errors


A_STRANGERS_CLIENT = """
import sys
from movie_bag_client import AuthenticatedClient, Client
from movie_bag_client.api.auth import get_verify, post_login
from movie_bag_client.api.movie import get_movies, post_movies
from movie_bag_client.models import Login, Movie

url, email, password = sys.argv[1:]
tokens = post_login.sync(client=Client(url), body=Login(email=email, password=password))
client = AuthenticatedClient(url, token=tokens.token)
print(get_verify.sync(client=client).email)
post_movies.sync(client=client, body=Movie(name="Heat", casts=["Al Pacino"], genres=["Crime"]))
print([movie.name for movie in get_movies.sync(client=Client(url), limit=5)])
refused = post_login.sync(client=Client(url), body=Login(email=email, password="wrong"))
print(refused.error)
"""


def test_a_client_made_from_the_document_logs_in_and_lists_movies(api, document, tmp_path):
    api.sign_up()
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document))
    made = [f"{BIN}/openapi-python-client", "generate", "--fail-on-warning", "--path", str(path)]
    subprocess.run(
        [*made, "--meta", "none", "--output-path", str(tmp_path / "movie_bag_client")],
        env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"},
        check=True,
        capture_output=True,
    )
    use = [sys.executable, "-c", A_STRANGERS_CLIENT, api.url, ADA["email"], ADA["password"]]
    used = subprocess.run(use, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert used.stdout.splitlines() == [ADA["email"], "['Heat']", "UnauthorizedError"]


@pytest.mark.slow
def test_schemathesis_finds_nothing(run, tmp_path):
    server = run()
    admin = ADA | {"password": "apple horse battery"}
    server.post("/api/auth/signup", **admin)
    User.objects.update(set__role="admin")
    settings = {
        "PYTHONPATH": str(HOME),
        "SCHEMATHESIS_HOOKS": "tests.schemathesis_hooks",
        "ADMIN": json.dumps(admin),
    }
    found = subprocess.run(
        [
            *(f"{BIN}/schemathesis", "--config-file", HOME / "tests/schemathesis.toml"),
            *("run", f"{server.url}/api/openapi.json"),
            *("--checks", "all", "--seed", "1", "--max-examples", "50", "--no-color"),
        ],
        cwd=tmp_path,
        env=os.environ | settings,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout
