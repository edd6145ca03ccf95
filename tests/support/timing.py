"""Which of two requests takes longer: times of pairs, so that the load of the machine cancels."""

import random
from collections.abc import Callable

from requests import Response

PAIRS = 250
# Of requests that take long.
LOGIN_PAIRS = 40

Send = Callable[[], Response]


def share_of_slower(one: Send, other: Send, pairs: int = PAIRS) -> float:
    """Return in which share of pairs, in random order, one took longer than the other."""
    slower = 0
    for _ in range(pairs):
        seconds = {send: send().elapsed for send in random.sample([one, other], 2)}
        slower += seconds[one] > seconds[other]
    return slower / pairs


def is_even_login(one: Send, other: Send) -> bool:
    """Return whether neither is slower; 0.2 of 40 ms are the embedded server's: try again."""
    return any(0.25 <= share_of_slower(one, other, LOGIN_PAIRS) <= 0.75 for _ in range(2))


def is_even(one: Send, other: Send) -> bool:
    """Return whether the share is that of a coin; by chance one run of 600 is not: try again."""
    return any(0.4 <= share_of_slower(one, other) <= 0.6 for _ in range(2))
