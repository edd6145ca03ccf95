"""The connection to MongoDB, and the indexes the product relies on."""

import atexit
import threading

from flask import Flask
from mongoengine import connect

from database.embedded import EmbeddedDatabase
from database.models import DOCUMENTS

DATABASE_NAME = "movie-bag"
# Milliseconds for one operation, and of it for finding a server; then the answer is a 503.
TIMEOUTS = {"timeoutMS": 5000, "serverSelectionTimeoutMS": 5000}

_indexed = threading.Event()


def initialize_db(app: Flask) -> None:
    """Name the database that app works on: MONGODB_URI, or an embedded one in DATA_DIR.

    The client opens its first connection in the process that uses it: it must not cross a fork.
    """
    uri = app.config["MONGODB_URI"]
    if uri is None:
        embedded = EmbeddedDatabase(app.config["DATA_DIR"])
        uri = embedded.start()
        atexit.register(embedded.stop)
    connect(DATABASE_NAME, host=uri, connect=False, uuidRepresentation="standard", **TIMEOUTS)
    app.before_request(ensure_indexes)


def ensure_indexes() -> None:
    """Create the indexes that are missing, once a process.

    Nothing may be written without them: the unique address is one of them. So a request or
    a batch of mails begins here, and fails with pymongo's error while the database is away.
    """
    if not _indexed.is_set():
        for document in DOCUMENTS:
            document.ensure_indexes()
        _indexed.set()
