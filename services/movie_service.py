"""The bag of movies."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from bson import ObjectId
from mongoengine import NotUniqueError

from database.db import ensure_indexes
from database.documents import ADDED_MEANWHILE
from database.models import Job, Movie, Stored, User
from jobs.errors import RetryLater
from jobs.queue import LEASE_SECONDS
from jobs.worker import Handle
from services import errors

# The kind of job that delete_movies handles.
DELETE_MOVIES = "delete_movies"


def find(
    limit: int, after: str | None = None, genre: str | None = None, q: str | None = None
) -> Iterator[Stored]:
    """Return movies by name as stored; `q` is matched literally, in any case.

    They begin after the name `after`: the index finds any place at the same cost.
    """
    query: Stored = {"name": {"$gt": after}} if after else {}
    if genre:
        query["genres"] = genre
    if q:
        query["name_casefold"] = {"$regex": re.escape(q.casefold())}
    return Movie.find_page(query, limit)


def get(movie_id: str) -> Movie:
    """Return the movie with this id; raises MovieNotExistsError."""
    movie: Movie | None = None
    if ObjectId.is_valid(movie_id):
        movie = Movie.objects(id=movie_id).first()
    if movie is None:
        raise errors.MovieNotExistsError
    return movie


def add(user: User, name: str, casts: list[str], genres: list[str]) -> Movie:
    """Add a movie of user.

    Raises:
        MovieAlreadyExistsError
        SessionEndedError: the user was deleted meanwhile.
    """
    ensure_indexes(Movie)
    movie = Movie(**_to_store(str(user.id), name, casts, genres))
    try:
        movie.save(force_insert=True)
    except NotUniqueError:
        raise errors.MovieAlreadyExistsError from None
    if User.objects(id=user.id).only("id").first() is None:
        movie.delete()
        raise errors.SessionEndedError
    return movie


def update(user: User, movie_id: str, **fields: Any) -> None:
    """Change name, casts or genres of a movie that user added.

    Raises:
        SchemaValidationError: a read-only field is not as it is stored.
        MovieNotExistsError, UpdatingMovieError, MovieAlreadyExistsError
    """
    movie = get(movie_id)
    if movie.added_by != str(user.id):
        raise errors.UpdatingMovieError
    fields = _without_read_only(movie, fields)
    if "name" in fields:
        fields["name_casefold"] = fields["name"].casefold()
    try:
        if fields and not Movie.objects(id=movie.id).update_one(**fields):
            raise errors.MovieNotExistsError
    except NotUniqueError:
        raise errors.MovieAlreadyExistsError from None


def _without_read_only(movie: Movie, fields: Stored) -> Stored:
    """Return fields without those that can't change; raises SchemaValidationError if they would."""
    stored = {"_id": str(movie.id), "id": str(movie.id), "added_by": movie.added_by}
    wrong = [name for name in fields if fields[name] != stored.get(name, fields[name])]
    if wrong:
        raise errors.SchemaValidationError(dict.fromkeys(wrong, ["Can't be changed."]))
    return {name: value for name, value in fields.items() if name not in stored}


def delete(user: User, movie_id: str) -> None:
    """Delete a movie that user added, or any movie for an admin.

    Raises:
        MovieNotExistsError, DeletingMovieError
    """
    movie = get(movie_id)
    if movie.added_by != str(user.id) and not user.is_admin:
        raise errors.DeletingMovieError
    movie.delete()


def add_new(owner_id: str, movies: Iterable[dict[str, Any]]) -> int:
    """Add the movies whose names are not taken; return how many those were."""
    ensure_indexes(Movie)
    documents = [_to_store(owner_id, **movie) for movie in movies]
    return Movie.insert_new(documents) if documents else 0


def _to_store(owner_id: str, name: str, casts: list[str], genres: list[str]) -> Stored:
    lists = {"casts": casts, "genres": genres}
    return {"name": name, "name_casefold": name.casefold(), **lists, "added_by": owner_id}


@contextmanager
def delete_movies() -> Iterator[Handle]:
    """Handle jobs of kind delete_movies: delete what a deleted user still has.

    That was movies alone once, and jobs of earlier versions have this name.
    """
    yield _delete_movies_of


def _delete_movies_of(job: Job) -> bool:
    user_id = job.arguments["user_id"]
    if User.objects(id=user_id).only("id").first() is None:
        for documents in ADDED_MEANWHILE:
            documents.delete_all(User(id=user_id))
        return True
    if job.age < LEASE_SECONDS:  # the deletion of the user may still be going on
        raise RetryLater("the user still exists")
    return False
