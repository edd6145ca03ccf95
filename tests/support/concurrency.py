"""Threads that start together, and conditions that are awaited."""

import threading
import time
from collections.abc import Callable
from typing import Any


def run_simultaneously(count: int, call: Callable[[int], Any]) -> list[Any]:
    """Call from count threads that start together; return the results."""
    barrier, results = threading.Barrier(count), [None] * count

    def work(index: int) -> None:
        barrier.wait()
        results[index] = call(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Return what condition returns once it is true; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)
    return result
