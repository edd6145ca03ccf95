"""Introspection: what other services ask about an access token."""

from typing import Any

from flask_restful import Resource

from schemas.api_keys import IntrospectedSchema, IntrospectSchema
from services import introspection_service
from services.api_key_service import INTROSPECT
from web.api_keys import requires_api_key
from web.decorators import response
from web.forms import form


class Introspect(Resource):
    """Questions about access tokens."""

    @requires_api_key(INTROSPECT)
    @form(IntrospectSchema)
    @response(IntrospectedSchema, name="introspect")
    def post(self, token: str) -> dict[str, Any]:
        """Return whether an access token would be accepted now (RFC 7662)."""
        return introspection_service.introspect(token)
