"""The OpenAPI document, with which support.openapi_check compares every response of the tests."""

import json
import os
import subprocess
import sys

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from database.models import ADMIN, User
from tests.support.client import ADA, EVE
from tests.support.openapi_check import openapi_path
from tests.support.processes import HOME

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
BIN = os.path.dirname(sys.executable)


@pytest.fixture
def document(api):
    """Return the document that the test's application serves."""
    return api.get("/api/openapi.json").json()


def operations(document):
    """Return the operations by method and path."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


@pytest.mark.parametrize("env", ["development", "production"])
class TestDocument:
    @pytest.fixture
    def app(self, make_app, env):
        return make_app(APP_ENV=env)

    def test_document_is_valid_openapi_3_1(self, document):
        assert document["openapi"] == "3.1.0"
        validate(document, cls=OpenAPIV31SpecValidator)

    def test_operations_equal_the_routes(self, app, document):
        routes = {
            f"{method} {openapi_path(rule)}"
            for rule in app.url_map.iter_rules()
            if not rule.endpoint.endswith("static")
            for method in rule.methods & METHODS
        }
        assert operations(document).keys() == routes


class TestOperation:
    def test_summary_is_a_sentence_and_id_is_unique(self, document):
        described = operations(document).values()
        assert all(operation["summary"].endswith(".") for operation in described)
        assert len({operation["operationId"] for operation in described}) == len(described)

    def test_errors_have_one_shape_and_an_example_each(self, document):
        for operation in operations(document).values():
            for status, response in operation["responses"].items():
                content = response["content"].get("application/json")
                if content and status != "200":
                    assert content["schema"] == {"$ref": "#/components/schemas/ApiError"}
                    for name, example in content["examples"].items():
                        assert example["value"]["error"] == name
                        assert example["value"]["status"] == int(status)

    def test_names_of_errors_are_an_enum(self, document):
        named = {
            name
            for operation in operations(document).values()
            for response in operation["responses"].values()
            for name in response["content"].get("application/json", {}).get("examples", {})
        }
        error = document["components"]["schemas"]["ApiError"]["properties"]["error"]
        assert error["enum"] == sorted(named)
        assert {"BadTokenError", "SupersededTokenError", "SessionEndedError"} <= named

    def test_fields_of_requests_have_an_example_or_a_choice(self, document):
        schemas = document["components"]["schemas"]
        for operation in operations(document).values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                name = content["schema"]["$ref"].rpartition("/")[2]
                for field in schemas[name]["properties"].values():
                    described = field.get("items", field)
                    assert "examples" in described or "enum" in described, field

    def test_responses_may_grow_and_requests_may_not(self, document):
        schemas = document["components"]["schemas"]
        assert "additionalProperties" not in schemas["Tokens"]
        assert schemas["Login"]["additionalProperties"] is False

    def test_query_parameters_have_a_description(self, document):
        parameters = [
            parameter
            for operation in operations(document).values()
            for parameter in operation["parameters"]
            if parameter["in"] == "query"
        ]
        assert len(parameters) == 6
        assert all(parameter["description"].endswith(".") for parameter in parameters)

    def test_security_names_the_scopes_that_are_accepted(self, document):
        security = {
            "POST /api/auth/login": [],
            "POST /api/auth/refresh": [{}, {"refresh": []}],
            "GET /api/auth/verify": [{"access": []}],
            "DELETE /api/auth/logout": [{}, {"access": []}, {"refresh": []}],
            "POST /api/auth/reset": [{}, {"pwd_reset": []}],
            "GET /api/users": [{"access": []}],
            "GET /api/movies": [],
            "POST /api/movies": [{"access": []}],
        }
        described = operations(document)
        assert {name: described[name]["security"] for name in security} == security

    def test_status_names_its_errors(self, document):
        token_errors = {"MissingTokenError", "BadTokenError", "ExpiredTokenError"}
        session_errors = {*token_errors, "SupersededTokenError", "SessionEndedError"}
        for operation, status, errors in (
            ("POST /api/auth/refresh", "401", session_errors),
            ("DELETE /api/auth/logout", "401", session_errors),
            ("GET /api/auth/verify", "401", session_errors),
            ("POST /api/auth/login", "401", {"UnauthorizedError"}),
            ("POST /api/auth/reset", "401", {*token_errors, "UsedTokenError"}),
            ("GET /api/users", "403", {"ForbiddenError"}),
            ("DELETE /api/users/{user_id}", "409", {"LastAdminError"}),
            ("PUT /api/movies/{movie_id}", "403", {"UpdatingMovieError"}),
            ("GET /api/movies", "503", {"ServiceUnavailableError"}),
        ):
            response = operations(document)[operation]["responses"][status]
            assert response["content"]["application/json"]["examples"].keys() == errors


GENERATED_CLIENT = """
import sys
from movie_bag_client import AuthenticatedClient, Client
from movie_bag_client.api.auth import get_verify, post_login
from movie_bag_client.api.movie import get_movies, post_movies
from movie_bag_client.models import Login, MovieCreate

url, email, password = sys.argv[1:]
tokens = post_login.sync(client=Client(url), body=Login(email=email, password=password))
client = AuthenticatedClient(url, token=tokens.token)
print(get_verify.sync(client=client).email)
heat = MovieCreate(name="Heat", casts=["Al Pacino"], genres=["Crime"])
post_movies.sync(client=client, body=heat)
print([movie.name for movie in get_movies.sync(client=Client(url), limit=5)])
wrong_password = Login(email=email, password="wrong")
print(post_login.sync(client=Client(url), body=wrong_password).error)
"""


def test_generated_client_logs_in_and_lists_movies(api, document, tmp_path):
    api.sign_up()
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document))
    generator = [f"{BIN}/openapi-python-client", "generate", "--fail-on-warning"]
    output = ["--meta", "none", "--output-path", str(tmp_path / "movie_bag_client")]
    subprocess.run(
        [*generator, "--path", str(path), *output],
        env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"},
        check=True,
        capture_output=True,
    )
    client = [sys.executable, "-c", GENERATED_CLIENT, api.url, *ADA.values()]
    process = subprocess.run(client, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert process.stdout.splitlines() == [ADA["email"], "['Heat']", "UnauthorizedError"]


@pytest.mark.slow
def test_schemathesis_finds_nothing(run, tmp_path):
    server = run()
    admin = ADA | {"password": EVE["password"]}
    server.post("/api/auth/signup", **admin)
    User.objects.update(set__role=ADMIN)
    settings = {
        "PYTHONPATH": str(HOME),
        "SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks",
        "ADMIN": json.dumps(admin),
    }
    process = subprocess.run(
        [
            *(f"{BIN}/schemathesis", "--config-file", HOME / "tests/support/schemathesis.toml"),
            *("run", f"{server.url}/api/openapi.json"),
            *("--checks", "all", "--seed", "1", "--max-examples", "50", "--no-color"),
        ],
        cwd=tmp_path,
        env=os.environ | settings,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout
