"""Exponential backoff with jitter."""

import random

FIRST_DELAY_SECONDS = 2.0
MAX_DELAY_SECONDS = 300.0


def backoff_delay(failures: int) -> float:
    """Return the seconds to wait after so many earlier failures, half more or less at random."""
    delay: float = min(FIRST_DELAY_SECONDS * 2 ** min(failures, 10), MAX_DELAY_SECONDS)
    return delay * random.uniform(0.5, 1.5)  # noqa: S311 (not a secret)
