"""Which of two requests takes longer: times of pairs, so that the load of the machine cancels."""

import random
from collections.abc import Callable
from datetime import timedelta
from statistics import median

from requests import Response

PAIRS = 250
# Of requests that take long.
LOGIN_PAIRS = 40

Send = Callable[[], Response]


def time_pairs(one: Send, other: Send, pairs: int = PAIRS) -> list[tuple[timedelta, timedelta]]:
    """Return the times of one and of the other; which of a pair is sent first is random."""
    times = []
    for _ in range(pairs):
        elapsed = {send: send().elapsed for send in random.sample([one, other], 2)}
        times.append((elapsed[one], elapsed[other]))
    return times


def share_of_slower(times: list[tuple[timedelta, timedelta]]) -> float:
    """Return in which share of pairs one took longer than the other."""
    return sum(one > other for one, other in times) / len(times)


def relative_difference(times: list[tuple[timedelta, timedelta]]) -> float:
    """Return by how much one takes longer, as a share of the other's time; medians of pairs."""
    difference = median(one - other for one, other in times)
    return abs(difference) / median(other for _, other in times)


def is_even_login(one: Send, other: Send) -> bool:
    """Return whether neither is slower, by a coin or by 3 %; by chance one is: try again.

    Some tenths of 80 ms are the embedded server's, which reads an email that exists more slowly: on
    a quiet machine they decide most pairs.
    """
    for _ in range(2):
        times = time_pairs(one, other, LOGIN_PAIRS)
        if 0.25 <= share_of_slower(times) <= 0.75 or relative_difference(times) < 0.03:
            return True
    return False


def is_even(one: Send, other: Send) -> bool:
    """Return whether the share is that of a coin; by chance one run of 600 is not: try again."""
    return any(0.4 <= share_of_slower(time_pairs(one, other)) <= 0.6 for _ in range(2))
