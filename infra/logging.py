"""The log: text in development, a JSON object per line in production; one id per request."""

import logging
import re
import secrets
import time

from flask import g, has_request_context, request
from pythonjsonlogger.orjson import OrjsonFormatter

from config import PRODUCTION

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Messages of Flask, waitress and gunicorn about a request that failed: the rest is what the client
# sent, and a path may hold a token.
BEFORE_PATH = re.compile(
    r"(Exception on|(?:Exception|Client disconnected) while serving"
    r"|Error handling request|Invalid request from ip=\S+?):? "
)
# What the names of their loggers begin with: Flask's has the name of its application's module.
OTHERS = ("app", "waitress", "gunicorn")
TEXT = "%(asctime)s %(levelname)s %(request_id)s %(message)s"
FIELDS = ["asctime", "levelname", "name", "message"]
NAMES = {"asctime": "time", "levelname": "level", "name": "logger", "exc_info": "traceback"}


class JsonLines(OrjsonFormatter):
    """A JSON object per line, with the `extra` of the call; times are ISO 8601 in UTC."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


def initialize_logging(env: str) -> None:
    """Log to standard error in the format of APP_ENV, unless logging is already configured."""
    handler = configure_handler(logging.StreamHandler(), env)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(env == PRODUCTION)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # its access log prints paths


def configure_handler(handler: logging.Handler, env: str) -> logging.Handler:
    """Give a handler the format of APP_ENV and the filters of every line; return it."""
    if env == PRODUCTION:
        handler.setFormatter(JsonLines(FIELDS, rename_fields=NAMES))
    else:
        handler.setFormatter(logging.Formatter(TEXT, defaults={"request_id": "-"}))
    handler.addFilter(_add_request_id)
    handler.addFilter(_remove_path)
    return handler


def request_id() -> str:
    """Return the id of the current request: its X-Request-ID if well-formed, else a new one."""
    if "request_id" not in g:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    return str(g.request_id)


def _add_request_id(record: logging.LogRecord) -> bool:
    if has_request_context():
        record.request_id = request_id()
    return True


def _remove_path(record: logging.LogRecord) -> bool:
    if record.name.partition(".")[0] not in OTHERS:
        return True
    if found := BEFORE_PATH.match(record.getMessage()):
        record.msg, record.args = found[1], ()
    return True
