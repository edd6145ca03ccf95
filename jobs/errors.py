"""What a handler raises when its job is not done."""


class Fail(Exception):
    """The job can never succeed; it is kept, for an operator, or deleted."""

    def __init__(self, reason: str, is_kept: bool = True) -> None:
        """Take the reason, for the log."""
        super().__init__(reason)
        self.is_kept = is_kept


class RetryLater(Exception):
    """The job failed for a reason of its own that may pass."""


class PauseLane(RetryLater):
    """The job's destination is ill: the other jobs of its lane wait until nothing else is due."""


class PauseQueue(Exception):
    """The service that the jobs need, a mail server, is unavailable: other jobs would fail too."""

    def __init__(self, reason: str, delay: float | None = None) -> None:
        """Pause for delay seconds; without one, longer after each failure."""
        super().__init__(reason)
        self.delay = delay


def without_text(error: Exception) -> Exception:
    """Return an exception with the traceback of error, for the log: its text may hold an email."""
    return Exception(type(error).__name__).with_traceback(error.__traceback__)
