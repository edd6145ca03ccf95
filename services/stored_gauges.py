"""The gauges of what is stored: migrations that are due, and hashes that the next login replaces.

The hashes are counted in an index, which reads an entry for each of them: not at every scrape.
"""

import logging
import time
from collections.abc import Iterator

import pymongo
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from database import migrations, old_hashes
from database.db import DATABASE_ERRORS, DATABASE_SECONDS

# So often a process counts at most.
COUNT_SECONDS = 300.0
# What the label `kind` says of a bcrypt hash of ours.
OWN = "own"
MIGRATIONS_DUE = "movie_bag_migrations_due"
OLD_HASHES = "movie_bag_old_password_hashes"
STORED_GAUGES = {
    MIGRATIONS_DUE: "Migrations that `flask --app app db upgrade` would run.",
    OLD_HASHES: "Users whose hash the next login replaces, counted once in 5 minutes. Its `kind` is"
    f" {OWN} if it is bcrypt of fewer rounds, which are its `cost`; else that of an import.",
}

Counts = dict[tuple[str, str], int]

logger = logging.getLogger(__name__)


class StoredGauges(Collector):
    """The metrics of what is stored, read from the database."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self._counts: Counts | None = None  # None: they could not be counted
        self._counted_at = float("-inf")  # a time.monotonic()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges that could be read: none while the database is away."""
        try:
            with pymongo.timeout(DATABASE_SECONDS):
                due = migrations.count_due()
        except DATABASE_ERRORS:
            return
        yield GaugeMetricFamily(MIGRATIONS_DUE, STORED_GAUGES[MIGRATIONS_DUE], value=due)
        if time.monotonic() - self._counted_at >= COUNT_SECONDS:
            self._counts, self._counted_at = self._count(), time.monotonic()
        if self._counts is not None:
            yield _hashes(self._counts)

    def _count(self) -> Counts | None:
        try:
            with pymongo.timeout(DATABASE_SECONDS):
                own = old_hashes.count_by_rounds(self._rounds)
                foreign = old_hashes.count_by_kind()
        except DATABASE_ERRORS as error:
            logger.warning("The old hashes can't be counted: %s", type(error).__name__)
            return None
        counts = {(OWN, str(rounds)): number for rounds, number in own.items()}
        return counts | {(kind, ""): number for kind, number in foreign.items()}


def _hashes(counts: Counts) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(OLD_HASHES, STORED_GAUGES[OLD_HASHES], labels=("kind", "cost"))
    for labels, number in counts.items():
        gauge.add_metric(labels, number)
    return gauge
