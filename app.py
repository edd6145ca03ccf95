"""create_app: builds the application from its parts."""

import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

import click
from flask import Flask
from flask.cli import FlaskGroup

from commands.registry import initialize_commands
from config import MAX_BODY_BYTES, load_settings
from infra.logging import initialize_logging
from jobs.worker import Worker
from jobs.workers import Workers
from resources.routes import initialize_routes
from services import event_service, expiry_service, mail_queue, mail_service, movie_service
from services.health_service import start_metrics
from services.languages import initialize_languages
from services.mail_templates import initialize_mail_templates
from services.rate_limit_service import initialize_rate_limits
from services.settings_warnings import log_warnings
from services.startup import open_current_database
from services.webhook_service import SEND_WEBHOOK, WEBHOOKS, send_webhook
from web.client_ip import initialize_client_ip
from web.errors import initialize_errors
from web.headers import initialize_cors, initialize_headers
from web.jwt import initialize_jwt
from web.languages import select_locale
from web.request_log import initialize_request_log

JOB_HANDLERS = {
    mail_queue.SEND_EMAIL: mail_service.send_email,
    movie_service.DELETE_MOVIES: movie_service.delete_movies,
    event_service.STORE_EVENT: event_service.store_deferred,
}
UNNEEDED_JOBS = {mail_queue.SEND_EMAIL: mail_queue.find_unneeded}


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Return the application; config wins over the environment and .env.

    Raises:
        SettingsError: a setting is missing or can't be used.
    """
    app = Flask(__name__)
    _load_config(app, config or {})
    initialize_request_log(app)
    _initialize_background(app)
    initialize_rate_limits(app)
    if not _is_command_lookup():
        open_current_database(app, is_server=True)
    initialize_jwt(app)
    initialize_errors(app)
    initialize_headers(app)
    initialize_cors(app)
    initialize_routes(app)
    initialize_languages(app, select_locale)
    initialize_mail_templates(app)
    initialize_commands(app)
    initialize_client_ip(app)
    return app


def _load_config(app: Flask, config: Mapping[str, Any]) -> None:
    # load_settings checks the settings in config; it may hold Flask's own besides.
    app.config.update({**config, **load_settings(config)})
    # A chunked body is cut off there: one byte more shows web.body that it is too long.
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1
    initialize_logging(app.config["APP_ENV"])
    log_warnings(app.config)


def _initialize_background(app: Flask) -> None:
    mail_service.mail.init_app(app)
    sweep = expiry_service.delete_expired
    app.extensions["worker"] = Worker(app, JOB_HANDLERS, UNNEEDED_JOBS, sweep)
    app.extensions["workers"] = Workers({None: app.extensions["worker"]})
    if app.config["WEBHOOK_URLS"]:
        handlers = {SEND_WEBHOOK: send_webhook}
        app.extensions["workers"][WEBHOOKS] = Worker(app, handlers, {}, queue_name=WEBHOOKS)
    app.before_request(app.extensions["workers"].start)  # for `flask run`; servers start it earlier
    # Called by run.py and gunicorn.conf.py, after any fork.
    app.extensions["start_metrics"] = partial(start_metrics, app)


def _is_command_lookup() -> bool:
    """Return whether `flask user …` loads the app only to find the command.

    click's current command is the group of all commands until it has found the one to run. That one
    opens the database itself (commands/group.py).
    """
    context = click.get_current_context(silent=True)
    return context is not None and isinstance(context.command, FlaskGroup)


if __name__ == "__main__":
    sys.exit("Type: python run.py (or make run)")
