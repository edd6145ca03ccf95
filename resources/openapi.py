"""The description of the API."""

from typing import Any

from flask import current_app
from flask_restful import Resource

from schemas.base import OpenApiSchema
from web.decorators import no_input, response
from web.openapi import build_document


class OpenApiDocument(Resource):
    """The description of every route."""

    @no_input
    @response(OpenApiSchema, dump=dict, name="getOpenApiDocument")
    def get(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        extensions = current_app.extensions
        if "openapi" not in extensions:
            extensions["openapi"] = build_document(current_app)
        document: dict[str, Any] = extensions["openapi"]
        return document
