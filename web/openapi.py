"""The OpenAPI document: read off the routes, their decorators, schemas, errors and docstrings."""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from flask import Flask
from marshmallow import Schema
from marshmallow.fields import Field, List
from werkzeug import exceptions
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from schemas.base import ERROR_NAME, EXAMPLE_ID, EXAMPLE_SESSION_ID, ApiErrorSchema
from services.api_key_service import INTROSPECT
from services.errors import (
    UNKNOWN_FIELD,
    ApiError,
    InternalServerError,
    SchemaValidationError,
    ServiceUnavailableError,
)
from services.token_service import ACCESS
from web.body import NOT_JSON, WRONG_CONTENT_TYPE
from web.errors import error_body, error_headers
from web.json_response import JSON
from web.operation import NoFields, Operation

VERSION = "1.0.0"
ABOUT = """Accounts, sessions, password reset and a bag of movies.

Sign up, log in, and enter the `token` of the response at **Authorize**, under `access`. Every error
has one shape; `error` names it, `errors` lists what is wrong with each field."""
API_KEY = "api_key"
ABOUT_KEY = "A key of `POST /api/keys`: for other services."
ABOUT_ACCESS = "The `token` of login and refresh: for everything that needs a user."
# The errors of every route that checks its input.
COMMON = (
    SchemaValidationError({"nonsense": [UNKNOWN_FIELD]}),
    exceptions.BadRequest(NOT_JSON),
    exceptions.RequestEntityTooLarge(),
    exceptions.UnsupportedMediaType(WRONG_CONTENT_TYPE),
    ServiceUnavailableError(),
)
# What any request may get, besides.
ANYWHERE = (exceptions.NotFound(), exceptions.MethodNotAllowed(), InternalServerError())
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
HEADERS = {
    "Link": ("string", "Leads to the next page, if there is one (RFC 8288)."),
    "Location": ("string", "The URL of what was created."),
    "Retry-After": ("integer", "Seconds after which to try again."),
    "WWW-Authenticate": ("string", "How to authenticate (RFC 6750)."),
}
# Of a field with a title: what is said of all of them, and what of the field alone.
OF_A_TYPE = ("type", "enum", "properties", "required", "examples")
OF_A_FIELD = ("description", "readOnly")
# Every other id in a path is a document's.
PATH_EXAMPLES = dict.fromkeys(("session_id", "key_id"), EXAMPLE_SESSION_ID)

# The scopes of bearer tokens in the document; other tokens are in the body.
SCHEMES = {ACCESS: ACCESS, INTROSPECT: API_KEY}

NOT_DESCRIBED = Operation()

Json = dict[str, Any]


class SchemaConverter(OpenAPIConverter):
    """Describes schemas so that generators make one type, with a comment, of what is one thing."""

    def schema2jsonschema(self, schema: Schema) -> Json:
        """Return a schema with its docstring."""
        described: Json = super().schema2jsonschema(schema)  # type: ignore[no-untyped-call]
        described["description"] = _docstring(schema)[0]
        # The same, of which openapi-generator does not warn.
        if described.pop("additionalProperties", True) is False:
            described["unevaluatedProperties"] = False
        return described

    def fields2jsonschema(self, fields: dict[str, Field[Any]], **options: Any) -> Json:
        """Return the schema of fields but `_id`: generators call it `id`, and there is an `id`."""
        described = {name: field for name, field in fields.items() if not name.startswith("_")}
        schema: Json = super().fields2jsonschema(described, **options)  # type: ignore[no-untyped-call]
        return schema

    def field2property(self, field: Field[Any]) -> Json:
        """Return the schema of a field; of one with a title, a reference to a component."""
        described: Json = super().field2property(field)
        title = described.pop("title", "")
        if not title:
            return described
        if title not in self.spec.components.schemas:
            of_a_type = {name: described[name] for name in OF_A_TYPE if name in described}
            self.spec.components.schema(title, of_a_type)
        about = {name: described[name] for name in OF_A_FIELD if name in described}
        return {**_reference("schemas", title), **about}


class SchemaPlugin(MarshmallowPlugin):
    """Reads schemas with a SchemaConverter."""

    Converter = SchemaConverter


def build_document(app: Flask) -> Json:
    """Return the OpenAPI 3.1 document of every route of app that returns JSON."""
    plugin = SchemaPlugin(schema_name_resolver=_schema_name)
    options = {"info": {"description": ABOUT}, "servers": [{"url": app.config["PUBLIC_URL"]}]}
    spec = APISpec("Movie-bag", VERSION, "3.1.0", plugins=[plugin], **options)
    scheme = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    key = {"type": "http", "scheme": "bearer", "description": ABOUT_KEY}
    spec.components.security_scheme(API_KEY, key)
    # The last one, because the documentation focuses its field.
    spec.components.security_scheme(ACCESS, {**scheme, "description": ABOUT_ACCESS})
    for rule in described_rules(app):
        spec.path(re.sub(r"<(\w+)>", r"{\1}", rule.rule), operations=_operations(app, rule))
    for module in sorted({_resource(app, rule).__module__ for rule in described_rules(app)}):
        spec.tag({"name": _tag(module), "description": _docstring(sys.modules[module])[0]})
    document: Json = spec.to_dict()
    components = document["components"]
    components["examples"] = _move_examples(document)
    names = {*components["examples"]} | {error_body(it)["error"] for it in ANYWHERE}
    components["schemas"][ERROR_NAME]["enum"] = sorted(names)
    return document


