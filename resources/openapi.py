"""The OpenAPI document.

It is read off the routes, their schemas, their errors and their docstrings; the tests hold every
answer that they get to it.
"""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask, current_app
from flask_restful import Resource
from marshmallow import Schema
from werkzeug import exceptions
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from resources.answers import ErrorSchema, OpenApiSchema
from resources.errors import facts_of, headers_of
from resources.request import NOT_CALLED_JSON, NOT_JSON, accepts, answers
from services.errors import ApiError, SchemaValidationError, ServiceUnavailableError
from services.token_service import ACCESS, PWD_RESET, REFRESH

VERSION = "1.0.0"
ABOUT = """Accounts, sessions, password reset and a bag of movies.

Sign up, log in, and give the `token` of the answer to **Authorize**, under `access`. Every error
has one shape; `error` names it, `errors` says more of a field that is missing or not fit."""
# Swagger UI puts the cursor into the last.
SCOPES = {
    PWD_RESET: "The token from the mail: sets the password, once.",
    REFRESH: "The `refresh_token` of login and refresh: for the next pair, or to log out.",
    ACCESS: "The `token` of login and refresh: opens all that asks for a user.",
}
# What any route may answer that is particular about what it is sent.
COMMON = (
    SchemaValidationError(errors={"nonsense": ["Unknown field."]}),
    exceptions.BadRequest(NOT_JSON),
    exceptions.RequestEntityTooLarge(),
    exceptions.UnsupportedMediaType(NOT_CALLED_JSON),
    ServiceUnavailableError(),
)
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
HEADERS = {
    "Link": ("string", "Leads to the next page, if there is one (RFC 8288)."),
    "Retry-After": ("integer", "Seconds after which to try again."),
    "WWW-Authenticate": ("string", "How to authenticate (RFC 6750)."),
}

Json = dict[str, Any]


class OpenApi(Resource):
    """The description of every route."""

    @accepts()
    @answers(OpenApiSchema)
    def get(self) -> Json:
        """Show the OpenAPI document."""
        extensions = current_app.extensions
        if "openapi" not in extensions:
            extensions["openapi"] = document(current_app)
        shown: Json = extensions["openapi"]
        return shown


def document(app: Flask) -> Json:
    """Return the OpenAPI 3.1 document of every route of app."""
    plugin = MarshmallowPlugin(schema_name_resolver=_name)
    spec = APISpec("Movie-bag", VERSION, "3.1.0", plugins=[plugin], info={"description": ABOUT})
    for scope, meaning in SCOPES.items():
        scheme = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        spec.components.security_scheme(scope, {**scheme, "description": meaning})
    for rule in described(app):
        spec.path(re.sub(r"<(\w+)>", r"{\1}", rule.rule), operations=_operations(app, rule))
    for module in sorted({_resource(app, rule).__module__ for rule in described(app)}):
        spec.tag({"name": _tag(module), "description": _docstring(sys.modules[module])[0]})
    return spec.to_dict()


def described(app: Flask) -> list[Rule]:
    """Return the routes of app that are resources or pages: all but plain files."""
    return [rule for rule in app.url_map.iter_rules() if _resource(app, rule)]


def _resource(app: Flask, rule: Rule) -> Any:
    """Return the class that answers a route; None for a plain file."""
    return vars(app.view_functions[rule.endpoint]).get("view_class")


def _operations(app: Flask, rule: Rule) -> Json:
    methods = sorted(METHODS & (rule.methods or set()))
    return {method.lower(): _operation(_resource(app, rule), method, rule) for method in methods}


def _operation(resource: type, method: str, rule: Rule) -> Json:
    view = getattr(resource, method.lower())
    facts = vars(view)
    summary, description = _docstring(view)
    security: list[Json] = [{scope: []} for scope in facts.get("scopes", ())]
    operation = {
        "tags": [_tag(resource.__module__)],
        "operationId": f"{method.lower()}{resource.__name__}",
        "summary": summary,
        "description": description,
        "parameters": list(_parameters(rule, facts)),
        "security": [{}, *security] if "optional" in facts else security,
        "responses": {"200": _success(facts), **_refusals(facts)},
    }
    return operation | _request_body(facts)


def _parameters(rule: Rule, facts: Json) -> Iterator[Json]:
    for name in sorted(rule.arguments):
        yield {"in": "path", "name": name, "required": True, "schema": {"type": "string"}}
    if "query" in facts:
        yield {"in": "query", "schema": facts["query"]}


def _request_body(facts: Json) -> Json:
    schema = facts.get("body", Schema)()
    if not schema.fields:
        return {}
    kind = "application/x-www-form-urlencoded" if "page" in facts else "application/json"
    required = any(field.required for field in schema.fields.values())
    content = {kind: {"schema": schema}}
    meaning = _docstring(type(schema))[0]
    return {"requestBody": {"description": meaning, "required": required, "content": content}}


def _success(facts: Json) -> Json:
    if "page" in facts:
        return {"description": "A page.", "content": {"text/html": {"schema": {"type": "string"}}}}
    one = facts["answer"]
    schema = {"type": "array", "items": one} if facts["many"] else one
    headers = ["Link"] if "after" in facts.get("query", Schema)().fields else []
    content = {"application/json": {"schema": schema}}
    meaning = "A list." if facts["many"] else _docstring(one)[0]
    return {"description": meaning, "content": content, **_headers(headers)}


def _refusals(facts: Json) -> Json:
    """Return each status with the errors that have it."""
    by_status: dict[int, list[ApiError | HTTPException]] = {}
    common = COMMON if "query" in facts else ()
    for error in (*common, *(refusal() for refusal in facts["errors"])):
        by_status.setdefault(facts_of(error)["status"], []).append(error)
    return {str(code): _refusal(errors, facts) for code, errors in sorted(by_status.items())}


def _refusal(errors: list[ApiError | HTTPException], facts: Json) -> Json:
    named = {fact["error"]: {"value": fact} for fact in map(facts_of, errors)}
    told = {"description": " · ".join(f"`{name}`" for name in named)}
    told |= _headers(name for error in errors for name in headers_of(error))
    if "page" in facts:
        return {**told, "content": {"text/html": {"schema": {"type": "string"}}}}
    content = {"application/json": {"schema": ErrorSchema, "examples": named}}
    return {**told, "content": content}


def _headers(names: Iterable[str]) -> Json:
    told = {}
    for name in names:
        if name in HEADERS:
            kind, meaning = HEADERS[name]
            told[name] = {"description": meaning, "schema": {"type": kind}}
    return {"headers": told} if told else {}


def _name(schema: type[Schema] | Schema) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removesuffix("Schema")


def _tag(module: str) -> str:
    return module.rpartition(".")[2]


def _docstring(of: object) -> tuple[str, str]:
    """Return the first line of a docstring, and the rest."""
    first, _, rest = (inspect.getdoc(of) or "").partition("\n")
    return first, rest.strip()
