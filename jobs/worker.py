"""The background thread of a process: it claims jobs and hands each to the handler of its kind.

A handler is a context manager, entered once per batch: it may hold a connection. It yields a
function that handles one job. That returns whether there was anything to do, or raises one of
jobs/errors.py.
"""

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack

from flask import Flask

from database.db import DATABASE_ERRORS, ensure_indexes
from database.models import Job
from jobs import queue
from jobs.backoff import backoff_delay
from jobs.errors import Fail, PauseQueue, RetryLater, without_text
from jobs.lanes import FindUnneeded, Lanes
from jobs.queue import SEND_DELAY

# How late a job of another process, or one to retry, may be noticed.
POLL_SECONDS = 2.0
STOP_SECONDS = 5.0
SWEEP_SECONDS = 3600.0

Handle = Callable[[Job], bool]
Handler = Callable[[], AbstractContextManager[Handle]]

logger = logging.getLogger(__name__)


class Worker:
    """The thread of this process. It starts at its first use, and again after a fork."""

    def __init__(
        self,
        app: Flask,
        handlers: Mapping[str, Handler],
        unneeded: Mapping[str, FindUnneeded],
        sweep: Callable[[], None] = lambda: None,
        queue_name: str | None = None,
    ) -> None:
        """Take the handler of each kind of job, what finds the unneeded ones of some, and sweep.

        `sweep` deletes what has expired; it is called now and then. `queue_name` says of which
        jobs: those without the name of a queue if there is none.
        """
        self._app = app
        self.handlers = handlers
        self._sweep = sweep
        self._lanes = Lanes(unneeded, queue_name)
        self._name = queue_name or "worker"
        self._pid = 0
        self._failures: Counter[str] = Counter()  # consecutive pauses, by the kind of their job
        self._starting = threading.Lock()

    def start(self) -> None:
        """Run the thread unless this process already does."""
        if self._pid == os.getpid():
            return
        with self._starting:
            if self._pid != os.getpid():  # threads do not survive a fork, so a new process has none
                self._woken, self._stopping = threading.Event(), threading.Event()
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
                self._pid = os.getpid()

    def wake(self) -> None:
        """Look for jobs soon."""
        self.start()
        self._woken.set()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End after the current job, which may take so long; others wait for the next start."""
        if self._pid == os.getpid():
            self._stopping.set()
            self._woken.set()
            self._thread.join(seconds)

    def _run(self) -> None:
        failing, sweep_at = False, 0.0
        while not self._stopping.is_set():
            try:
                with self._app.app_context():
                    ensure_indexes(Job)
                    self.run_due_jobs()
                    if time.monotonic() >= sweep_at:
                        self._sweep()
                        sweep_at = time.monotonic() + SWEEP_SECONDS
                failing = False
            except Exception as error:
                if not failing:
                    unexpected = None if isinstance(error, DATABASE_ERRORS) else error
                    name = type(error).__name__
                    logger.error("Jobs are waiting: %s; trying again", name, exc_info=unexpected)
                failing = True
            self._woken.wait(POLL_SECONDS)
            self._woken.clear()  # before jobs are claimed, so that no wake is lost
            self._stopping.wait(SEND_DELAY)  # until the job that woke the thread is due, or stop()

    def run_due_jobs(self) -> None:
        """Work on jobs until none is due, or the queue is paused; raises DATABASE_ERRORS."""
        with ExitStack() as batch:
            handles: dict[str, Handle] = {}
            while not self._stopping.is_set() and (job := self._lanes.claim()):
                if job.kind not in handles and job.kind in self.handlers:
                    handles[job.kind] = batch.enter_context(self.handlers[job.kind]())
                if not self._work_on(job, handles.get(job.kind, _refuse)):
                    return

    def _work_on(self, job: Job, handle: Handle) -> bool:
        """Handle one job; return False to end the batch."""
        try:
            with self._lanes.watch(job):
                if handle(job):
                    self._failures[job.kind] = 0
            queue.complete(job)
        except PauseQueue as error:
            self._back_off(job, error)
            return False
        except Fail as error:
            queue.fail(job, str(error), error.is_kept)
        except RetryLater as error:
            queue.retry_later(job, str(error), backoff_delay(job.attempts - 1))
        except Exception as error:
            unexpected = None if isinstance(error, DATABASE_ERRORS) else without_text(error)
            reason = type(error).__name__
            queue.retry_later(job, reason, backoff_delay(job.attempts - 1), unexpected)
        return True

    def _back_off(self, job: Job, error: PauseQueue) -> None:
        """Wait before the next job, whatever else is due."""
        delay = error.delay or backoff_delay(self._failures[job.kind])
        self._failures[job.kind] += 1
        queue.retry_later(job, str(error), delay, waits_for_service=True)
        self._stopping.wait(delay)


def _refuse(job: Job) -> bool:
    # During an upgrade, a process of the next version may have enqueued it and will handle it.
    raise RetryLater(f"no handler for jobs of kind {job.kind}")
