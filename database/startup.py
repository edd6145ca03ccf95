"""Opening the database, which development creates."""

from flask import Flask

from config import DEVELOPMENT
from database.db import initialize_db
from database.embedded.development import prepare_development


def open_database(app: Flask) -> None:
    """Connect app to its database, once; development creates one if there is none.

    Raises:
        SettingsError: MONGODB_URI or DATA_DIR can't be used.
    """
    if "database" in app.extensions:
        return
    if app.config["APP_ENV"] == DEVELOPMENT:
        prepare_development(app.config)
    initialize_db(app)
    app.extensions["database"] = app.config["MONGODB_URI"]
