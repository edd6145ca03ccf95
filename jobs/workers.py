"""The workers of an application by the name of their queue, started and stopped together."""

from jobs.worker import Worker


class Workers(dict[str | None, Worker]):
    """One thread for each queue, so that a slow receiver of one delays no job of another."""

    def start(self) -> None:
        """Run every thread unless this process already does."""
        for worker in self.values():
            worker.start()

    def stop(self) -> None:
        """End every thread after its current job, or after STOP_SECONDS."""
        for worker in self.values():
            worker.stop(0)  # all of them at once
        for worker in self.values():
            worker.stop()
