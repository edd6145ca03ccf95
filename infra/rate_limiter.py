"""Counts of requests in fixed windows, in memory or in a Redis that processes share.

While that Redis is away nothing is counted and every request is allowed (fail open): the cost of
hashing alone slows down guessing.
"""

import logging
import threading
import time
from functools import cache

from limits import RateLimitItem, WindowStats, parse_many
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

# How long a storage that does not answer may delay a request, and how often it is tried again.
TIMEOUT_SECONDS = 0.2
RETRY_SECONDS = 5.0
# A limit that is never exceeded, to find out whether it can be counted.
PROBE = "1000000 per minute"
# How often the windows in memory that are over are deleted: of 600,000, in 0.1 s.
SWEEP_SECONDS = 60.0

logger = logging.getLogger(__name__)


@cache
def _parse(limits: str) -> list[RateLimitItem]:
    return list(parse_many(limits))


def is_in_memory(storage_uri: str) -> bool:
    """Return whether each process counts by itself."""
    return storage_uri == "memory://"


def _windows_in(storage_uri: str) -> FixedWindowRateLimiter:
    timeouts = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), TIMEOUT_SECONDS)
    return FixedWindowRateLimiter(
        storage_from_string(storage_uri, wrap_exceptions=True, **timeouts)
    )


class MemoryWindows:
    """Windows in the memory of this process.

    The library's own loses some of simultaneous hits, and starts a thread at most of them, which
    goes through all keys (a fifth of the time of a request that is counted).
    """

    def __init__(self) -> None:
        """Begin without a window."""
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[int, float]] = {}  # the count, and when the window ends
        self._swept_at = 0.0

    def hit(self, limit: RateLimitItem, *key: str) -> bool:
        """Count a request; return whether it is within the limit."""
        name, now = limit.key_for(*key), time.time()
        with self._lock:
            count, end = self._windows.get(name, (0, 0.0))
            if end <= now:
                count, end = 0, now + limit.get_expiry()
            self._windows[name] = count + 1, end
            if abs(now - self._swept_at) >= SWEEP_SECONDS:  # the clock may be set back
                self._swept_at = now
                self._windows = {name: it for name, it in self._windows.items() if it[1] > now}
        return count < limit.amount

    def get_window_stats(self, limit: RateLimitItem, *key: str) -> WindowStats:
        """Return when the window of a key ends, and how many requests are left in it."""
        count, end = self._windows.get(limit.key_for(*key), (0, 0.0))
        return WindowStats(end, max(limit.amount - count, 0))


class RateLimiter:
    """The counts of an application, in windows that begin with the first request."""

    def __init__(self, storage_uri: str) -> None:
        """Count in storage_uri; raises ValueError if it can't be read."""
        self._windows = MemoryWindows() if is_in_memory(storage_uri) else _windows_in(storage_uri)
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
