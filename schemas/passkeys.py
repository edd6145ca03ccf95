"""Requests and responses of passkeys; what a device gets and returns has the names of WebAuthn."""

from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields
from marshmallow.validate import Equal, OneOf, Regexp

from schemas.base import (
    EXAMPLE_EMAIL,
    EXAMPLE_ID,
    EXAMPLE_TIME,
    IdSchema,
    RequestSchema,
    ResponseSchema,
    Text,
    Timestamp,
    describe,
)
from schemas.fields import CookieFlag, LimitedText, SingleLine

EXAMPLE_BYTES = "dGhlIGJ5dGVz"
EXAMPLE_NAME = "Ada's phone"
EXAMPLE_CREDENTIAL = {
    "id": EXAMPLE_BYTES,
    "rawId": EXAMPLE_BYTES,
    "type": "public-key",
    "response": {"clientDataJSON": EXAMPLE_BYTES},
}
# An id of 1023 bytes, the longest that WebAuthn §4 allows, in base64.
MAX_ID_LENGTH = 1364
MAX_PART_LENGTH = 32 * 1024
MAX_TRANSPORTS = 10
PUBLIC_KEY = Equal("public-key")


class Base64Url(LimitedText):
    """Bytes as base64url."""

    def __init__(self, max_length: int, **options: Any) -> None:
        """Accept so many characters."""
        about = {"examples": [EXAMPLE_BYTES], "pattern": "^[A-Za-z0-9_-]*$"}
        validator = Regexp(r"[A-Za-z0-9_-]*\Z", error="Must be base64url without padding.")
        super().__init__(max_length, about, validate=validator, **options)


class Transports(fields.List[str]):
    """How a browser reaches the device, such as usb, nfc or internal."""

    def __init__(self) -> None:
        """Accept 10 words."""
        about = {"examples": ["internal"], "pattern": "^[a-z-]+$"}
        word = LimitedText(20, about, validate=Regexp(r"[a-z-]+\Z"))
        super().__init__(word, metadata={"maxItems": MAX_TRANSPORTS})

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> list[Any]:
        if not isinstance(value, list) or len(value) > MAX_TRANSPORTS:
            raise self.make_error("invalid")
        return list(super()._deserialize(value, *args, **options))


class DeviceResponseSchema(Schema):
    """What a device returned: of a registration the first part, of a login the others."""

    class Meta:
        """Ignore what other browsers add."""

        unknown = EXCLUDE

    clientDataJSON = Base64Url(MAX_PART_LENGTH, required=True)
    attestationObject = Base64Url(MAX_PART_LENGTH)
    transports = Transports()
    authenticatorData = Base64Url(MAX_PART_LENGTH)
    signature = Base64Url(MAX_PART_LENGTH)
    userHandle = Base64Url(MAX_ID_LENGTH)


class CredentialSchema(Schema):
    """A credential as the browser's `toJSON()` returns it; other members are ignored."""

    class Meta:
        """Ignore what other browsers add."""

        unknown = EXCLUDE

    id = Base64Url(MAX_ID_LENGTH, required=True)
    rawId = Base64Url(MAX_ID_LENGTH, required=True)
    type = LimitedText(20, {"examples": ["public-key"]}, required=True, validate=PUBLIC_KEY)
    response = fields.Nested(DeviceResponseSchema, required=True)


class CredentialField(fields.Nested):
    """A credential; what is wrong inside is one sentence."""

    def __init__(self, about: str, **options: Any) -> None:
        """Take a description for the OpenAPI document and the options of a field."""
        metadata = {"examples": [EXAMPLE_CREDENTIAL], **describe(about)}
        super().__init__(CredentialSchema, metadata=metadata, **options)

    def _deserialize(self, *args: Any, **options: Any) -> Any:
        try:
            return super()._deserialize(*args, **options)
        except ValidationError:
            raise ValidationError("Not a credential as toJSON() returns it.") from None


