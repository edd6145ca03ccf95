"""How often anybody may try: counted in memory, or in a Redis that processes and machines share.

While that Redis is away nobody is counted and everybody let in: hashing alone slows a guesser.
"""

import logging
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

from flask import Flask, current_app
from limits import RateLimitItem, parse_many
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

from config import SettingsError
from services.errors import TooManyRequestsError
from services.fingerprint import fingerprint

# How long a storage that does not answer holds up a request, and how often one.
TIMEOUT_SECONDS, TRY_AGAIN_SECONDS = 0.2, 5.0

logger = logging.getLogger(__name__)


def initialize_limits(app: Flask) -> None:
    """Count for app; raises SettingsError for a RATELIMIT_STORAGE_URI that can't be read."""
    if app.config["RATELIMIT_ENABLED"]:
        try:
            app.extensions["limits"] = Limits(app)
        except ValueError:
            raise SettingsError({"RATELIMIT_STORAGE_URI": ["Can't be read."]}) from None


def count(name: str, who: str) -> None:
    """Count a try of who against the setting RATELIMIT_<name>; raises TooManyRequestsError.

    What is stored of who is a fingerprint.
    """
    if current_app.config["RATELIMIT_ENABLED"]:
        for limit in _parsed(current_app.config[f"RATELIMIT_{name}"]):
            seconds = current_app.extensions["limits"].hit(limit, name, fingerprint(who))
            if seconds:
                raise TooManyRequestsError(seconds)


@cache
def _parsed(setting: str) -> list[RateLimitItem]:
    return list(parse_many(setting))


class Limits:
    """The counts of an application, in windows that begin with the first try."""

    def __init__(self, app: Flask) -> None:
        """Store where RATELIMIT_STORAGE_URI says; raises ValueError."""
        uri = app.config["RATELIMIT_STORAGE_URI"]
        # Of tries at once the library's memory loses some; Redis counts each.
        in_memory = uri == "memory://"
        timeouts = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), TIMEOUT_SECONDS)
        options: dict[str, Any] = {} if in_memory else timeouts
        storage = storage_from_string(uri, wrap_exceptions=True, **options)
        self._counts = FixedWindowRateLimiter(storage)
        self._one_by_one: AbstractContextManager[object] = (
            threading.Lock() if in_memory else nullcontext()
        )
        self._telling = threading.Lock()
        self._away, self._try_again_at = False, 0.0

    def hit(self, limit: RateLimitItem, *key: str) -> int:
        """Count a try; return 0, or in how many seconds another is let in."""
        if self._away and time.monotonic() < self._try_again_at:
            return 0
        self._try_again_at = time.monotonic() + TRY_AGAIN_SECONDS  # while one tries, others pass
        try:
            seconds = self._hit(limit, *key)
        except StorageError as error:
            self._tell(True, "Limits are off: %s; trying on", error.storage_error)
            return 0
        self._tell(False, "Limits are on again")
        return seconds

    def _hit(self, limit: RateLimitItem, *key: str) -> int:
        with self._one_by_one:
            if self._counts.hit(limit, *key):
                return 0
            left = self._counts.get_window_stats(limit, *key).reset_time - time.time()
        # Redis tells whole seconds: one more is never too early.
        return min(max(int(left), 0) + 1, limit.get_expiry())

    def _tell(self, away: bool, message: str, *args: object) -> None:
        with self._telling:
            if away != self._away:
                logger.warning(message, *args)
            self._away = away
