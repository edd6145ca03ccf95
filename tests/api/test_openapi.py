"""The OpenAPI document, with which support.openapi_check compares every response of the tests."""

import json
import os
import re
import subprocess
import sys

import pytest
from flask_restful import Resource
from jsonschema import Draft202012Validator
from marshmallow import Schema, fields
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from database.models import ADMIN, User
from resources.routes import API_ROUTES, Api
from schemas.base import load
from scripts import clients
from tests.support.client import ADA, EVE
from tests.support.markdown import code_blocks
from tests.support.openapi_check import openapi_path
from tests.support.processes import HOME
from web import decorators
from web.openapi import build_document

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
# What generated clients call each operation: a change breaks the code that uses them.
NAMES = {
    "POST /api/auth/signup": "signup",
    "POST /api/auth/login": "login",
    "POST /api/auth/refresh": "refresh",
    "GET /api/auth/verify": "verify",
    "DELETE /api/auth/logout": "logout",
    "GET /api/auth/sessions": "listSessions",
    "DELETE /api/auth/sessions": "revokeAllSessions",
    "DELETE /api/auth/sessions/{session_id}": "revokeSession",
    "PUT /api/auth/password": "changePassword",
    "POST /api/auth/forgot": "requestPasswordReset",
    "POST /api/auth/reset": "resetPassword",
    "POST /api/auth/invite": "acceptInvitation",
    "PUT /api/auth/email": "changeEmail",
    "POST /api/auth/email/confirm": "confirmEmail",
    "POST /api/auth/email/reject": "rejectEmail",
    "POST /api/auth/email/resend": "resendConfirmation",
    "POST /api/auth/email/undo": "undoEmailChange",
    "POST /api/auth/reauthenticate": "reauthenticate",
    "POST /api/auth/login/mfa": "loginWithCode",
    "GET /api/auth/mfa": "getFactors",
    "POST /api/auth/mfa/totp": "startTotp",
    "DELETE /api/auth/mfa/totp": "removeTotp",
    "POST /api/auth/mfa/totp/confirm": "confirmTotp",
    "POST /api/auth/mfa/recovery-codes": "renewRecoveryCodes",
    "POST /api/auth/login/passkey": "loginWithPasskey",
    "POST /api/auth/login/passkey/options": "startPasskeyLogin",
    "POST /api/auth/passkeys/options": "startPasskey",
    "GET /api/auth/passkeys": "listPasskeys",
    "POST /api/auth/passkeys": "addPasskey",
    "GET /api/auth/passkeys/{passkey_id}": "getPasskey",
    "PATCH /api/auth/passkeys/{passkey_id}": "renamePasskey",
    "DELETE /api/auth/passkeys/{passkey_id}": "removePasskey",
    "GET /api/movies": "listMovies",
    "POST /api/movies": "createMovie",
    "GET /api/movies/{movie_id}": "getMovie",
    "PATCH /api/movies/{movie_id}": "updateMovie",
    "PUT /api/movies/{movie_id}": "putMovie",
    "DELETE /api/movies/{movie_id}": "deleteMovie",
    "GET /api/users/me": "getMe",
    "PATCH /api/users/me": "updateMe",
    "DELETE /api/users/me": "deleteMe",
    "GET /api/users/me/events": "listMyEvents",
    "GET /api/users/me/export": "exportMe",
    "GET /api/users": "listUsers",
    "POST /api/users": "createUser",
    "GET /api/users/{user_id}": "getUser",
    "PATCH /api/users/{user_id}": "updateUser",
    "DELETE /api/users/{user_id}": "deleteUser",
    "GET /api/users/{user_id}/sessions": "listUserSessions",
    "DELETE /api/users/{user_id}/sessions": "revokeUserSessions",
    "POST /api/users/{user_id}/reset": "mailUserResetLink",
    "GET /api/events": "listEvents",
    "POST /api/auth/introspect": "introspect",
    "GET /api/keys": "listKeys",
    "POST /api/keys": "createKey",
    "GET /api/keys/{key_id}": "getKey",
    "DELETE /api/keys/{key_id}": "removeKey",
    "GET /.well-known/jwks.json": "getPublicKeys",
    "GET /.well-known/oauth-authorization-server": "getMetadata",
    "GET /api/openapi.json": "getOpenApiDocument",
    "GET /healthz": "checkHealth",
    "GET /readyz": "checkReadiness",
}
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

    def test_operations_equal_the_routes_without_pages(self, app, document):
        routes = {
            f"{method} {openapi_path(rule)}"
            for rule in app.url_map.iter_rules()
            if rule.rule in API_ROUTES
            for method in rule.methods & METHODS
        }
        assert operations(document).keys() == routes
        assert "html" not in json.dumps(document)

    def test_server_is_the_public_url(self, document, app):
        assert document["servers"] == [{"url": app.config["PUBLIC_URL"]}]


