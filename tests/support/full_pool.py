"""Tasks that occupy the hashing pool until they are released."""

import threading

from infra import password_hashing
from infra.password_hashing import CORES, MAX_QUEUED, PoolFull
from tests.support.concurrency import wait_until

CAPACITY = CORES + MAX_QUEUED
# Tasks that a failed test does not release end by themselves.
MAX_SECONDS = 50


class PoolTasks:
    """So many tasks for the hashing pool; those that run do so until release()."""

    def __init__(self, count: int) -> None:
        self.begun: list[threading.Thread] = []
        self.refused: list[PoolFull] = []
        self._released = threading.Event()
        self._threads = [threading.Thread(target=self._submit) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _submit(self) -> None:
        try:
            password_hashing.run(self._work)
        except PoolFull as error:
            self.refused.append(error)

    def _work(self) -> None:
        self.begun.append(threading.current_thread())
        self._released.wait(MAX_SECONDS)

    def release(self) -> None:
        """Let every task end, and wait until all have."""
        self._released.set()
        for thread in self._threads:
            thread.join()


def fill_pool(extra: int = 0) -> PoolTasks:
    """Return tasks for every core and every place in the queue, and `extra` that are refused."""
    tasks = PoolTasks(CAPACITY + extra)
    wait_until(lambda: (len(tasks.begun), len(tasks.refused)) == (CORES, extra))
    return tasks
