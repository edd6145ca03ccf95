"""The commands that are sent to the database, in their order."""

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import mongoengine
from pymongo import monitoring


class CommandRecorder(monitoring.CommandListener):
    """Records the names of the commands that are sent to the database, but for some collections."""

    def __init__(self, ignored: Collection[str] = ()) -> None:
        self.names: list[str] = []
        self._ignored = ignored

    @property
    def counts(self) -> Counter[str]:
        """Return how many commands there were of each name."""
        return Counter(self.names)

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command.get(event.command_name) not in self._ignored:
            self.names.append(event.command_name)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


@contextmanager
def listening(listener: monitoring.CommandListener) -> Iterator[None]:
    """Let a listener hear the commands of the connection that is made next."""
    mongoengine.disconnect()
    monitoring.register(listener)
    yield
    monitoring._LISTENERS.command_listeners.remove(listener)
    mongoengine.disconnect()


@contextmanager
def recorded_commands(ignored: Collection[str] = ()) -> Iterator[CommandRecorder]:
    """Record the commands of the connection that is made next, but for some collections."""
    recorder = CommandRecorder(ignored)
    with listening(recorder):
        yield recorder
