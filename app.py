"""create_app: the one place where everything meets."""

from collections.abc import Mapping
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from cli import initialize_commands
from config import MAX_BODY_BYTES, load_settings
from database.db import initialize_db
from logs import initialize_logs
from resources.access import initialize_access
from resources.errors import initialize_errors
from resources.headers import initialize_cors, initialize_headers
from resources.routes import initialize_routes
from services.exporter import Exporter
from services.limits import initialize_limits
from services.mail_service import mail
from services.outbox import Outbox
from services.password_service import bcrypt
from services.token_service import jwt

FIXED = {
    "MAX_CONTENT_LENGTH": MAX_BODY_BYTES + 1,  # chunks are cut there: one more tells of more
    "JWT_ENCODE_NBF": False,
    "JWT_COOKIE_CSRF_PROTECT": False,  # tokens travel in a header: no cookie, no CSRF
}


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Return the application; config wins over the environment and .env.

    Raises SettingsError when a setting is missing or can't be read.
    """
    app = Flask(__name__)
    app.config.update({**(config or {}), **load_settings(config), **FIXED})
    initialize_logs(app.config["APP_ENV"])
    initialize_access(app)
    bcrypt.init_app(app)
    jwt.init_app(app)
    mail.init_app(app)
    Outbox(app)
    Exporter(app)
    initialize_limits(app)
    initialize_db(app)
    initialize_errors(app)
    initialize_headers(app)
    initialize_cors(app)
    initialize_routes(app)
    initialize_commands(app)
    if proxies := app.config["TRUSTED_PROXIES"]:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=0, x_host=0)  # type: ignore[method-assign]
    return app
