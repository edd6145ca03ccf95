"""Schemas of responses: what they make of the objects that services return."""

import pytest
from bson import ObjectId
from flask import Flask
from marshmallow import Schema, ValidationError
from marshmallow.fields import List, Nested, String, Url

from database.events import StoredEvent
from database.models import Job, Movie, User
from database.passkeys import Passkey
from resources.routes import API_ROUTES, initialize_routes
from schemas.api_keys import IntrospectedSchema, KeySchema, NewKeySchema
from schemas.auth import (
    ResetDoneSchema,
    SessionSchema,
    SignedUpSchema,
    TokensSchema,
    VerifiedSchema,
)
from schemas.base import (
    ApiErrorSchema,
    IdSchema,
    MessageSchema,
    OpenApiSchema,
    ReadinessSchema,
    RequestSchema,
    ResponseSchema,
    StatusSchema,
)
from schemas.emails import EmailDoneSchema
from schemas.events import EventSchema, OwnEventSchema
from schemas.factors import FactorsSchema, RecoveryCodesSchema, TotpSchema
from schemas.fields import (
    Beginning,
    Email,
    Id,
    IdCursor,
    LimitedText,
    Locale,
    Name,
    NameCursor,
    Password,
    Role,
    SingleLine,
    Token,
)
from schemas.movies import MovieSchema, dump_movie
from schemas.passkeys import LoginOptionsSchema, PasskeySchema, RegistrationOptionsSchema
from schemas.user_export import UserExportSchema
from schemas.users import UserSchema
from schemas.well_known import JwksSchema, MetadataSchema
from web.decorators import NoFields
from web.openapi import build_document

