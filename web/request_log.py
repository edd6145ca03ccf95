"""What is noted of each request: a line in the log and a count; its id goes into the response."""

import logging
import time
from http import HTTPMethod

from flask import Flask, Response, current_app, g, request

from infra import metrics
from infra.logging import request_id
from services.session_grace import USER_AGENT_CHARACTERS

METHODS = {method.value for method in HTTPMethod}
# Load balancers send these every few seconds.
PROBES = {"/healthz", "/readyz"}

logger = logging.getLogger(__name__)


def initialize_request_log(app: Flask) -> None:
    """Log every request; comes first, so that the time includes all other hooks."""
    app.before_request(_start)
    app.after_request(_log)


def _start() -> None:
    g.started_at = time.perf_counter()
    g.client_ip = request.remote_addr
    g.user_agent = request.headers.get("User-Agent", "")[:USER_AGENT_CHARACTERS]


def _log(response: Response) -> Response:
    """Log a request by its URL rule: its path may hold a token."""
    seconds = time.perf_counter() - g.started_at
    method = request.method if request.method in METHODS else "other"
    route, status = str(request.url_rule or "unknown"), response.status_code
    response.headers["X-Request-ID"] = request_id()
    if current_app.config["METRICS_PORT"]:
        metrics.count_request(method, route, status, seconds)
    line = {"method": method, "route": route, "status": status}
    line["duration_ms"] = round(seconds * 1000, 1)
    is_quiet = route in PROBES and status < 400
    level = logging.DEBUG if is_quiet else logging.INFO
    logger.log(level, "%(method)s %(route)s %(status)s %(duration_ms)s ms", line, extra=line)
    return response
