"""gunicorn's worker with threads, which shares connections evenly and refuses none at its stop."""

import select
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

# How long a worker waits before it accepts, per connection that it has, and at most.
SECONDS_PER_CONNECTION = 0.00005
MAX_SECONDS = 0.001


class Worker(ThreadWorker):
    """A ThreadWorker that takes no more than its share of connections.

    gunicorn's own workers race for each connection: of two, one often has all those that a proxy
    keeps open, and one core is idle. At its stop gunicorn keeps the port open but accepts nobody:
    a connection in the backlog, which may have sent a request, is reset (issues 2409 and 3397).
    """

    def accept(self, listener: Any) -> None:
        """Accept a connection, unless a worker with fewer of them was faster."""
        time.sleep(min(self.nr_conns * SECONDS_PER_CONNECTION, MAX_SECONDS))
        super().accept(listener)

    def set_accept_enabled(self, enabled: bool) -> None:
        """When the worker stops, accept the backlog and close the port."""
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            # get_backlog keeps the interpreter locked, so that little can arrive before the port
            # is closed; only Linux has it.
            while select.select([listener], [], [], 0)[0] or listener.get_backlog() > 0:
                self.accept(listener)
            listener.close()
