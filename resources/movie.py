"""The bag of movies, in MongoDB's extended JSON as the tutorial has it."""

import base64
from typing import Any
from urllib.parse import urlencode

from flask_restful import Resource

from database.models import User
from resources.answers import IdSchema, MessageSchema, StoredMovieSchema
from resources.request import accepts, answers, protected
from resources.schemas import ChangeMovieSchema, MoviePageSchema, MovieSchema
from services import movie_service
from services.errors import (
    DeletingMovieError,
    MovieAlreadyExistsError,
    MovieNotExistsError,
    UpdatingMovieError,
)
from services.token_service import Claims


def shown(movie: dict[str, Any]) -> dict[str, Any]:
    """Return a stored movie as answers show it."""
    facts = {"name": movie["name"], "casts": movie["casts"], "genres": movie["genres"]}
    return {"_id": {"$oid": str(movie["_id"])}, **facts, "added_by": {"$oid": movie["added_by"]}}


class Movies(Resource):
    """Every movie."""

    @accepts(query=MoviePageSchema)
    @answers(StoredMovieSchema, many=True)
    def get(self, **page: Any) -> tuple[Any, int, dict[str, str]]:
        """List movies by name; the Link header leads to the next page."""
        movies, last = movie_service.page(**page)
        headers = {}
        if last is not None:
            cursor = base64.urlsafe_b64encode(last.encode()).decode()
            headers["Link"] = f'</api/movies?{urlencode({**page, "after": cursor})}>; rel="next"'
        return [shown(movie) for movie in movies], 200, headers

    @protected
    @accepts(MovieSchema)
    @answers(IdSchema, MovieAlreadyExistsError)
    def post(self, user: User, claims: Claims, **fields: Any) -> dict[str, str]:
        """Add a movie."""
        return {"id": str(movie_service.add(user, **fields).id)}


class OneMovie(Resource):
    """One movie."""

    @accepts()
    @answers(StoredMovieSchema, MovieNotExistsError)
    def get(self, movie_id: str) -> dict[str, Any]:
        """Show the movie."""
        return shown(movie_service.find(movie_id).to_mongo())

    @protected
    @accepts(ChangeMovieSchema)
    @answers(MessageSchema, MovieNotExistsError, UpdatingMovieError, MovieAlreadyExistsError)
    def put(self, user: User, claims: Claims, movie_id: str, **fields: Any) -> dict[str, str]:
        """Change the movie, for who added it."""
        movie_service.change(user, movie_id, **fields)
        return {"message": "Movie has been updated"}

    @protected
    @accepts()
    @answers(MessageSchema, MovieNotExistsError, DeletingMovieError)
    def delete(self, user: User, claims: Claims, movie_id: str) -> dict[str, str]:
        """Delete the movie, for who added it and for admins."""
        movie_service.delete(user, movie_id)
        return {"message": "Movie has been deleted"}
