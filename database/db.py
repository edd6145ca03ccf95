"""The connection to MongoDB, and the indexes that the product relies on."""

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any

import pymongo
from flask import Flask
from mongoengine import Document, OperationError, connect, disconnect
from mongoengine.connection import ConnectionFailure, get_connection, get_db
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, ConfigurationError, DuplicateKeyError, PyMongoError

from setting_sources import SettingsError

DATABASE_NAME = "movie-bag"
# A whole operation, finding a server, and, where the first does not count, one step of it.
TIMEOUTS = ("timeoutMS", "serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS")
# A health check must not wait as long as a user.
DATABASE_SECONDS = 2.0
DUPLICATE_KEY = 11000
BATCH_SIZE = 500
# mongoengine wraps some of pymongo's errors.
DATABASE_ERRORS = (PyMongoError, OperationError)

_indexed: set[type[Document]] = set()


def initialize_db(app: Flask) -> None:
    """Connect app to MONGODB_URI.

    An operation that takes longer than MONGODB_TIMEOUT raises one of DATABASE_ERRORS. The client
    opens its first connection in the process that uses it, because it must not cross a fork.

    Raises:
        SettingsError: the URI can't be read.
    """
    options = dict.fromkeys(TIMEOUTS, 1000 * app.config["MONGODB_TIMEOUT"])
    uri = app.config["MONGODB_URI"]
    try:
        connect(DATABASE_NAME, host=uri, connect=False, uuidRepresentation="standard", **options)
    except (ConfigurationError, ConnectionFailure, ValueError):
        # The text of the error may have a part of the password.
        raise SettingsError({"MONGODB_URI": ["Can't be read, or has an unknown host."]}) from None


def without_credentials(uri: str) -> str:
    """Return a URI without user, password and options."""
    scheme, _, location = uri.partition("://")
    return f"{scheme}://{location.rpartition('@')[2].partition('?')[0]}"


def is_connected() -> bool:
    """Return whether this process has connected an app."""
    try:
        get_connection()
    except ConnectionFailure:
        return False
    return True


def reconnect(app: Flask) -> None:
    """Connect app by a client that has not opened a connection yet."""
    disconnect()
    initialize_db(app)


def rare(*fields: str) -> list[dict[str, Any]]:
    """Return an index of each field, for mongoengine, without the documents that lack the field."""
    return [{"fields": [field], "sparse": True} for field in fields]


def ensure_indexes(document: type[Document]) -> None:
    """Create the missing indexes of a document class, once per process.

    What relies on an index calls this first: signup on the unique email, the worker on its order.

    Raises:
        PyMongoError, OperationError: the database is away, or still builds the index.
    """
    if document not in _indexed:
        with without_time_limit():
            document.ensure_indexes()
        _indexed.add(document)


def try_write() -> None:
    """Write a small document, always the same one; raises one of DATABASE_ERRORS."""
    with suppress(DuplicateKeyError):  # another process has just inserted it
        written = {"$set": {"written_at": time.time()}}
        get_db()["write_check"].update_one({"_id": "current"}, written, upsert=True)


def insert_missing(collection: Collection[Any], documents: list[dict[str, Any]]) -> int:
    """Insert the documents that no unique index rejects; return the number inserted."""
    try:
        return len(collection.insert_many(documents, ordered=False).inserted_ids)
    except BulkWriteError as error:
        if any(failure["code"] != DUPLICATE_KEY for failure in error.details["writeErrors"]):
            raise
        return int(error.details["nInserted"])


def read_batches(
    collection: Collection[Any], fields: Iterable[str] | None = None
) -> Iterator[list[dict[str, Any]]]:
    """Yield all documents by `_id`, or some fields of each.

    No batch takes as long as MONGODB_TIMEOUT, however many documents there are.
    """
    following: dict[str, Any] = {}
    while batch := list(collection.find(following, fields, sort=[("_id", 1)], limit=BATCH_SIZE)):
        yield batch
        following = {"_id": {"$gt": batch[-1]["_id"]}}


def read_all(document: type[Document], *fields: str) -> Iterator[dict[str, Any]]:
    """Yield some fields of every document of a class, in the order in which they were created."""
    for batch in read_batches(document._get_collection(), fields):
        yield from batch


def without_time_limit() -> AbstractContextManager[None]:
    """Send no maxTimeMS while an index is built; the client still waits only MONGODB_TIMEOUT.

    MongoDB abandons a build whose maxTimeMS is over, at every attempt again. It completes a build
    whose client has gone: the next attempt finds it done or waits for it.
    """
    return pymongo.timeout(0)
