"""Counts of requests in fixed windows, in memory or in a Redis that processes share.

While that Redis is away nothing is counted and every request is allowed (fail open): the cost of
hashing alone slows down guessing.
"""

import logging
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

from limits import RateLimitItem, parse_many
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

# How long a storage that does not answer may delay a request, and how often it is tried again.
TIMEOUT_SECONDS = 0.2
RETRY_SECONDS = 5.0
# A limit that is never exceeded, to find out whether it can be counted.
PROBE = "1000000 per minute"

logger = logging.getLogger(__name__)


@cache
def _parse(limits: str) -> list[RateLimitItem]:
    return list(parse_many(limits))


def is_in_memory(storage_uri: str) -> bool:
    """Return whether each process counts by itself."""
    return storage_uri == "memory://"


class RateLimiter:
    """The counts of an application, in windows that begin with the first request."""

    def __init__(self, storage_uri: str) -> None:
        """Count in storage_uri; raises ValueError if it can't be read."""
        # The library's memory loses some of simultaneous hits; Redis counts each.
        in_memory = is_in_memory(storage_uri)
        timeouts = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), TIMEOUT_SECONDS)
        options: dict[str, Any] = {} if in_memory else timeouts
        storage = storage_from_string(storage_uri, wrap_exceptions=True, **options)
        self._windows = FixedWindowRateLimiter(storage)
        self._lock: AbstractContextManager[object] = (
            threading.Lock() if in_memory else nullcontext()
        )
        self._report_lock = threading.Lock()
        self._away = False
        self._retry_at = 0.0

    def hit(self, limits: str, *key: str) -> int:
        """Count a request against each of limits; return the seconds to wait, 0 if it is allowed.

        It is counted up to the first limit that is exceeded.
        """
        return next((seconds for limit in _parse(limits) if (seconds := self._try(limit, *key))), 0)

    def is_off(self) -> bool:
        """Return whether the storage is away, as a request would find it."""
        self.hit(PROBE, "probe")
        return self._away

    def _try(self, limit: RateLimitItem, *key: str) -> int:
        if self._away and time.monotonic() < self._retry_at:
            return 0
        self._retry_at = time.monotonic() + RETRY_SECONDS  # one request tries, the others pass
        try:
            seconds = self._hit(limit, *key)
        except StorageError as error:
            self._report(True, "Limits are off: %s; trying again", error.storage_error)
            return 0
        self._report(False, "Limits are on again")
        return seconds

    def _hit(self, limit: RateLimitItem, *key: str) -> int:
        with self._lock:
            if self._windows.hit(limit, *key):
                return 0
            left = self._windows.get_window_stats(limit, *key).reset_time - time.time()
        # Redis has whole seconds: one more is never too early.
        return min(max(int(left), 0) + 1, limit.get_expiry())

    def _report(self, away: bool, message: str, *args: object) -> None:
        with self._report_lock:
            if away != self._away:
                logger.warning(message, *args)
            self._away = away
