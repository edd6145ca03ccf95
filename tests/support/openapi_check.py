"""The OpenAPI document as a judge: a response that it does not describe fails the test."""

from typing import Any

import requests
from flask import Flask
from jsonschema import Draft202012Validator
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from web.openapi import build_document

_documents: dict[str, dict[str, Any]] = {}


def openapi_path(rule: Rule) -> str:
    """Return a URL rule as the document writes it."""
    return rule.rule.replace("<", "{").replace(">", "}")


def assert_described(app: Flask, response: requests.Response) -> None:
    """Assert that the document describes status, headers, type and body of a response."""
    operation = _operation(app, response.request)
    if operation is None:
        return
    where = f"{response.request.method} {response.request.path_url}"
    status = str(response.status_code)
    assert status in operation["responses"], (
        f"{where} answers {status}: add the error to @response or @errors of its view"
        f" ({response.text})"
    )
    described = operation["responses"][status]
    optional = {"Link"} if '"id":' in response.text else {"Link", "Location"}
    always = described.get("headers", {}).keys() - optional
    assert all(name in response.headers for name in always), response.headers
    media_type = response.headers["Content-Type"].partition(";")[0]
    assert media_type in described["content"]
    if media_type == "application/json":
        _check_body(app, where, described["content"][media_type], response.json())


def _check_body(app: Flask, where: str, content: dict[str, Any], body: Any) -> None:
    schema = {**content["schema"], "components": _document(app)["components"]}
    problems = [error.message for error in Draft202012Validator(schema).iter_errors(body)]
    assert problems == [], f"{where}: declare this in the response schema in schemas/: {problems}"
    if "examples" in content:
        assert body["error"] in content["examples"], (
            f"{where}: add {body['error']} to @response or @errors of its view"
        )


def _operation(app: Flask, request: requests.PreparedRequest) -> dict[str, Any] | None:
    """Return the description of a request; None if no described route matches it."""
    path = request.path_url.partition("?")[0]
    try:
        rule, _ = app.url_map.bind("").match(path, request.method, return_rule=True)
    except HTTPException:
        return None
    return _document(app)["paths"].get(openapi_path(rule), {}).get(request.method.lower())


def _document(app: Flask) -> dict[str, Any]:
    """Return the document of app, built once per APP_ENV because that takes a while."""
    env = app.config["APP_ENV"]
    if env not in _documents:
        _documents[env] = build_document(app)
        for schema in _documents[env]["components"]["schemas"].values():
            schema["additionalProperties"] = False  # clients ignore other fields, the tests do not
            schema["patternProperties"] = {"^_": {}}  # the _id of a movie is not described
    return _documents[env]