def resolved(document, schema):
    """Return a schema, or the one that it refers to."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema


def body_of(document, path):
    """Return the body of the request to POST to a path."""
    return document["paths"][path]["post"]["requestBody"]


class TestOperation:
    def test_summary_is_a_sentence(self, document):
        summaries = [operation["summary"] for operation in operations(document).values()]
        assert all(summary.endswith(".") for summary in summaries)

    def test_name_is_a_verb_and_its_own(self, document):
        described = operations(document).items()
        assert {key: operation["operationId"] for key, operation in described} == NAMES
        assert len(set(NAMES.values())) == len(NAMES)

    def test_schemas_have_the_names_of_things(self, document):
        names = document["components"]["schemas"].keys()
        assert names >= {"ApiError", "User", "UserCreate", "UserUpdate", "Movie", "MovieCreate"}

    def test_own_resource_of_a_learner_needs_no_name(self, app):
        class Own(Schema):
            count = fields.Integer(required=True)

        class Actors(Resource):
            @decorators.body(Own)
            @decorators.response(Own)
            def post(self, count):
                """Count."""
                return {"count": count}

        Api(app).add_resource(Actors, "/api/actors")
        document = build_document(app)
        validate(document, cls=OpenAPIV31SpecValidator)
        assert document["paths"]["/api/actors"]["post"]["operationId"] == "postActors"

    def test_every_body_has_a_valid_example(self, app, document):
        for key, operation in operations(document).items():
            resource = API_ROUTES[re.sub(r"{(\w+)}", r"<\1>", key.partition(" ")[2])]
            schema = getattr(resource, key.partition(" ")[0].lower()).operation.body()
            if schema.fields:
                (content,) = operation["requestBody"]["content"].values()
                example = content["example"]
                read_only = {n for n, it in schema.fields.items() if it.metadata.get("readOnly")}
                # Of the fields of which only one may be sent, the example has the first.
                others = set(getattr(schema, "one_of", ())[1:])
                assert example.keys() == schema.fields.keys() - read_only - others
                with app.app_context():
                    load(schema, example, User(email=EVE["email"]))

    def test_body_with_one_of_several_fields_is_required(self, document):
        assert body_of(document, "/api/auth/reauthenticate")["required"]
        assert body_of(document, "/api/auth/login/mfa")["required"]
        assert not body_of(document, "/api/auth/refresh")["required"]

    def test_every_parameter_has_a_valid_example(self, document):
        for key, operation in operations(document).items():
            for parameter in operation["parameters"]:
                schema = resolved(document, parameter["schema"])
                examples = schema.get("examples") or schema.get("enum")
                example = parameter.get("example") or examples[0]
                assert not [*Draft202012Validator(schema).iter_errors(example)], key
                assert not parameter["name"].endswith("_id") or re.fullmatch("[0-9a-f]+", example)

    def test_errors_have_one_shape_and_an_example_each(self, document):
        for operation in operations(document).values():
            for status, response in operation["responses"].items():
                content = response["content"].get("application/json")
                if content and status != "200":
                    assert content["schema"] == {"$ref": "#/components/schemas/ApiError"}
                    for name, reference in content["examples"].items():
                        assert reference == {"$ref": f"#/components/examples/{name}"}
                        example = document["components"]["examples"][name]
                        assert example["value"]["error"] == name
                        assert example["value"]["status"] == int(status)

    def test_names_of_errors_are_an_enum(self, document):
        named = {
            name
            for operation in operations(document).values()
            for response in operation["responses"].values()
            for name in response["content"].get("application/json", {}).get("examples", {})
        }
        error = document["components"]["schemas"]["ErrorName"]
        anywhere = {"NotFoundError", "MethodNotAllowedError", "InternalServerError"}
        assert error["enum"] == sorted(named | anywhere)
        assert {"BadTokenError", "SupersededTokenError", "SessionEndedError"} <= named

    def test_fields_of_requests_have_an_example_or_a_choice(self, document):
        schemas = document["components"]["schemas"]
        for operation in operations(document).values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                name = content["schema"]["$ref"].rpartition("/")[2]
                for field in schemas[name]["properties"].values():
                    described = resolved(document, field.get("items", field)) | field
                    assert "examples" in described or "enum" in described, field

    def test_responses_may_grow_and_requests_may_not(self, document):
        schemas = document["components"]["schemas"]
        assert "unevaluatedProperties" not in schemas["Tokens"]
        assert schemas["Login"]["unevaluatedProperties"] is False

    def test_query_parameters_have_a_description(self, document):
        parameters = [
            parameter
            for operation in operations(document).values()
            for parameter in operation["parameters"]
            if parameter["in"] == "query"
        ]
        assert len(parameters) == 16
        assert all(parameter["description"].endswith(".") for parameter in parameters)

    def test_security_is_one_scope_or_none(self, document):
        security = {
            "POST /api/auth/login": [],
            "POST /api/auth/refresh": [],
            "GET /api/auth/verify": [{"access": []}],
            "DELETE /api/auth/logout": [{"access": []}],
            "POST /api/auth/reset": [],
            "GET /api/users": [{"access": []}],
            "GET /api/movies": [],
            "POST /api/movies": [{"access": []}],
        }
        described = operations(document)
        assert {name: described[name]["security"] for name in security} == security
        used = {scope for it in described.values() for one in it["security"] for scope in one}
        assert used == document["components"]["securitySchemes"].keys()

    def test_creation_describes_location(self, document):
        described = operations(document)
        creations = {
            name
            for name, operation in described.items()
            if "Location" in operation["responses"]["200"].get("headers", {})
        }
        assert creations == {
            "POST /api/auth/signup",
            "POST /api/users",
            "POST /api/movies",
            "POST /api/auth/passkeys",
            "POST /api/keys",
        }

    def test_status_names_its_errors(self, document):
        token_errors = {"MissingTokenError", "BadTokenError", "ExpiredTokenError"}
        session_errors = {*token_errors, "SupersededTokenError", "SessionEndedError"}
        for operation, status, errors in (
            ("POST /api/auth/refresh", "401", session_errors),
            ("DELETE /api/auth/logout", "401", session_errors),
            ("GET /api/auth/verify", "401", session_errors),
            ("POST /api/auth/login", "401", {"UnauthorizedError", "SecondFactorRequiredError"}),
            (
                "POST /api/auth/login/mfa",
                "401",
                {"UnauthorizedError", *token_errors - {"MissingTokenError"}, "UsedTokenError"},
            ),
            ("POST /api/auth/login/passkey", "401", {"UnauthorizedError"}),
            (
                "DELETE /api/auth/mfa/totp",
                "401",
                {*session_errors, "ReauthenticationRequiredError"},
            ),
            ("POST /api/auth/passkeys", "403", {"EmailNotVerifiedError"}),
            ("DELETE /api/auth/passkeys/{passkey_id}", "404", {"PasskeyNotExistsError"}),
            ("POST /api/auth/reset", "401", {*token_errors, "UsedTokenError"}),
            ("GET /api/users", "403", {"ForbiddenError"}),
            ("DELETE /api/users/{user_id}", "409", {"LastAdminError", "ConflictError"}),
            ("PUT /api/movies/{movie_id}", "403", {"UpdatingMovieError"}),
            ("GET /api/movies", "503", {"ServiceUnavailableError"}),
        ):
            response = operations(document)[operation]["responses"][status]
            assert response["content"]["application/json"]["examples"].keys() == errors


def described_fields(document):
    """Yield each field of the components, and each item of a list, after its name."""
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            yield f"{name}.{field}", described.get("items", described)


class TestTypes:
    """What generators make of the schemas: one type with a name of each thing."""

    def test_schema_has_a_description(self, document):
        schemas = document["components"]["schemas"]
        plain = {name for name, schema in schemas.items() if not schema.get("description")}
        assert plain == {"ErrorName", "EventName", "KeyScope", "ObjectId", "Requirement", "Role"}

    def test_object_has_named_fields(self, document):
        """A field of type `object` is `any` to a client; only OpenAPI's own are left so."""
        unnamed = {
            name
            for name, field in described_fields(document)
            if not field.keys() & {"$ref", "properties"}
            and (field.get("type", "object") == "object" and not field.get("additionalProperties"))
        }
        parts = ("info", "servers", "tags", "paths", "components")
        assert unnamed == {f"OpenApi.{part}" for part in parts}

    def test_choice_of_several_is_a_component(self, document):
        parameters = [
            (name, parameter["schema"])
            for name, operation in operations(document).items()
            for parameter in operation["parameters"]
        ]
        for name, described in [*described_fields(document), *parameters]:
            assert len(described.get("enum", [])) < 2, f"give the field {name} a title"

    def test_field_of_a_request_and_of_a_response_have_one_type(self, document):
        schemas = document["components"]["schemas"]
        role = {"$ref": "#/components/schemas/Role"}
        of_roles = ("User", "UserCreate", "UserUpdate", "Introspected")
        assert all(schemas[name]["properties"]["role"] == role for name in of_roles)

    def test_time_is_a_date_time(self, document):
        times = {
            name: field.get("format")
            for name, field in described_fields(document)
            if name.endswith(("_at", ".at"))
        }
        assert len(times) > 10
        assert {*times.values()} == {"date-time"}, times

    def test_fields_of_responses_are_not_read_only(self, document):
        """Of a field that is, generators make two types of the schema."""
        read_only = {name for name, field in described_fields(document) if "readOnly" in field}
        assert read_only == {"MovieUpdate.id", "MovieUpdate.added_by"}

    def test_names_differ_by_more_than_signs(self, document):
        """Generators make one name of `_id` and `id`, and their code does not compile."""
        for name, schema in document["components"]["schemas"].items():
            fields = [re.sub(r"[^a-z0-9]", "", it.lower()) for it in schema.get("properties", {})]
            assert len({*fields}) == len(fields), name


