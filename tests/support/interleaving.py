"""Two requests of which one is sent between two database commands of the other."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import has_request_context
from pymongo import monitoring

from tests.support.database_commands import listening


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
