"""Schemas of responses: what they make of the objects that services return."""

import pytest
from bson import ObjectId
from flask import Flask

from database.models import Movie, User
from resources.routes import API_ROUTES, initialize_routes
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
    ResponseSchema,
    StatusSchema,
)
from schemas.movies import MovieSchema, dump_movie
from schemas.users import UserSchema
from web.openapi import build_document

USER_ID, MOVIE_ID = "65f0a1b2c3d4e5f6a7b8c9d0", "65f0a1b2c3d4e5f6a7b8c9d1"
SESSION_ID = "9f86d081884c7d65"
TIME, TIME_AS_TEXT = 1_763_631_000.7, "2025-11-20T09:30:00Z"
EMAIL = "ada@example.com"
HEAT = {"name": "Heat", "casts": ["Al Pacino"], "genres": ["Crime", "Drama"]}
STORED_MOVIE = {"_id": ObjectId(MOVIE_ID), **HEAT, "name_casefold": "heat", "added_by": USER_ID}
DUMPED_MOVIE = {"_id": {"$oid": MOVIE_ID}, **HEAT, "added_by": {"$oid": USER_ID}}
ERROR = {"message": "Invalid", "status": 400, "error": "SchemaValidationError"}
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
    ResetDoneSchema: ({"message": "Done", "email": EMAIL}, {"message": "Done", "email": EMAIL}),
    SessionSchema: (
        {
            **{"id": SESSION_ID, "current": True, "user_agent": "curl", "generation": 3},
            **{"created_at": TIME, "last_used_at": TIME + 60, "rotated": {"g2": TIME}},
        },
        {
            **{"id": SESSION_ID, "current": True, "user_agent": "curl"},
            **{"created_at": TIME_AS_TEXT, "last_used_at": "2025-11-20T09:31:00Z"},
        },
    ),
    UserSchema: (
        User(id=ObjectId(USER_ID), email=EMAIL, password="$2b$…", created_at=TIME),
        {
            **{"id": USER_ID, "email": EMAIL, "name": None, "role": "user"},
            "created_at": TIME_AS_TEXT,
        },
    ),
    MovieSchema: (STORED_MOVIE, DUMPED_MOVIE),
    StatusSchema: ({"status": "ready"}, {"status": "ready"}),
    ApiErrorSchema: (ERROR | {"errors": {"name": ["No."]}}, ERROR | {"errors": {"name": ["No."]}}),
}


@pytest.mark.parametrize("schema", EXAMPLES, ids=[schema.__name__ for schema in EXAMPLES])
def test_schema_dumps_the_response_of_its_endpoint(schema):
    result, response = EXAMPLES[schema]
    assert schema().dump(result) == response
    assert schema().fields.keys() == response.keys()


def test_every_response_has_an_example():
    operations = [
        getattr(resource, method.lower()).operation
        for resource in API_ROUTES.values()
        for method in resource.methods
    ]
    schemas = {operation.response for operation in operations}
    assert all(issubclass(schema, ResponseSchema) for schema in schemas)
    assert schemas | {ApiErrorSchema} == EXAMPLES.keys() | {OpenApiSchema}


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
