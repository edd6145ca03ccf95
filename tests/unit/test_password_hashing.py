"""The hashing pool: how much runs, how much is queued, and what happens to all else."""

import os
import sys
import threading

import pytest

from infra import password_hashing
from infra.password_hashing import CORES, NICENESS, PoolFull
from tests.support.concurrency import wait_until
from tests.support.full_pool import CAPACITY, PoolTasks, fill_pool


class TestPool:
    def test_as_many_run_as_there_are_cores(self):
        tasks = fill_pool(extra=5)
        assert (len(tasks.begun), len(tasks.refused)) == (CORES, 5)
        tasks.release()
        assert (len(tasks.begun), len(tasks.refused)) == (CAPACITY, 5)

    def test_late_task_is_refused_and_never_runs(self, monkeypatch):
        monkeypatch.setattr(password_hashing, "WAIT_SECONDS", 0.05)
        busy, results = PoolTasks(CORES), []
        wait_until(lambda: len(busy.begun) == CORES)
        with pytest.raises(PoolFull):
            password_hashing.run(results.append, "hashed")
        busy.release()
        assert password_hashing.run(len, "next") == 4
        assert results == []

    def test_error_of_a_task_is_raised_and_frees_its_slot(self):
        for _ in range(CAPACITY + 1):
            with pytest.raises(ZeroDivisionError):
                password_hashing.run(divmod, 1, 0)

    @pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
    def test_threads_have_a_lower_priority(self):
        def priority():
            return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

        assert password_hashing.run(priority) == min(priority() + NICENESS, 19)
