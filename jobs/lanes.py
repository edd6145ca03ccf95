"""The order in which a worker takes due jobs: lanes take turns, and slow ones come last.

A job has a lane, its destination: that of an email is its domain. Due jobs are read in batches, in
which the lanes alternate, first those that are known to be quick. Of slow lanes one job at a time
is read, while no other job is due. What a process knows about lanes is its own: another one learns
it at the cost of one slow job.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import zip_longest
from typing import TypeVar

from bson import ObjectId

from database.due_jobs import delete_due, find_due
from database.models import Job, Stored
from infra import metrics
from jobs.errors import PauseLane, PauseQueue
from jobs.queue import LEASE_SECONDS

BATCH_SIZE = 50
# A batch is read again after a while, so that jobs that became due meanwhile get their turn.
TURN_SECONDS = 1.0
# A job that takes longer makes its lane slow, whatever its outcome.
SLOW_SECONDS = 1.0
# After that a slow lane has turns again: on a busy machine there is always another job.
SLOW_LANE_SECONDS = 300.0
# How many lanes are remembered: each is a part of the query.
MAX_LANES = 200

T = TypeVar("T")
Lane = str | None  # jobs without one share a lane
# Returns the ids of those of some jobs, all of one kind, that need no handling.
FindUnneeded = Callable[[list[Stored]], Collection[ObjectId]]


class Lanes:
    """The due jobs, in the order in which one worker takes them."""

    def __init__(self, unneeded: Mapping[str, FindUnneeded], queue_name: str | None = None) -> None:
        """Take the function that finds unneeded jobs, for each kind that may have some."""
        self._unneeded = unneeded
        self._queue_name = queue_name
        self._rounds: list[list[Stored]] = []  # the batch: each round has one job of each lane
        self._read_at = 0.0
        self._slow: dict[Lane, float] = {}  # the time.monotonic() until which a lane is slow
        self._quick: dict[Lane, None] = {}  # an ordered set: whose last job was quick
        self._served: set[Lane] = set()  # lanes that had a turn since all of them had one
        self._served_slow: set[Lane] = set()

    def claim(self) -> Job | None:
        """Lease the next job; None if none is due."""
        while self._has_batch() or self._read_batch():
            if job := Job.claim([job["_id"] for job in self._rounds[0]], LEASE_SECONDS):
                self._rounds[0] = [other for other in self._rounds[0] if other["_id"] != job.id]
                self._note_turn(job.lane)
                return job
            del self._rounds[0]  # other workers have its jobs
        return None

    @contextmanager
    def watch(self, job: Job) -> Iterator[None]:
        """Note whether the lane of a job is slow, while the job is handled.

        What it takes to open the connection, before the lease is renewed, is about no lane.
        """
        started, error = time.monotonic(), None
        try:
            yield
        except Exception as raised:
            error = raised
            raise
        finally:
            if not isinstance(error, PauseQueue):  # that was what all lanes need
                is_late = time.monotonic() - max(started, job.resumed_at) > SLOW_SECONDS
                self._note(job.lane, is_late or isinstance(error, PauseLane))

    def _note(self, lane: Lane, is_slow: bool) -> None:
        for lanes in (self._slow, self._quick):
            lanes.pop(lane, None)
        if is_slow:
            _remember(self._slow, lane, time.monotonic() + SLOW_LANE_SECONDS)
            self._rounds = [
                [job for job in jobs if job.get("lane") != lane] for jobs in self._rounds
            ]
            self._served.clear()  # quick lanes need not wait for the next slow one
        else:
            _remember(self._quick, lane, None)

    def _note_turn(self, lane: Lane) -> None:
        served = self._served_slow if lane in self._slow else self._served
        if len(served) == MAX_LANES:
            served.clear()
        served.add(lane)

    def _has_batch(self) -> bool:
        self._rounds = [jobs for jobs in self._rounds if jobs]
        return bool(self._rounds) and time.monotonic() - self._read_at < TURN_SECONDS

    def _read_batch(self) -> bool:
        """Read due jobs; return whether there is one that needs handling."""
        now = time.monotonic()
        self._slow = {lane: until for lane, until in self._slow.items() if until > now}
        if self._read_in_turn(self._served, {*self._slow}):
            return True
        if not self._slow or not self._read_in_turn(self._served_slow, set()):
            return False
        self._rounds = self._rounds[:1]
        self._read_at -= TURN_SECONDS  # so that the batch is read again after one job
        return True

    def _read_in_turn(self, served: set[Lane], skipped: set[Lane]) -> bool:
        """Read jobs of lanes that had no turn; if there is none, all lanes may have another."""
        if self._read(served | skipped):
            return True
        is_new_turn = bool(served)
        served.clear()
        return is_new_turn and self._read(skipped)

    def _read(self, skipped: set[Lane]) -> bool:
        while due := find_due(BATCH_SIZE, skipped, self._queue_name):
            if needed := self._delete_unneeded(due):
                quick = [job for job in needed if job.get("lane") in self._quick]
                others = [job for job in needed if job.get("lane") not in self._quick]
                self._rounds = [*_to_rounds(quick), *_to_rounds(others)]
                self._read_at = time.monotonic()
                return True
        return False

    def _delete_unneeded(self, due: list[Stored]) -> list[Stored]:
        """Delete jobs that need no handling, all at once; return the others."""
        for kind, find_unneeded in self._unneeded.items():
            jobs = [job for job in due if job["kind"] == kind]
            if jobs and (unneeded := find_unneeded(jobs)):
                metrics.JOBS.labels(kind, metrics.DONE).inc(delete_due(unneeded))
                due = [job for job in due if job["_id"] not in unneeded]
        return due


def _remember(lanes: dict[Lane, T], lane: Lane, value: T) -> None:
    lanes[lane] = value
    if len(lanes) > MAX_LANES:
        del lanes[next(iter(lanes))]


def _to_rounds(due: list[Stored]) -> list[list[Stored]]:
    """Return the first job of each lane, then the second of each, and so on."""
    lanes: dict[Lane, list[Stored]] = {}
    for job in due:
        lanes.setdefault(job.get("lane"), []).append(job)
    return [[job for job in jobs if job] for jobs in zip_longest(*lanes.values())]
