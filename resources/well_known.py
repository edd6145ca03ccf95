"""What other services read: public keys and metadata."""

from typing import Any

from flask_restful import Resource

from schemas.well_known import JwksSchema, MetadataSchema
from services.token_keys import PUBLISHED_SECONDS, published_keys
from web.decorators import no_input, response
from web.urls import public_url

CACHED = {"Cache-Control": f"public, max-age={PUBLISHED_SECONDS}"}
JWKS_PATH = "/.well-known/jwks.json"
INTROSPECTION_PATH = "/api/auth/introspect"


class Jwks(Resource):
    """The public keys of access tokens."""

    @no_input
    @response(JwksSchema, name="getPublicKeys", headers=CACHED)
    def get(self) -> dict[str, Any]:
        """Return the public keys that verify access tokens (RFC 7517)."""
        return {"keys": published_keys()}


class AuthorizationServer(Resource):
    """The metadata of this service."""

    @no_input
    @response(MetadataSchema, name="getMetadata", headers=CACHED)
    def get(self) -> dict[str, Any]:
        """Return where other services find what they need (RFC 8414)."""
        return {
            "issuer": public_url(""),
            "jwks_uri": public_url(JWKS_PATH),
            "introspection_endpoint": public_url(INTROSPECTION_PATH),
            "introspection_endpoint_auth_methods_supported": ["Bearer"],
            "response_types_supported": [],
            "grant_types_supported": [],
            "service_documentation": public_url("/api/docs"),
        }
