"""Two requests of which one is sent between two database commands of the other."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from flask import has_request_context
from pymongo import monitoring
from requests import Response

from tests.support.database_commands import listening

Send = Callable[[], Response]
Responses = tuple[Response | None, Response | None]
# Sends two requests in some way.
SendBoth = Callable[[Send, Send], Responses]
Race = Callable[[Any, Any, SendBoth], tuple[Any, ...]]


class Interruption(monitoring.CommandListener):
    """Calls a function once, after the n-th command of the next request."""

    def __init__(self) -> None:
        self._left = 0
        self._call: Callable[[], object] = int

    def after(self, number: int, call: Callable[[], object]) -> None:
        """Call after so many commands of the next request."""
        self._left, self._call = number, call

    def happened(self) -> bool:
        """Return whether the request sent as many commands; call no more."""
        left, self._left = self._left, 0
        return left == 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        pass

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        if has_request_context() and self._left:
            self._left -= 1
            if self._left == 0:
                self._call()

    failed = succeeded


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Listen to the connection that is made next."""
    listener = Interruption()
    with listening(listener):
        yield listener


def one_after_the_other(first: Send, second: Send) -> Responses:
    return first(), second()


def in_reverse(first: Send, second: Send) -> Responses:
    responses = second(), first()
    return responses[::-1]


def first_alone(first: Send, _: Send) -> Responses:
    return first(), None


def second_alone(_: Send, second: Send) -> Responses:
    return None, second()


SERIAL: tuple[SendBoth, ...] = (one_after_the_other, in_reverse, first_alone, second_alone)


def assert_serializable(
    race: Race, interrupted: Interruption, first: Any, second: Any, orders: Sequence[SendBoth]
) -> None:
    """Assert that two requests, however they are interleaved, have a result that an order has.

    `race` sends two requests in some way and returns whether each succeeded, and what is stored.
    """
    allowed = [race(first, second, send) for send in orders]
    for outer, inner in ((first, second), (second, first)):
        for step in itertools.count(1):
            result = race(outer, inner, _sending_after(interrupted, step))
            if not interrupted.happened():
                break
            if outer is second:
                result = (result[1], result[0], *result[2:])
            assert result in allowed, (outer.__name__, step)
        assert step > 1


def _sending_after(interrupted: Interruption, step: int) -> SendBoth:
    responses: list[Response] = []

    def send(outer: Send, inner: Send) -> Responses:
        interrupted.after(step, lambda: responses.append(inner()))
        return outer(), (responses or [None])[0]

    return send
