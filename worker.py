"""gunicorn's worker with threads, but one that leaves nobody at the door when it stops."""

import select

from gunicorn.workers.gthread import ThreadWorker


class Worker(ThreadWorker):
    """A ThreadWorker that answers everyone the kernel has let in before it stops.

    gunicorn's own keeps the port open to its end but takes in nobody: who connects meanwhile
    is let in by the kernel, may have sent a request, and is reset (its issues 2409 and 3397).
    """

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
