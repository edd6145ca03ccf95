"""Responses that other services read: public keys and metadata."""

from typing import Any

from marshmallow import fields

from schemas.base import EXAMPLE_URL, ResponseSchema, Text

EXAMPLE_COORDINATE = "WKn-ZIGevcwGIyyrzFoZNBdaq9_TsqzGl96oc0CWuis"

NONE: dict[str, Any] = {"examples": [[]]}


class JwkSchema(ResponseSchema):
    """A public key of access tokens (RFC 7517)."""

    kid = Text(example="NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
    kty = Text(example="EC", about="`EC`, or `OKP` of Ed25519.")
    crv = Text(example="P-256")
    x = Text(example=EXAMPLE_COORDINATE)
    y = Text(example=EXAMPLE_COORDINATE, about="Of `EC` alone.", required=False)
    alg = Text(example="ES256", about="`ES256` or `EdDSA`.")
    use = Text(example="sig")


class JwksSchema(ResponseSchema):
    """The public keys; none where JWT_PRIVATE_KEYS is unset, because nobody else can verify."""

    keys = fields.List(fields.Nested(JwkSchema), required=True)


class MetadataSchema(ResponseSchema):
    """What another service needs to know (RFC 8414); nobody logs in by OAuth here."""

    issuer = Text(example=EXAMPLE_URL)
    jwks_uri = Text(example=f"{EXAMPLE_URL}/.well-known/jwks.json")
    introspection_endpoint = Text(example=f"{EXAMPLE_URL}/api/auth/introspect")
    introspection_endpoint_auth_methods_supported = fields.List(
        fields.String(), required=True, metadata={"examples": [["Bearer"]]}
    )
    response_types_supported = fields.List(fields.String(), required=True, metadata=NONE)
    grant_types_supported = fields.List(fields.String(), required=True, metadata=NONE)
    service_documentation = Text(example=f"{EXAMPLE_URL}/api/docs")
