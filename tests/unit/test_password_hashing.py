"""The hashing pool: how much runs, how much is queued, and what happens to all else."""

import base64
import hashlib
import os
import sys
import threading

import pytest
from flask_bcrypt import generate_password_hash

from infra import password_hashing
from infra.password_hashing import (
    BCRYPT_BYTES,
    CORES,
    NICENESS,
    PoolFull,
    hash_password,
    is_outdated,
    rounds_of,
)
from tests.support.concurrency import wait_until
from tests.support.full_pool import CAPACITY, PoolTasks, fill_pool

LONG = "x7!Kq" * 25
NUL = "nul\0in the middle"
PREHASHED = base64.b64encode(hashlib.sha256(LONG.encode()).digest()).decode()
ROUNDS = 6


class TestCost:
    """A verification costs the same for every user and without one: the time tells nothing."""

    @pytest.fixture
    def costs(self, monkeypatch):
        """Return a list to which each bcrypt run adds its cost."""
        costs, check = [], password_hashing.bcrypt.check_password_hash

        def count(hashed, secret):
            assert len(secret) <= BCRYPT_BYTES
            costs.append(2 ** rounds_of(hashed))
            return check(hashed, secret)

        monkeypatch.setattr(password_hashing.bcrypt, "check_password_hash", count)
        return costs

    @pytest.mark.parametrize("typed", ["short", LONG, NUL, PREHASHED], ids=len)
    def test_every_verification_is_one_run(self, costs, typed):
        stored = [None, *(hash_password(text, ROUNDS) for text in ("a", LONG, NUL, PREHASHED))]
        stored += [generate_password_hash(text, ROUNDS).decode() for text in ("a", PREHASHED)]
        for hashed in stored:
            costs.clear()
            password_hashing.verify_password(typed, hashed, ROUNDS, {})
            assert costs == [2**ROUNDS]

    @pytest.mark.parametrize("typed", ["short", LONG, PREHASHED], ids=len)
    def test_hash_of_fewer_rounds_costs_as_much(self, costs, typed):
        for text in ("short", LONG, PREHASHED):
            costs.clear()
            password_hashing.verify_password(typed, hash_password(text, 4), ROUNDS, {})
            assert sum(costs) == 2**ROUNDS

    def test_hash_is_outdated_by_rounds_or_prehash(self):
        for text in ("short", LONG, NUL, PREHASHED):
            assert not is_outdated(text, hash_password(text, ROUNDS), ROUNDS)
            assert is_outdated(text, hash_password(text, 4), ROUNDS)
        earlier = generate_password_hash(PREHASHED, ROUNDS).decode()
        assert is_outdated(LONG, earlier, ROUNDS)
        assert not is_outdated(PREHASHED, earlier, ROUNDS)


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
