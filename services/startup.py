"""Opening the database and checking what is stored, at the start or when a command runs."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flask import Flask

from config import DEVELOPMENT
from database import migrations
from database.db import DATABASE_ERRORS, is_connected, reconnect
from database.startup import open_database
from services import secret_service, settings_changes
from setting_sources import SettingsError

logger = logging.getLogger(__name__)


def open_current_database(app: Flask, is_server: bool = False) -> None:
    """Open the database and see that its documents are of this version: development upgrades them.

    The start of a server in production records which settings were changed since the last one.

    Raises:
        SettingsError: as open_database; the key of a stored secret is missing; in production, an
            upgrade is due.
    """
    is_first = not is_connected()
    open_database(app)
    _check_documents(app.config)
    if is_server and app.config["APP_ENV"] != DEVELOPMENT:  # it makes a new MONGODB_URI each time
        with app.app_context(), suppress(*DATABASE_ERRORS):  # the check of documents has said it
            settings_changes.record_changes(app.config)
    if is_first:  # gunicorn --preload forks after this, and the client has opened a connection
        reconnect(app)


def open_database_of_any_version(app: Flask) -> None:
    """Open the database to check or upgrade it.

    Raises:
        SettingsError: as open_database; the key of a stored secret is missing.
    """
    open_database(app)
    with suppress(*DATABASE_ERRORS):  # the command that runs now meets the same
        secret_service.require_keys(app.config["SECRETS_KEYS"])


def _check_documents(config: Mapping[str, Any]) -> None:
    try:
        is_due = migrations.count_due() > 0
        secret_service.require_keys(config["SECRETS_KEYS"])
    except DATABASE_ERRORS as error:
        # Nobody can tell: the start goes on, and requests get 503 as usual.
        logger.warning("Can't check the stored documents: %s", error)
        return
    if is_due and config["APP_ENV"] != DEVELOPMENT:
        message = f"Its documents need an upgrade: see CHANGELOG.md, then run {migrations.COMMAND}"
        raise SettingsError({"MONGODB_URI": [message]})
    if is_due:
        migrations.upgrade()