FIELDS = [
    *(field() for field in (Beginning, Email, IdCursor, Locale, Name, NameCursor, Password)),
    *(Role(), Token(), SingleLine(200, "Heat"), Id("An id.")),
]
USER_ID, MOVIE_ID = "65f0a1b2c3d4e5f6a7b8c9d0", "65f0a1b2c3d4e5f6a7b8c9d1"
SESSION_ID = "9f86d081884c7d65"
TIME, TIME_AS_TEXT = 1_763_631_000.7, "2025-11-20T09:30:00Z"
EMAIL = "ada@example.com"
HEAT = {"name": "Heat", "casts": ["Al Pacino"], "genres": ["Crime", "Drama"]}
STORED_MOVIE = {"_id": ObjectId(MOVIE_ID), **HEAT, "name_casefold": "heat", "added_by": USER_ID}
DUMPED_MOVIE = {
    **{"_id": {"$oid": MOVIE_ID}, "id": MOVIE_ID},
    **HEAT,
    "added_by": {"$oid": USER_ID},
}
# With each member that some error has.
ERROR = {
    **{"message": "Invalid", "status": 400, "error": "SchemaValidationError"},
    **{"errors": {"name": ["No."]}, "mfa_token": "eyJ", "methods": ["totp"]},
}
FACTORS = {"totp": True, "passkeys": 2, "recovery_codes_left": 9}
TOTP = {"secret": "JBSWY3DP", "uri": "otpauth://totp/x", "qr": "data:image/svg+xml,x"}
PASSKEY_ID = "65f0a1b2c3d4e5f6a7b8c9d2"
STORED_PASSKEY = {"user_id": USER_ID, "public_key": "cHVi", "sign_count": 3, "backed_up": True}
LOGIN_OPTIONS = {
    **{"challenge": "AA", "timeout": 300_000, "rpId": "movie-bag.example"},
    **{"allowCredentials": [], "userVerification": "required"},
}
REGISTRATION_OPTIONS = {
    "rp": {"name": "Movie-bag", "id": "movie-bag.example"},
    "user": {"id": "AA", "name": EMAIL, "displayName": "Ada"},
    "challenge": "AA",
    "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
    "timeout": 300_000,
    "excludeCredentials": [],
    "authenticatorSelection": {"userVerification": "required"},
    "attestation": "none",
}
STORED_SESSION = {
    **{"id": SESSION_ID, "current": True, "user_agent": "curl", "generation": 3},
    **{"device": "curl", "ip": "203.0.113.7"},
    **{"created_at": TIME, "last_used_at": TIME + 60, "rotated": {"g2": TIME}},
}
DUMPED_SESSION = {
    **{"id": SESSION_ID, "current": True, "user_agent": "curl", "device": "curl"},
    **{"ip": "203.0.113.7", "created_at": TIME_AS_TEXT, "last_used_at": "2025-11-20T09:31:00Z"},
}
STORED_USER = User(
    id=ObjectId(USER_ID), email=EMAIL, password="$2b$…", created_at=TIME, disabled_at=TIME
)
DUMPED_USER = {
    **{"id": USER_ID, "email": EMAIL, "name": None, "role": "user", "locale": "en"},
    **{"created_at": TIME_AS_TEXT, "verified": False, "disabled": True, "invited": False},
}
STORED_EVENT = StoredEvent(
    id=ObjectId(MOVIE_ID), event="login_failed", user_id=USER_ID, ip="203.0.113.7", at=TIME, count=3
)
DUMPED_EVENT = {
    **{"id": MOVIE_ID, "event": "login_failed", "user": USER_ID, "by": None},
    **{"ip": "203.0.113.7", "at": TIME_AS_TEXT, "count": 3},
}
DEVICE = {
    **{"browser": "Firefox", "system": "Linux", "ip": "203.0.113.7"},
    "network": "203.0.113.0/24",
}
QUEUED = Job(id=ObjectId(MOVIE_ID), arguments={"mail": "reset_password"}, created_at=TIME)
STORED_KEY = {
    **{"id": SESSION_ID, "name": "Billing", "scopes": ["introspect"], "digest": "a digest"},
    **{"created_at": TIME, "expires_at": None, "last_used_at": TIME},
}
DUMPED_KEY = {
    **{"id": SESSION_ID, "name": "Billing", "scopes": ["introspect"]},
    **{"created_at": TIME_AS_TEXT, "expires_at": None, "last_used_at": TIME_AS_TEXT},
}
INTROSPECTED = {
    **{"active": True, "scope": "access", "sub": USER_ID, "exp": 1_763_631_900},
    **{"iat": 1_763_631_000, "iss": "https://a.example", "aud": "https://a.example"},
    **{"role": "user", "verified": True, "amr": ["pwd"], "auth_time": 1_763_631_000},
}
JWK = {
    **{"kid": "a thumbprint", "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
    **{"alg": "ES256", "use": "sig"},
}
METADATA = {
    "issuer": "https://a.example",
    "jwks_uri": "https://a.example/.well-known/jwks.json",
    "introspection_endpoint": "https://a.example/api/auth/introspect",
    "introspection_endpoint_auth_methods_supported": ["Bearer"],
    "response_types_supported": [],
    "grant_types_supported": [],
    "service_documentation": "https://a.example/api/docs",
}
EXPORT = {
    "user": STORED_USER,
    "pending_email": None,
    "former_emails": [{"email": EMAIL, "at": TIME, "version": 3}],
    "factors": FACTORS,
    "passkeys": [],
    "api_keys": [STORED_KEY],
    "devices": [{**DEVICE, "first_at": TIME, "last_at": TIME}],
    "sessions": [STORED_SESSION],
    "movies": [Movie(id=ObjectId(MOVIE_ID), **HEAT, added_by=USER_ID)],
    "emails": [QUEUED],
    "events": [STORED_EVENT],
}
DUMPED_EXPORT = {
    **EXPORT,
    "user": DUMPED_USER,
    "former_emails": [{"email": EMAIL, "at": TIME_AS_TEXT}],
    "api_keys": [DUMPED_KEY],
    "devices": [{**DEVICE, "first_at": TIME_AS_TEXT, "last_at": TIME_AS_TEXT}],
    "sessions": [DUMPED_SESSION],
    "movies": [{"id": MOVIE_ID, **HEAT}],
    "emails": [{"id": MOVIE_ID, "mail": "reset_password", "created_at": TIME_AS_TEXT}],
    "events": [DUMPED_EVENT],
}
# Schema → what a view passes to it, and the JSON that a client gets.
EXAMPLES = {
    MessageSchema: ({"message": "Logged out"}, {"message": "Logged out"}),
    IdSchema: ({"id": ObjectId(MOVIE_ID)}, {"id": MOVIE_ID}),
    SignedUpSchema: (
        {"id": ObjectId(USER_ID), "message": "Welcome!"},
        {"id": USER_ID, "message": "Welcome!"},
    ),
    TokensSchema: (
        {"token": "a", "refresh_token": "r", "expires_in": 900, "email": EMAIL},
        {
            **{"token": "a", "refresh_token": "r", "token_type": "Bearer"},
            **{"expires_in": 900, "email": EMAIL},
        },
    ),
    VerifiedSchema: (
        {"id": ObjectId(USER_ID), "email": EMAIL, "expires_in": 871, "message": "Valid"},
        {"id": USER_ID, "email": EMAIL, "expires_in": 871, "message": "Valid"},
    ),
    EmailDoneSchema: ({"message": "Done", "email": EMAIL}, {"message": "Done", "email": EMAIL}),
    ResetDoneSchema: (
        {"message": "Done", "email": EMAIL, "factors": FACTORS},
        {"message": "Done", "email": EMAIL, "factors": FACTORS},
    ),
    FactorsSchema: (FACTORS, FACTORS),
    TotpSchema: (TOTP, TOTP),
    RecoveryCodesSchema: ({"recovery_codes": ["mzxw-6ytb"]}, {"recovery_codes": ["mzxw-6ytb"]}),
    PasskeySchema: (
        Passkey(id=ObjectId(PASSKEY_ID), name="A phone", created_at=TIME, **STORED_PASSKEY),
        {
            **{"id": PASSKEY_ID, "name": "A phone", "created_at": TIME_AS_TEXT},
            **{"last_used_at": None, "backed_up": True},
        },
    ),
    RegistrationOptionsSchema: (REGISTRATION_OPTIONS, REGISTRATION_OPTIONS),
    LoginOptionsSchema: (LOGIN_OPTIONS, LOGIN_OPTIONS),
    SessionSchema: (STORED_SESSION, DUMPED_SESSION),
    UserSchema: (STORED_USER, DUMPED_USER),
    EventSchema: (STORED_EVENT, DUMPED_EVENT),
    OwnEventSchema: (STORED_EVENT, DUMPED_EVENT),
    UserExportSchema: (EXPORT, DUMPED_EXPORT),
    MovieSchema: (STORED_MOVIE, DUMPED_MOVIE),
    ReadinessSchema: ({"database": "ok", "mail": "ok"}, {"database": "ok", "mail": "ok"}),
    StatusSchema: ({"status": "alive"}, {"status": "alive"}),
    ApiErrorSchema: (ERROR, ERROR),
    KeySchema: (STORED_KEY, DUMPED_KEY),
    NewKeySchema: ({**STORED_KEY, "key": "mb_x"}, {**DUMPED_KEY, "key": "mb_x"}),
    IntrospectedSchema: (INTROSPECTED, INTROSPECTED),
    JwksSchema: ({"keys": [JWK]}, {"keys": [JWK]}),
    MetadataSchema: (METADATA, METADATA),
}


@pytest.mark.parametrize("schema", EXAMPLES, ids=[schema.__name__ for schema in EXAMPLES])
def test_schema_dumps_the_response_of_its_endpoint(app, schema):
    result, response = EXAMPLES[schema]
    with app.app_context():
        assert schema().dump(result) == response
    assert schema().fields.keys() == response.keys()


@pytest.mark.parametrize("verified_at", [None, 0.0, TIME])
def test_user_is_verified_since_some_time(app, verified_at):
    with app.app_context():
        user = UserSchema().dump(User(verified_at=verified_at))
    assert user["verified"] == (verified_at is not None)


def test_event_that_happened_once_has_no_count():
    assert "count" not in EventSchema().dump(StoredEvent(event="login"))


def test_signup_need_not_tell_the_id():
    assert SignedUpSchema().dump({"message": "Check your mail"}) == {"message": "Check your mail"}


def test_every_response_has_an_example():
    operations = [
        getattr(resource, method.lower()).operation
        for resource in API_ROUTES.values()
        for method in resource.methods
    ]
    schemas = {operation.response for operation in operations}
    assert all(issubclass(schema, ResponseSchema) for schema in schemas)
    assert schemas | {ApiErrorSchema} == EXAMPLES.keys() | {OpenApiSchema}


def request_schemas(schema=RequestSchema):
    """Return every schema of requests."""
    for subclass in schema.__subclasses__():
        yield subclass
        yield from request_schemas(subclass)


def unlimited_texts(schema):
    """Return the names of the text fields of a schema, or inside one, that may be of any length."""
    fields = {name: getattr(field, "inner", field) for name, field in schema().fields.items()}
    texts = {name: field for name, field in fields.items() if isinstance(field, String)}
    unlimited = {name for name, field in texts.items() if not isinstance(field, LimitedText)}
    nested = [field.schema for field in fields.values() if isinstance(field, Nested)]
    return unlimited.union(*(unlimited_texts(type(schema)) for schema in nested))


def token_fields(schema):
    """Return the fields of a schema of the document that are tokens of a request."""
    is_request = schema.get("unevaluatedProperties") is False
    fields = schema["properties"].items() if is_request else ()
    return [(name, field) for name, field in fields if name.endswith("_token")]


class TestLimitedText:
    """Every text of a request has a limit, and nothing is done with a text that is too long."""

    def test_no_text_is_unlimited(self):
        schemas = set(request_schemas())
        assert len(schemas) > 10
        assert {schema for schema in schemas if unlimited_texts(schema)} == set()

    def test_all_schemas_of_routes_are_schemas_of_requests(self):
        for resource in API_ROUTES.values():
            for method in resource.methods:
                operation = getattr(resource, method.lower()).operation
                for schema in (operation.body, operation.query or NoFields):
                    assert issubclass(schema, RequestSchema)

    @pytest.mark.parametrize(
        "field",
        [String(), List(String()), Url(), Nested(Schema.from_dict({"text": String()}))],
        ids=["text", "list", "URL", "nested"],
    )
    def test_unlimited_text_is_found(self, field):
        assert unlimited_texts(Schema.from_dict({"text": field})) == {"text"}

    @pytest.mark.parametrize("field", FIELDS, ids=[type(field).__name__ for field in FIELDS])
    def test_limit_is_checked_before_anything_else(self, field):
        class Untouchable(str):
            """A text that allows to ask for its length, and for nothing else."""

            def _refuse(self, *_, **__):
                raise AssertionError

            strip = lower = split = casefold = encode = __iter__ = __getitem__ = _refuse

        text = Untouchable("a" * (field.max_length + 1))
        with pytest.raises(ValidationError, match="Must be at most"):
            field.deserialize(text)

    def test_limit_is_in_the_openapi_document(self):
        app = Flask(__name__)
        app.config |= {"APP_ENV": "production", "PUBLIC_URL": "https://movie-bag.example"}
        initialize_routes(app)
        schemas = build_document(app)["components"]["schemas"]
        limits = {
            name: field.get("maxLength") for name, field in schemas["Signup"]["properties"].items()
        }
        passwords = dict.fromkeys(["password", "password_confirmation"], 1024)
        assert limits == {"email": 320, "name": 400, "locale": 35, **passwords}
        tokens = dict(field for schema in schemas.values() for field in token_fields(schema))
        names = ("reset", "refresh", "confirm", "undo", "invite", "mfa")
        assert tokens.keys() == {f"{name}_token" for name in names}
        assert {field["maxLength"] for field in tokens.values()} == {4096}


class TestFasterDump:
    """A function in place of schema.dump must return the same."""

    @pytest.mark.parametrize("count", [0, 1, 20])
    def test_dump_movie_equals_movie_schema(self, count):
        movies = [
            {**STORED_MOVIE, "_id": ObjectId(), "name": f"Heat {number}", "casts": ["Å"] * number}
            for number in range(count)
        ]
        assert [*map(dump_movie, movies)] == MovieSchema(many=True).dump(movies)

    def test_dump_movie_equals_movie_schema_for_a_document(self):
        stored = Movie(id=ObjectId(MOVIE_ID), **HEAT, name_casefold="heat", added_by=USER_ID)
        assert dump_movie(stored.to_mongo()) == DUMPED_MOVIE
        assert MovieSchema().dump(stored.to_mongo()) == DUMPED_MOVIE

    def test_openapi_document_equals_its_schema(self):
        app = Flask(__name__)
        app.config.update(APP_ENV="production", PUBLIC_URL="https://movie-bag.example")
        initialize_routes(app)
        document = build_document(app)
        assert OpenApiSchema().dump(document) == document
