"""The OpenAPI document as a judge: an answer that it does not foresee fails its test."""

from typing import Any

import requests
from flask import Flask
from jsonschema import Draft202012Validator
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from resources.openapi import document

made: dict[str, dict[str, Any]] = {}


def path_of(rule: Rule) -> str:
    """Return a rule as the document writes it."""
    return rule.rule.replace("<", "{").replace(">", "}")


def hold(app: Flask, answer: requests.Response) -> None:
    """Hold an answer of app to the document: its status, headers, type and body."""
    operation = _operation(app, answer.request)
    if operation is None:
        return
    assert str(answer.status_code) in operation["responses"], answer.text
    foreseen = operation["responses"][str(answer.status_code)]
    always = foreseen.get("headers", {}).keys() - {"Link"}
    assert all(name in answer.headers for name in always), answer.headers
    kind = answer.headers["Content-Type"].partition(";")[0]
    assert kind in foreseen["content"]
    if kind == "application/json":
        _hold_body(app, foreseen["content"][kind], answer.json())


def _hold_body(app: Flask, content: dict[str, Any], body: Any) -> None:
    schema = {**content["schema"], "components": _document(app)["components"]}
    assert [error.message for error in Draft202012Validator(schema).iter_errors(body)] == []
    if "examples" in content:
        assert body["error"] in content["examples"]


def _operation(app: Flask, request: requests.PreparedRequest) -> dict[str, Any] | None:
    """Return the entry of a request; None if no route that has one answers it."""
    path = request.path_url.partition("?")[0]
    try:
        rule, _ = app.url_map.bind("").match(path, request.method, return_rule=True)
    except HTTPException:
        return None
    return _document(app)["paths"].get(path_of(rule), {}).get(request.method.lower())


def _document(app: Flask) -> dict[str, Any]:
    """Return the document of app, made once for every kind of application: it takes a while."""
    env = app.config["APP_ENV"]
    if env not in made:
        made[env] = document(app)
        for schema in made[env]["components"]["schemas"].values():
            schema["additionalProperties"] = False  # clients let more pass, the tests do not
    return made[env]
