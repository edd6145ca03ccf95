"""Threads for what blocks: the one that became idle last is the first to work again."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

logger = logging.getLogger(__name__)

Call = tuple[Callable[..., None], tuple[Any, ...]]


class Threads:
    """A pool that starts a thread only if none is idle.

    After many have worked at once, few are needed. ThreadPoolExecutor lets all of them take turns,
    and each finds the processor's caches full of what the others used.
    """

    def __init__(self, most: int) -> None:
        """Start so many threads at most."""
        self._startable = most
        self._idle: list[SimpleQueue[Call]] = []
        self._waiting: deque[Call] = deque()
        self._lock = threading.Lock()

    def call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function as soon as a thread is idle; what it raises is logged."""
        call = function, arguments
        with self._lock:
            if self._idle:
                self._idle.pop().put(call)
            elif self._startable:
                self._startable -= 1
                threading.Thread(target=self._work, args=[call], daemon=True).start()
            else:
                self._waiting.append(call)

    def _work(self, call: Call) -> None:
        own: SimpleQueue[Call] = SimpleQueue()
        while True:
            function, arguments = call
            try:
                function(*arguments)
            except BaseException:
                logger.exception("%s failed", function.__name__)
            call = self._next(own) or own.get()

    def _next(self, own: SimpleQueue[Call]) -> Call | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._idle.append(own)
            return None
