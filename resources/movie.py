"""The bag of movies."""

from typing import Any

from flask_restful import Resource
from orjson import Fragment

from database.models import Stored, User
from schemas.base import IdSchema, MessageSchema
from schemas.fields import NameCursor
from schemas.movies import (
    MovieCreateSchema,
    MoviePageSchema,
    MovieSchema,
    MovieUpdateSchema,
    dump_page,
)
from services import errors, movie_service
from services.token_claims import Claims
from web.decorators import body, no_input, query, requires_user, response
from web.rate_limits import limit_by_user
from web.urls import next_page

UPDATED = {"message": "Movie has been updated"}
UPDATE_ERRORS = (
    errors.MovieNotExistsError,
    errors.UpdatingMovieError,
    errors.MovieAlreadyExistsError,
)


class MoviesApi(Resource):
    """All movies."""

    @query(MoviePageSchema)
    @response(MovieSchema, many=True, dump=list, name="listMovies")
    def get(self, limit: int, **search: Any) -> tuple[list[Fragment], dict[str, str]]:
        """List movies by name; the Link header leads to the next page.

        A page ends after `limit` movies or 1 MiB.
        """
        movies, last_name = dump_page(movie_service.find(**search, limit=limit + 1), limit)
        if last_name is None:
            return movies, {}
        search["after"] = NameCursor.encode(last_name)
        return movies, next_page("/api/movies", limit=limit, **search)

    @requires_user
    @body(MovieCreateSchema)
    @limit_by_user("WRITES")
    @response(
        IdSchema,
        errors.MovieAlreadyExistsError,
        name="createMovie",
        location="/api/movies/{id}",
    )
    def post(self, user: User, claims: Claims, **fields: Any) -> dict[str, Any]:
        """Add a movie."""
        return {"id": movie_service.add(user, **fields).id}


class MovieApi(Resource):
    """One movie."""

    @no_input
    @response(MovieSchema, errors.MovieNotExistsError, name="getMovie")
    def get(self, movie_id: str) -> Stored:
        """Return the movie."""
        stored: Stored = movie_service.get(movie_id).to_mongo()
        return stored

    @requires_user
    @body(MovieUpdateSchema)
    @limit_by_user("WRITES")
    @response(MessageSchema, *UPDATE_ERRORS, name="updateMovie")
    def patch(self, user: User, claims: Claims, movie_id: str, **fields: Any) -> dict[str, str]:
        """Change the given fields of a movie that the user added."""
        movie_service.update(user, movie_id, **fields)
        return UPDATED

    @requires_user
    @body(MovieUpdateSchema)
    @limit_by_user("WRITES")
    @response(MessageSchema, *UPDATE_ERRORS, name="putMovie")
    def put(self, user: User, claims: Claims, movie_id: str, **fields: Any) -> dict[str, str]:
        """Do what PATCH does, because the tutorial changes a part of a movie with PUT."""
        movie_service.update(user, movie_id, **fields)
        return UPDATED

    @requires_user
    @no_input
    @limit_by_user("WRITES")
    @response(
        MessageSchema,
        errors.MovieNotExistsError,
        errors.DeletingMovieError,
        name="deleteMovie",
    )
    def delete(self, user: User, claims: Claims, movie_id: str) -> dict[str, str]:
        """Delete a movie that the user added; admins may delete any."""
        movie_service.delete(user, movie_id)
        return {"message": "Movie has been deleted"}