GENERATED_CLIENT = """

from movie_bag_client.api.auth import refresh, verify
from movie_bag_client.api.movie import create_movie, list_movies
from movie_bag_client.models import MovieCreate, RefreshToken, Role

print(verify.sync(client=client).email)
print(me.role is Role.USER, me.created_at.tzname(), me.name)
heat = MovieCreate(name="Heat", casts=["Al Pacino"], genres=["Crime"])
create_movie.sync(client=client, body=heat)
print([movie.name for movie in list_movies.sync(client=client, limit=5)])
renewed = refresh.sync(client=client, body=RefreshToken(auth.store.pair["refresh_token"]))
print(renewed.token == auth.store.pair["token"])
wrong_password = Login(email=me.email, password="wrong")
print(login.sync(client=client, body=wrong_password).error)
"""


def test_generated_client_logs_in_and_lists_movies(api, tmp_path):
    """The Python package of make clients, with its session, as on the page "Write a client"."""
    api.sign_up(name="Ada")
    blocks = code_blocks(HOME / "docs/how-to/write-a-client.md")
    (block,) = (it.source for it in blocks if it.language == "python")
    program = block.replace("https://api.example.com", api.url) + GENERATED_CLIENT
    (tmp_path / "python").mkdir()
    clients.write_python(tmp_path)
    session = HOME / "clients/python/movie_bag_session.py"
    (tmp_path / "python" / session.name).write_text(session.read_text())
    client = [sys.executable, "-c", program]
    process = subprocess.run(
        client, cwd=tmp_path / "python", check=True, capture_output=True, text=True
    )
    printed = ["Ada", ADA["email"], "True UTC Ada", "['Heat']", "True", "UnauthorizedError"]
    assert process.stdout.splitlines() == printed


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
            *("run", f"{server.url}/api/openapi.json", "--url", server.url),
            *("--checks", "all", "--seed", "1", "--max-examples", "50", "--no-color"),
        ],
        cwd=tmp_path,
        env=os.environ | settings,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout
