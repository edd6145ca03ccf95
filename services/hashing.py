"""Hashing takes a quarter of a second of a core, by design: it stands in line, behind all else.

Who waits in the line costs a thread and no time. Who is refused comes again at once, and that
costs more: so the line is long, and a server has threads for it and for the rest.
"""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from typing import TypeVar

from services.errors import ServiceUnavailableError

# A container may have fewer than its machine; macOS can't tell.
CORES = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
# About as many as two cores get done in that time.
WAITING, WAIT_SECONDS = 60, 10.0
# Of a server: for those who hash or wait, and 16 that are free for the rest.
THREADS = CORES + WAITING + 16
NICE = 5

T = TypeVar("T")


def _step_back() -> None:
    """Leave the core to other threads; only on Linux has a thread a priority of its own."""
    if sys.platform == "linux":
        thread = os.PRIO_PROCESS, threading.get_native_id()
        with suppress(OSError):  # a sandbox may forbid it; then it is fair shares
            os.setpriority(*thread, os.getpriority(*thread) + NICE)


_places = threading.BoundedSemaphore(CORES + WAITING)
_line = ThreadPoolExecutor(CORES, "hashing", _step_back)


def in_line(work: Callable[..., T], *args: object) -> T:
    """Return what work returns once it was its turn: of all, so many at once as there are cores.

    Raises ServiceUnavailableError when too many wait, at once, or when the turn does not come
    within WAIT_SECONDS.
    """
    if not _places.acquire(blocking=False):
        raise ServiceUnavailableError
    try:
        turn = _line.submit(work, *args)
        wait([turn], WAIT_SECONDS)
        if turn.cancel():  # it has not begun
            raise ServiceUnavailableError
        return turn.result()
    finally:
        _places.release()
