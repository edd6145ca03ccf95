"""Whether the product can serve, and the gauges that are read at each scrape."""

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pymongo
from flask import Flask, current_app
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from database.db import DATABASE_ERRORS, DATABASE_SECONDS, try_write
from database.models import Job
from infra import metrics
from infra.metrics_server import start_metrics_server
from infra.rate_limiter import RateLimiter
from services.errors import ServiceUnavailableError
from services.mail_queue import SEND_EMAIL
from services.stored_gauges import StoredGauges
from setting_sources import SettingsError

# So often a process tries at most whether the database can be written.
WRITE_SECONDS = 10.0
LATE_SECONDS = 300.0
OK, DELAYED = "ok", "delayed"
# The gauges and what Prometheus shows about them. These are missing while the database is away.
QUEUE_GAUGES = {
    "movie_bag_queued_emails": "Queued emails.",
    "movie_bag_failed_emails": "Emails that are kept because they failed.",
    "movie_bag_oldest_queued_email_seconds": "Seconds for which the oldest email has been queued.",
    "movie_bag_mail_delayed": "1 while an email has been waiting for the mail server"
    " for 5 minutes.",
}
PROCESS_GAUGES = {
    "movie_bag_database_writable": "1 while the database can be written.",
    "movie_bag_limits_off": "1 while every request is allowed: limits are off, or their storage"
    " is away.",
}

logger = logging.getLogger(__name__)


class WriteCheck:
    """Whether the database can be written: tried now and then, by one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tried_at = float("-inf")  # a time.monotonic()
        self._is_writable = True

    def is_writable(self) -> bool:
        """Return whether a small write succeeded, at most WRITE_SECONDS ago."""
        with self._lock:
            if time.monotonic() - self._tried_at >= WRITE_SECONDS:
                self._is_writable = self._try()
                self._tried_at = time.monotonic()
            return self._is_writable

    def _try(self) -> bool:
        try:
            with pymongo.timeout(DATABASE_SECONDS):
                try_write()
        except DATABASE_ERRORS as error:
            logger.warning("The database can't be written: %s", error)
            return False
        return True


def _write_check(app: Flask) -> WriteCheck:
    check: WriteCheck = app.extensions.setdefault("write_check", WriteCheck())
    return check


def check() -> dict[str, str]:
    """Return the state of the database and of the mail server.

    Only the database decides whether requests can be served: an email waits for its server.

    Raises:
        ServiceUnavailableError: the database can't be read or written; `errors` says which.
    """
    try:
        mail = DELAYED if is_mail_delayed() else OK
    except DATABASE_ERRORS as error:
        logger.warning("Not ready: database: %s", error)
        raise _not_ready("It doesn't answer.") from None
    if not _write_check(current_app).is_writable():
        raise _not_ready("It can't be written.")
    return {"database": OK, "mail": mail}


def _not_ready(reason: str) -> ServiceUnavailableError:
    metrics.UNAVAILABLE.labels(metrics.DATABASE).inc()
    return ServiceUnavailableError(errors={"database": [reason]})


def is_mail_delayed() -> bool:
    """Return whether an email has been waiting for the mail server for LATE_SECONDS.

    An email whose recipient delays it does not count.

    Raises:
        PyMongoError: within DATABASE_SECONDS.
    """
    waiting = {"waits_for_service": True, "created_at__lt": time.time() - LATE_SECONDS}
    with pymongo.timeout(DATABASE_SECONDS):
        return _emails(Job.QUEUED)(**waiting).only("id").first() is not None


def oldest_email_age() -> float:
    """Return for how many seconds the oldest email has been queued, 0 if there is none.

    Raises:
        PyMongoError: within DATABASE_SECONDS.
    """
    with pymongo.timeout(DATABASE_SECONDS):
        oldest = _emails(Job.QUEUED).order_by("created_at").only("created_at").first()
    return max(time.time() - oldest.created_at, 0.0) if oldest else 0.0


def count_emails(state: str) -> int:
    """Return how many emails are in a state, counted in an index; raises as oldest_email_age."""
    with pymongo.timeout(DATABASE_SECONDS):
        return int(_emails(state).count())


def _emails(state: str) -> Any:
    return Job.objects(state=state, kind=SEND_EMAIL)


def start_metrics(app: Flask) -> None:
    """Serve metrics on METRICS_HOST and METRICS_PORT if it is set; call it after any fork.

    Raises:
        SettingsError: the port can't be used.
    """
    host, port = app.config["METRICS_HOST"], app.config["METRICS_PORT"]
    if not port:
        return
    kinds = (kind for worker in app.extensions["workers"].values() for kind in worker.handlers)
    metrics.start_at_zero(kinds, _routes(app))
    try:
        start_metrics_server(host, port, Gauges(app))
    except OSError as error:
        raise SettingsError(
            {"METRICS_PORT": [f"Can't listen on {host}:{port}: {error}."]}
        ) from None


def _routes(app: Flask) -> Iterator[tuple[str, str]]:
    """Yield method and route of every request that has a view."""
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield method, rule.rule


class QueueGauges(Collector):
    """The metrics of the queue, read from the database at each scrape."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield size and age, or nothing while the database is away: the other metrics are true."""
        try:
            queued, failed = count_emails(Job.QUEUED), count_emails(Job.FAILED)
            age, is_delayed = oldest_email_age(), is_mail_delayed()
        except DATABASE_ERRORS:
            return
        yield _gauge("movie_bag_queued_emails", queued)
        yield _gauge("movie_bag_failed_emails", failed)
        yield _gauge("movie_bag_oldest_queued_email_seconds", age)
        yield _gauge("movie_bag_mail_delayed", is_delayed)


class Gauges(Collector):
    """Every gauge. Each process reads them itself, so that none remains of one that has ended."""

    def __init__(self, app: Flask) -> None:
        self._write_check = _write_check(app)
        self._stored = StoredGauges(app.config["BCRYPT_LOG_ROUNDS"])
        self._limits_enabled = app.config["RATELIMIT_ENABLED"]
        self._limiter: RateLimiter = app.extensions["rate_limiter"]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield all gauges; those read from the database are missing while it is away."""
        yield from QueueGauges().collect()
        yield from self._stored.collect()
        yield _gauge("movie_bag_database_writable", self._write_check.is_writable())
        is_off = not self._limits_enabled or self._limiter.is_off()
        yield _gauge("movie_bag_limits_off", is_off)


def _gauge(name: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, (QUEUE_GAUGES | PROCESS_GAUGES)[name], value=value)
