"""What is noted of each request: a line in the log, a count; and its id goes with the answer."""

import logging
import time
from http import HTTPMethod

from flask import Flask, Response, current_app, g, request

from logs import request_id
from services import metrics

METHODS = {method.value for method in HTTPMethod}
# Load balancers ask every few seconds: lines about that would drown the rest.
PROBES = {"/healthz", "/readyz"}

logger = logging.getLogger(__name__)


def initialize_access(app: Flask) -> None:
    """Note every request; comes first, so that what else is done before and after counts in."""
    app.before_request(_begin)
    app.after_request(_note)


def _begin() -> None:
    g.began = time.perf_counter()


def _note(response: Response) -> Response:
    """Note a request by its route: its path may hold a token."""
    seconds = time.perf_counter() - g.began
    method = request.method if request.method in METHODS else "other"
    route, status = str(request.url_rule or "unknown"), response.status_code
    response.headers["X-Request-ID"] = request_id()
    if current_app.config["METRICS_PORT"]:
        metrics.count_request(method, route, status, seconds)
    facts = {"method": method, "route": route, "status": status}
    facts["duration_ms"] = round(seconds * 1000, 1)
    quiet = route in PROBES and response.status_code < 400
    level = logging.DEBUG if quiet else logging.INFO
    logger.log(level, "%(method)s %(route)s %(status)s %(duration_ms)s ms", facts, extra=facts)
    return response
