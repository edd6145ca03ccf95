"""The bag of movies."""

import re
from collections.abc import Iterable
from typing import Any

from bson import ObjectId
from mongoengine import NotUniqueError, OperationError
from pymongo.errors import BulkWriteError

from database.db import ensure_indexes
from database.models import Movie, User, exactly
from services.errors import (
    BadTokenError,
    DeletingMovieError,
    MovieAlreadyExistsError,
    MovieNotExistsError,
    UpdatingMovieError,
)

DUPLICATE_KEY = 11000


def page(
    limit: int, after: str | None = None, genre: str | None = None, q: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return limit movies in the order of their names, as stored, and the last name if more follow.

    After that name the next page begins: as cheap to find as any other place in the index. `q`
    is matched literally, in any case.
    """
    query: dict[str, Any] = {"key": {"$gt": _key(after)}} if after else {}
    if genre:
        query["genres"] = exactly(genre)
    if q:
        query["folded"] = {"$regex": re.escape(q.casefold())}
    some = list(Movie._get_collection().find(query, sort=[("key", 1)], limit=limit + 1))
    return some[:limit], some[limit - 1]["name"] if len(some) > limit else None


def find(movie_id: str) -> Movie:
    """Return the movie with that id; raises MovieNotExistsError."""
    movie: Movie | None = None
    if ObjectId.is_valid(movie_id):
        movie = Movie.objects(id=movie_id).first()
    if movie is None:
        raise MovieNotExistsError
    return movie


def add(user: User, name: str, casts: list[str], genres: list[str]) -> Movie:
    """Put a movie into the bag; raises MovieAlreadyExistsError, BadTokenError if user has gone."""
    ensure_indexes(Movie)
    movie = Movie(**_document(str(user.id), name, casts, genres))
    try:
        movie.save(force_insert=True)
    except NotUniqueError:
        raise MovieAlreadyExistsError from None
    if User.objects(id=user.id).only("id").first() is None:
        movie.delete()
        raise BadTokenError
    return movie


def change(user: User, movie_id: str, **fields: Any) -> None:
    """Change name, casts or genres of a movie that user added.

    Raises MovieNotExistsError, UpdatingMovieError, MovieAlreadyExistsError.
    """
    movie = find(movie_id)
    if movie.added_by != str(user.id):
        raise UpdatingMovieError
    if "name" in fields:
        fields |= _forms(fields["name"])
    try:
        if fields and not Movie.objects(id=movie.id).update_one(__raw__={"$set": fields}):
            raise MovieNotExistsError
    except OperationError:
        # Not every server says that it was the unique index: see who has the name.
        if Movie.objects(key=fields.get("key")).only("id").first() in (None, movie):
            raise
        raise MovieAlreadyExistsError from None


def delete(user: User, movie_id: str) -> None:
    """Take a movie out of the bag that user added, or any for an admin.

    Raises MovieNotExistsError, DeletingMovieError.
    """
    movie = find(movie_id)
    if movie.added_by != str(user.id) and not user.is_admin:
        raise DeletingMovieError
    movie.delete()


def add_many(owner_id: str, movies: Iterable[dict[str, Any]]) -> int:
    """Put movies into the bag that it does not hold yet; return how many those were."""
    ensure_indexes(Movie)
    documents = [_document(owner_id, **movie) for movie in movies]
    if not documents:
        return 0
    try:
        inserted = Movie._get_collection().insert_many(documents, ordered=False).inserted_ids
    except BulkWriteError as error:
        if any(each["code"] != DUPLICATE_KEY for each in error.details["writeErrors"]):
            raise
        return int(error.details["nInserted"])
    return len(inserted)


def _document(owner_id: str, name: str, casts: list[str], genres: list[str]) -> dict[str, Any]:
    return {**_forms(name), "casts": casts, "genres": genres, "added_by": owner_id}


def _forms(name: str) -> dict[str, str]:
    return {"name": name, "key": _key(name), "folded": name.casefold()}


def _key(name: str) -> str:
    return f"={name}"
