"""create_app: the one place where everything meets."""

import logging
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, request

from cli import initialize_commands
from config import MAX_BODY_BYTES, load_settings
from database.db import initialize_db
from resources.errors import initialize_errors
from resources.routes import initialize_routes
from services.mail_service import mail
from services.outbox import Outbox
from services.password_service import bcrypt
from services.token_service import jwt

FIXED = {
    "MAX_CONTENT_LENGTH": MAX_BODY_BYTES + 1,  # chunks are cut there: one more tells of more
    "JWT_ENCODE_NBF": False,
    "JWT_COOKIE_CSRF_PROTECT": False,  # tokens travel in a header: no cookie, no CSRF
}

logger = logging.getLogger(__name__)


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Return the application; config wins over the environment and .env.

    Raises SettingsError when a setting is missing or can't be read.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    app = Flask(__name__)
    app.config.update({**(config or {}), **load_settings(config), **FIXED})
    bcrypt.init_app(app)
    jwt.init_app(app)
    mail.init_app(app)
    Outbox(app)
    initialize_db(app)
    initialize_errors(app)
    initialize_routes(app)
    initialize_commands(app)
    app.after_request(log_request)
    return app


def log_request(response: Response) -> Response:
    """Log a request by its route: its path may hold a token."""
    logger.info("%s %s %s", request.method, request.url_rule or "-", response.status_code)
    return response
