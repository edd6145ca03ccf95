"""The threads of gunicorn's worker."""

import threading

import pytest

from deploy.threads import Threads
from tests.support.concurrency import wait_until

MOST = 3


@pytest.fixture
def threads():
    return Threads(MOST)


class Held:
    """Calls that end when the test says so."""

    def __init__(self):
        self.begun, self.names, self.end = [], [], threading.Semaphore(0)

    def __call__(self, number=0):
        self.names.append(threading.current_thread().name)
        self.begun.append(number)
        self.end.acquire()


def test_no_more_calls_run_at_once_and_others_wait_in_order(threads):
    held = Held()
    for number in range(MOST + 3):
        threads.call(held, number)
    wait_until(lambda: len(held.begun) == MOST)
    for ended in range(1, 4):
        held.end.release()
        wait_until(lambda so_many=MOST + ended: len(held.begun) == so_many)
    assert held.begun[MOST:] == [MOST, MOST + 1, MOST + 2]
    assert len(set(held.names)) == MOST
    held.end.release(MOST)


def test_one_thread_does_what_comes_one_by_one(threads):
    held = Held()
    for _ in range(MOST):
        threads.call(held)
    wait_until(lambda: len(held.begun) == MOST)
    held.end.release(MOST)
    wait_until(lambda: len(vars(threads)["_idle"]) == MOST)
    held.end.release(20)
    for number in range(20):
        threads.call(held)
        wait_until(lambda so_many=MOST + number + 1: len(held.begun) == so_many)
        wait_until(lambda: len(vars(threads)["_idle"]) == MOST)
    assert len(set(held.names[MOST:])) == 1


@pytest.mark.parametrize("error", [ValueError, SystemExit, GeneratorExit])
def test_what_a_call_raises_is_logged_and_ends_no_thread(threads, caplog, error):
    def fail():
        raise error

    held = Held()
    for _ in range(2 * MOST):
        threads.call(fail)
    threads.call(held)
    wait_until(lambda: held.begun)
    assert caplog.text.count("fail failed") == 2 * MOST
    held.end.release()
