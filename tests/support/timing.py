"""Which of two requests takes longer: times of pairs, so that the load of the machine cancels."""

import random
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import tee
from statistics import median

from requests import Response

PAIRS = 250
# Of requests that take long.
LOGIN_PAIRS = 40

Send = Callable[[], Response]
Times = tuple[timedelta, timedelta]


def time_pairs(one: Send, other: Send, pairs: int = PAIRS) -> Iterator[Times]:
    """Yield the times of one and of the other; which of a pair is sent first is random."""
    for _ in range(pairs):
        elapsed = {send: send().elapsed for send in random.sample([one, other], 2)}
        yield elapsed[one], elapsed[other]


def falls_on_both_sides(times: Iterable[Times], count: int) -> bool:
    """Return whether each is the slower one in so many pairs; end as soon as that is sure."""
    sides = {True: 0, False: 0}
    for one, other in times:
        sides[one > other] += 1
        if min(sides.values()) >= count:
            return True
    return False


def relative_difference(times: list[Times]) -> float:
    """Return by how much one takes longer, as a share of the other's time; medians of pairs."""
    difference = median(one - other for one, other in times)
    return abs(difference) / median(other for _, other in times)


def is_even_login(one: Send, other: Send) -> bool:
    """Return whether neither is slower, by a coin or by 3 %; by chance one is: try again.

    Some tenths of 80 ms are the embedded server's, which reads an email that exists more slowly: on
    a quiet machine they decide most pairs.
    """
    for _ in range(2):
        times, kept = tee(time_pairs(one, other, LOGIN_PAIRS))
        if falls_on_both_sides(times, LOGIN_PAIRS // 4) or relative_difference(list(kept)) < 0.03:
            return True
    return False


def is_even(one: Send, other: Send) -> bool:
    """Return whether 0.4 to 0.6 are slower; of a coin one run of 600 is not: try again."""
    return any(falls_on_both_sides(time_pairs(one, other), PAIRS * 2 // 5) for _ in range(2))
