"""gunicorn's worker with threads, but one that shares, and leaves nobody at the door."""

import select
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

# How long a worker leaves the door to the others, for each client that it has, and at most.
SECONDS_A_CLIENT, MOST_SECONDS = 0.00005, 0.001


class Worker(ThreadWorker):
    """A ThreadWorker that takes no more than its share of clients, and stops with all answered.

    gunicorn's own race for each client that connects, and who is awake wins: of two, one often
    has all those of a proxy that keeps its connections, and one core idles. At its stop it keeps
    the port open to its end but takes in nobody: who connects meanwhile is let in by the kernel,
    may have sent a request, and is reset (its issues 2409 and 3397).
    """

    def accept(self, listener: Any) -> None:
        """Take in who connects, unless a worker with fewer clients did so first."""
        time.sleep(min(self.nr_conns * SECONDS_A_CLIENT, MOST_SECONDS))
        super().accept(listener)

    def set_accept_enabled(self, enabled: bool) -> None:
        """When the worker stops, take in who is waiting, and close the port."""
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            # The second look keeps the interpreter to itself, so that little can pass before the
            # port is closed; only Linux has it.
            while select.select([listener], [], [], 0)[0] or listener.get_backlog() > 0:
                self.accept(listener)
            listener.close()
