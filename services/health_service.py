"""Whether the product can serve, and how many emails are queued."""

import logging
import time
from collections.abc import Iterator
from typing import Any

import pymongo
from flask import Flask
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from config import SettingsError
from database.db import DATABASE_ERRORS
from database.models import Job
from infra.metrics_server import start_metrics_server
from services.errors import ServiceUnavailableError
from services.mail_service import SEND_EMAIL

# A health check must not wait as long as a user.
DATABASE_SECONDS = 2.0
LATE_SECONDS = 300.0
# A longer queue counts as this long: to count it would cost the database more than it tells.
MAX_COUNTED = 1_000

logger = logging.getLogger(__name__)


def check() -> None:
    """Check that the database answers and that no email has been queued for LATE_SECONDS.

    Raises:
        ServiceUnavailableError: `errors` says what is missing.
    """
    try:
        late = oldest_email_age() > LATE_SECONDS
    except DATABASE_ERRORS as error:
        logger.warning("Not ready: database: %s", error)
        raise ServiceUnavailableError(errors={"database": ["It doesn't answer."]}) from None
    if late:
        sentence = f"The oldest has been waiting for over {LATE_SECONDS / 60:.0f} minutes."
        raise ServiceUnavailableError(errors={"mail": [sentence]})


def oldest_email_age() -> float:
    """Return for how many seconds the oldest email has been queued, 0 if there is none.

    Raises:
        PyMongoError: within DATABASE_SECONDS.
    """
    with pymongo.timeout(DATABASE_SECONDS):
        oldest = _queued_emails().order_by("created_at").only("created_at").first()
    return max(time.time() - oldest.created_at, 0.0) if oldest else 0.0


def count_queued_emails() -> int:
    """Return how many emails are queued, at most MAX_COUNTED; raises like oldest_email_age."""
    with pymongo.timeout(DATABASE_SECONDS):
        return sum(1 for _ in _queued_emails().only("id").limit(MAX_COUNTED).as_pymongo())


def _queued_emails() -> Any:
    return Job.objects(state=Job.QUEUED, kind=SEND_EMAIL)


def start_metrics(app: Flask) -> None:
    """Serve metrics on METRICS_PORT if it is set; call it after any fork.

    Raises:
        SettingsError: the port can't be used.
    """
    host, port = app.config["HOST"], app.config["METRICS_PORT"]
    try:
        if port:
            start_metrics_server(host, port, QueueGauges())
    except OSError as error:
        raise SettingsError({"METRICS_PORT": [str(error)]}) from None


class QueueGauges(Collector):
    """The metrics of the queue, read from the database at each scrape."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield size and age, or nothing while the database is away: the other metrics are true."""
        try:
            count, age = count_queued_emails(), oldest_email_age()
        except DATABASE_ERRORS:
            return
        about = f"Queued emails, at most {MAX_COUNTED}."
        yield GaugeMetricFamily("movie_bag_queued_emails", about, value=count)
        about = "Seconds for which the oldest email has been queued."
        yield GaugeMetricFamily("movie_bag_oldest_queued_email_seconds", about, value=age)
