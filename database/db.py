"""The connection to MongoDB, and the indexes the product relies on."""

import atexit
import secrets
import threading

from flask import Flask
from mongoengine import OperationError, connect
from mongoengine.connection import get_db
from pymongo.errors import ConfigurationError, PyMongoError

from config import SettingsError
from database.embedded import EmbeddedDatabase
from database.models import DOCUMENTS, Movie

DATABASE_NAME = "movie-bag"
# Milliseconds for one operation, and of it for finding a server; then the answer is a 503.
TIMEOUTS = {"timeoutMS": 5000, "serverSelectionTimeoutMS": 5000}

# mongoengine wraps some of pymongo's.
DATABASE_ERRORS = (PyMongoError, OperationError)

GENRE_KEYS, GENRE_INDEX = [("genres", 1), ("key", 1)], "genres_key"

_indexed = threading.Event()


def initialize_db(app: Flask) -> None:
    """Name the database that app works on: MONGODB_URI, or an embedded one in DATA_DIR.

    The client opens its first connection in the process that uses it: it must not cross a fork.
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
    try:
        connect(DATABASE_NAME, host=uri, connect=False, uuidRepresentation="standard", **TIMEOUTS)
    except (ConfigurationError, ValueError) as error:
        raise SettingsError({"MONGODB_URI": [str(error)]}) from None


def ensure_indexes() -> None:
    """Create the indexes that are missing, once a process.

    Whatever counts on one begins here: a signup on the unique address, the outbox on its order.
    Raises one of DATABASE_ERRORS while the database is away.
    """
    if not _indexed.is_set():
        for document in DOCUMENTS:
            document.ensure_indexes()
        movies = Movie._get_collection()
        if GENRE_INDEX not in movies.index_information() and finds_by_array_index():
            movies.create_index(GENRE_KEYS, name=GENRE_INDEX)
        _indexed.set()


def finds_by_array_index() -> bool:
    """Try whether the server finds what an array holds by an index: the embedded one does not."""
    documents = get_db()[f"try_{secrets.token_hex(4)}"]
    try:
        documents.create_index(GENRE_KEYS)
        documents.insert_one({"genres": ["Drama", "Crime"], "key": "=M"})
        return documents.find_one({"genres": "Crime"}) is not None
    finally:
        documents.drop()