def _move_examples(document: Json) -> Json:
    """Make components of the examples of errors, and return them by name.

    openapi-generator warns of those in a response, and each is said once.
    """
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    responses = [response for it in operations for response in it["responses"].values()]
    examples: Json = {}
    for content in (response["content"].get(JSON, {}) for response in responses):
        if own := content.get("examples"):
            examples |= own
            content["examples"] = {name: _reference("examples", name) for name in own}
    return examples


def _reference(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


def described_rules(app: Flask) -> list[Rule]:
    """Return the URL rules of resources whose views note what they do."""
    return [rule for rule in app.url_map.iter_rules() if _described_methods(app, rule)]


def _described_methods(app: Flask, rule: Rule) -> list[str]:
    """Return the methods of a rule whose views note a response; a page or a file has none."""
    methods, resource = METHODS & (rule.methods or set()), _resource(app, rule)
    views = {method: getattr(resource, method.lower(), None) for method in methods}
    return sorted(
        method
        for method, view in views.items()
        if getattr(view, "operation", NOT_DESCRIBED).response
    )


def _resource(app: Flask, rule: Rule) -> Any:
    """Return the class of a route; None for a plain file."""
    return vars(app.view_functions[rule.endpoint]).get("view_class")


def _operations(app: Flask, rule: Rule) -> Json:
    resource, methods = _resource(app, rule), _described_methods(app, rule)
    return {method.lower(): _describe(resource, method, rule) for method in methods}


def _describe(resource: type, method: str, rule: Rule) -> Json:
    view = getattr(resource, method.lower())
    operation: Operation = view.operation
    summary, description = _docstring(view)
    described = {
        "tags": [_tag(resource.__module__)],
        "operationId": operation.name or f"{method.lower()}{resource.__name__}",
        "summary": summary,
        "description": description,
        "parameters": list(_parameters(rule, operation)),
        # Generated clients send one bearer, whatever else works; other tokens are in the body.
        "security": [{SCHEMES[it]: []} for it in operation.scopes if it in SCHEMES],
        "responses": {"200": _success(operation), **_error_responses(operation)},
    }
    return described | _request_body(operation)


def _parameters(rule: Rule, operation: Operation) -> Iterator[Json]:
    for name in sorted(rule.arguments):
        described = {"in": "path", "name": name, "required": True, "schema": {"type": "string"}}
        yield {**described, "example": PATH_EXAMPLES.get(name, EXAMPLE_ID)}
    if operation.query:
        yield {"in": "query", "schema": operation.query}


def _request_body(operation: Operation) -> Json:
    schema = operation.body()
    if not schema.fields:
        return {}
    one_of = getattr(schema, "one_of", ())  # a learner's own schema has none
    required = bool(one_of) or any(field.required for field in schema.fields.values())
    sent = {name: it for name, it in schema.fields.items() if name not in one_of[1:]}
    writable = {name: it for name, it in sent.items() if not it.metadata.get("readOnly")}
    examples = {name: _examples(field) for name, field in writable.items()}
    example = {name: values[0] for name, values in examples.items() if values}
    content = {operation.media_type: {"schema": schema, "example": example}}
    about = _docstring(operation.body)[0]
    return {"requestBody": {"description": about, "required": required, "content": content}}


def _examples(field: Any) -> list[Any]:
    """Return the examples of a field, or its choices; of a list, one with one item."""
    if isinstance(field, List):
        return [_examples(field.inner)[:1]]
    return field.metadata.get("examples") or list(getattr(field.validate, "choices", []))


def _success(operation: Operation) -> Json:
    schema = operation.response
    about = "A list." if operation.many else _docstring(schema)[0]
    content = {"type": "array", "items": schema} if operation.many else schema
    headers = ["Link"] if "after" in (operation.query or NoFields)().fields else []
    headers += ["Location"] if operation.location else []
    described = {"description": about, "content": {JSON: {"schema": content}}}
    return described | _headers(headers)


def _error_responses(operation: Operation) -> Json:
    """Return each status with its errors."""
    by_status: dict[int, list[ApiError | HTTPException]] = {}
    common = COMMON if operation.query else ()
    for error in (*common, *(error() for error in operation.errors)):
        by_status.setdefault(error_body(error)["status"], []).append(error)
    return {str(status): _error_response(errors) for status, errors in sorted(by_status.items())}


def _error_response(errors: list[ApiError | HTTPException]) -> Json:
    examples = {body["error"]: {"value": body} for body in map(error_body, errors)}
    described = {"description": " · ".join(f"`{name}`" for name in examples)}
    described |= _headers(name for error in errors for name in error_headers(error))
    content = {JSON: {"schema": ApiErrorSchema, "examples": examples}}
    return {**described, "content": content}


def _headers(names: Iterable[str]) -> Json:
    headers = {
        name: {"description": HEADERS[name][1], "schema": {"type": HEADERS[name][0]}}
        for name in names
        if name in HEADERS
    }
    return {"headers": headers} if headers else {}


def _schema_name(schema: type[Schema] | Schema) -> str:
    schema_class = schema if isinstance(schema, type) else type(schema)
    return schema_class.__name__.removesuffix("Schema")


def _tag(module: str) -> str:
    return module.rpartition(".")[2]


def _docstring(described: object) -> tuple[str, str]:
    """Return the first line of a docstring, and the other lines."""
    first, _, others = (inspect.getdoc(described) or "").partition("\n")
    return first, others.strip()
