"""Opening the database: before the first request, or when a command runs."""

from flask import Flask

from config import DEVELOPMENT
from database.db import initialize_db, is_connected, reconnect
from database.embedded.development import prepare_development
from database.migrations import is_upgrade_due, require_current_version, upgrade


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


def open_current_database(app: Flask) -> None:
    """Open the database and see that its documents are of this version: development upgrades them.

    Raises:
        SettingsError: as open_database, and in production if an upgrade is due.
    """
    is_first = not is_connected()
    open_database(app)
    if app.config["APP_ENV"] != DEVELOPMENT:
        require_current_version()
    elif is_upgrade_due():
        upgrade()
    if is_first:  # gunicorn --preload forks after this, and the client has opened a connection
        reconnect(app)
