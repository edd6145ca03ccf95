"""The bag of movies."""

from typing import Any
from urllib.parse import urlencode

from flask_restful import Resource

from database.models import Stored, User
from schemas.base import IdSchema, MessageSchema
from schemas.fields import NameCursor
from schemas.movies import (
    MovieCreateSchema,
    MoviePageSchema,
    MovieSchema,
    MovieUpdateSchema,
    dump_movies,
)
from services import errors, movie_service
from services.token_service import Claims
from web.decorators import body, no_input, query, requires_user, response


class MoviesApi(Resource):
    """All movies."""

    @query(MoviePageSchema)
    @response(MovieSchema, many=True, dump=dump_movies)
    def get(self, **page: Any) -> tuple[list[Stored], dict[str, str]]:
        """List movies by name; the Link header leads to the next page."""
        movies, last_name = movie_service.list_page(**page)
        if last_name is None:
            return movies, {}
        parameters = urlencode({**page, "after": NameCursor.encode(last_name)})
        return movies, {"Link": f'</api/movies?{parameters}>; rel="next"'}

    @requires_user
    @body(MovieCreateSchema)
    @response(IdSchema, errors.MovieAlreadyExistsError)
    def post(self, user: User, claims: Claims, **fields: Any) -> dict[str, Any]:
        """Add a movie."""
        return {"id": movie_service.add(user, **fields).id}


class MovieApi(Resource):
    """One movie."""

    @no_input
    @response(MovieSchema, errors.MovieNotExistsError)
    def get(self, movie_id: str) -> Stored:
        """Return the movie."""
        stored: Stored = movie_service.get(movie_id).to_mongo()
        return stored

    @requires_user
    @body(MovieUpdateSchema)
    @response(
        MessageSchema,
        errors.MovieNotExistsError,
        errors.UpdatingMovieError,
        errors.MovieAlreadyExistsError,
    )
    def put(self, user: User, claims: Claims, movie_id: str, **fields: Any) -> dict[str, str]:
        """Change a movie that the user added."""
        movie_service.update(user, movie_id, **fields)
        return {"message": "Movie has been updated"}

    @requires_user
    @no_input
    @response(MessageSchema, errors.MovieNotExistsError, errors.DeletingMovieError)
    def delete(self, user: User, claims: Claims, movie_id: str) -> dict[str, str]:
        """Delete a movie that the user added; admins may delete any."""
        movie_service.delete(user, movie_id)
        return {"message": "Movie has been deleted"}
