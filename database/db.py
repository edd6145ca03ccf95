"""The connection to MongoDB, and the indexes the product relies on."""

import atexit
import secrets
from contextlib import AbstractContextManager

import pymongo
from flask import Flask
from mongoengine import Document, OperationError, connect
from mongoengine.connection import ConnectionFailure, get_db
from pymongo.errors import ConfigurationError, PyMongoError

from config import SettingsError
from database.embedded import EmbeddedDatabase
from database.models import Movie

DATABASE_NAME = "movie-bag"
# The whole of an operation; finding a server; where the first does not count, a step of it.
TIMEOUTS = ("timeoutMS", "serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS")

# mongoengine wraps some of pymongo's.
DATABASE_ERRORS = (PyMongoError, OperationError)

GENRE_KEYS, GENRE_INDEX = [("genres", 1), ("key", 1)], "genres_key"

_indexed: set[type[Document]] = set()


def initialize_db(app: Flask) -> None:
    """Name the database that app works on: MONGODB_URI, or an embedded one in DATA_DIR.

    What is not done within MONGODB_TIMEOUT raises one of DATABASE_ERRORS. The client opens its
    first connection in the process that uses it: it must not cross a fork.
    Raises SettingsError for a URI that can't be read or a DATA_DIR that can't be used.
    """
    uri = app.config["MONGODB_URI"]
    if uri is None:
        embedded = EmbeddedDatabase(app.config["DATA_DIR"])
        try:
            uri = embedded.start()
        except OSError as error:
            raise SettingsError({"DATA_DIR": [str(error)]}) from None
        atexit.register(embedded.stop)
    options = dict.fromkeys(TIMEOUTS, 1000 * app.config["MONGODB_TIMEOUT"])
    try:
        connect(DATABASE_NAME, host=uri, connect=False, uuidRepresentation="standard", **options)
    except (ConfigurationError, ConnectionFailure, ValueError) as error:
        raise SettingsError({"MONGODB_URI": [str(error)]}) from None


def ensure_indexes(document: type[Document]) -> None:
    """Create the indexes of a kind of document that are missing, once a process.

    Whatever counts on one begins here: a signup on the unique address, the outbox on its order.
    Raises one of DATABASE_ERRORS while the database is away, or not done with an index yet.
    """
    if document not in _indexed:
        with unlimited():
            document.ensure_indexes()
        if document is Movie:
            _ensure_genre_index()
        _indexed.add(document)


def unlimited() -> AbstractContextManager[None]:
    """Tell the server of no limit while an index is built; we wait MONGODB_TIMEOUT all the same.

    A build whose limit (maxTimeMS) is over is given up by the server, at 5 s and at every try
    again. One whose client has gone is not: the next try finds it done, or waits for it.
    """
    return pymongo.timeout(0)


def _ensure_genre_index() -> None:
    movies = Movie._get_collection()
    if GENRE_INDEX not in movies.index_information() and finds_by_array_index():
        with unlimited():
            movies.create_index(GENRE_KEYS, name=GENRE_INDEX)


def finds_by_array_index() -> bool:
    """Try whether the server finds what an array holds by an index: the embedded one does not."""
    documents = get_db()[f"try_{secrets.token_hex(4)}"]
    with pymongo.timeout(get_db().client.options.timeout):  # one for all: the drop waits no second
        try:
            documents.create_index(GENRE_KEYS)
            documents.insert_one({"genres": ["Drama", "Crime"], "key": "=M"})
            return documents.find_one({"genres": "Crime"}) is not None
        finally:
            documents.drop()
