"""The application without a database: enough to read its routes and its commands."""

import re
from functools import cache
from typing import Any

from flask import Flask

from commands.registry import initialize_commands
from config import SettingsSchema
from resources.routes import API_ROUTES, initialize_routes
from setting_sources import HOME
from web.json_response import JSON
from web.openapi import build_document
from web.operation import Operation

Json = dict[str, Any]

METHODS = ["get", "post", "put", "patch", "delete"]


@cache
def application() -> Flask:
    """Return an application with the default settings, whatever the environment has."""
    app = Flask("app", root_path=str(HOME))
    app.config.update(SettingsSchema().load({}))
    initialize_routes(app)
    initialize_commands(app)
    return app


@cache
def document() -> Json:
    """Return its OpenAPI document."""
    return build_document(application())


def operations() -> list[Json]:
    """Return the operations of the document, with `method`, `path` and what a `view` notes."""
    return [
        {**operation, "method": method.upper(), "path": path, "view": _view(path, method)}
        for path, methods in document()["paths"].items()
        for method, operation in sorted(methods.items(), key=lambda it: METHODS.index(it[0]))
    ]


def _view(path: str, method: str) -> Operation:
    resource = API_ROUTES[re.sub(r"{(\w+)}", r"<\1>", path)]
    operation: Operation = getattr(resource, method).operation
    return operation


def error_names(operation: Json) -> dict[str, list[str]]:
    """Return the names of the errors that an operation may answer, by status."""
    return {
        status: [*response["content"][JSON]["examples"]]
        for status, response in operation["responses"].items()
        if status != "200"
    }