class LoginPasskeySchema(RequestSchema):
    """What a device has signed."""

    credential = CredentialField(
        "What `navigator.credentials.get()` returned, as JSON.", required=True
    )
    cookie = CookieFlag()


class NewPasskeySchema(RequestSchema):
    """What a device has made, and a name for it."""

    credential = CredentialField(
        "What `navigator.credentials.create()` returned, as JSON.", required=True
    )
    name = SingleLine(100, EXAMPLE_NAME, max_length=400)


class PasskeyNameSchema(RequestSchema):
    """Another name."""

    name = SingleLine(100, EXAMPLE_NAME, max_length=400, required=True)


class PasskeySchema(IdSchema):
    """A passkey of a user."""

    id = Text(example=EXAMPLE_ID)
    name = Text(example=EXAMPLE_NAME)
    created_at = Timestamp(example=EXAMPLE_TIME)
    last_used_at = Timestamp(example="2026-11-20T10:15:00Z", about="Null: never.", allow_none=True)
    backed_up = fields.Boolean(
        required=True,
        metadata={"examples": [True], "description": "Whether it is on more devices than one."},
    )


class RelyingPartySchema(ResponseSchema):
    """The service, to a device: its name and its host."""

    name = Text(example="Movie-bag")
    id = Text(example="movie-bag.example")


class PasskeyUserSchema(ResponseSchema):
    """The user, to a device."""

    id = Text(example=EXAMPLE_BYTES)
    name = Text(example=EXAMPLE_EMAIL)
    displayName = Text(example="Ada")


class KeyKindSchema(ResponseSchema):
    """A kind of key that a device may make; `alg` is a number of COSE."""

    type = fields.String(required=True, validate=PUBLIC_KEY)
    alg = fields.Integer(required=True, metadata={"examples": [-7]})


class KnownCredentialSchema(ResponseSchema):
    """A credential that the user has already."""

    type = fields.String(required=True, validate=PUBLIC_KEY)
    id = Text(example=EXAMPLE_BYTES)
    transports = fields.List(Text(example="internal"))


class Requirement(fields.String):
    """How much a device must be able to do something, in the words of WebAuthn."""

    def __init__(self) -> None:
        """Name them, so that the browser's functions take the options of a typed client."""
        choices = ["discouraged", "preferred", "required"]
        metadata = {"title": "Requirement", "examples": ["required"]}
        super().__init__(required=True, validate=OneOf(choices), metadata=metadata)


class AuthenticatorSelectionSchema(ResponseSchema):
    """What a device must be able to do."""

    residentKey = Requirement()
    requireResidentKey = fields.Boolean(required=True, metadata={"examples": [True]})
    userVerification = Requirement()


class RegistrationOptionsSchema(ResponseSchema):
    """The options for `navigator.credentials.create()`: parseCreationOptionsFromJSON reads them."""

    rp = fields.Nested(RelyingPartySchema, required=True)
    user = fields.Nested(PasskeyUserSchema, required=True)
    challenge = Text(example=EXAMPLE_BYTES, about="Valid for 5 minutes, once.")
    pubKeyCredParams = fields.List(fields.Nested(KeyKindSchema), required=True)
    timeout = fields.Integer(required=True, metadata={"examples": [300000]})
    excludeCredentials = fields.List(fields.Nested(KnownCredentialSchema), required=True)
    authenticatorSelection = fields.Nested(AuthenticatorSelectionSchema, required=True)
    attestation = Text(example="none")


class LoginOptionsSchema(ResponseSchema):
    """The options for `navigator.credentials.get()`: parseRequestOptionsFromJSON reads them."""

    challenge = Text(example=EXAMPLE_BYTES, about="Valid for 5 minutes, once.")
    timeout = fields.Integer(required=True, metadata={"examples": [300000]})
    rpId = Text(example="movie-bag.example")
    allowCredentials = fields.List(fields.Nested(KnownCredentialSchema), required=True)
    userVerification = Requirement()
