"""The job queue and its worker: no job is lost, and none is done twice without need."""

import threading
import time
import traceback
from contextlib import contextmanager

import pytest
from mongoengine.connection import get_db
from pymongo.errors import AutoReconnect

from app import JOB_HANDLERS, UNNEEDED_JOBS
from config import SettingsSchema
from database.db import ensure_indexes
from database.documents import JOBS, JOBS_BY_ID, NOTICES
from database.due_jobs import delete_due, find_due
from database.events import StoredEvent
from database.models import ADMIN, Job, Movie, User
from infra import metrics
from jobs import backoff, lanes, queue
from jobs.backoff import FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS
from jobs.errors import Fail, PauseLane, PauseQueue, RetryLater
from jobs.lanes import Lanes
from jobs.queue import LEASE_SECONDS, RETRY_WINDOW, SEND_DELAY
from services import auth_service, movie_service
from services.event_service import LANE, STORE_EVENT
from tests.support.client import ADA, EVE
from tests.support.concurrency import run_simultaneously, wait_until

KIND = "test"


class Handler:
    """Handles jobs of kind `test`: it notes them, and has the outcome that a test sets."""

    def __init__(self):
        self.handled = []
        self.batches = 0
        self.handle = lambda job: True

    @contextmanager
    def __call__(self):
        self.batches += 1
        yield self._handle

    def _handle(self, job):
        self.handled.append(job.arguments["number"])
        return self.handle(job)


@pytest.fixture
def handler(monkeypatch):
    """Return a handler that is registered as app.py registers the product's."""
    handler = Handler()
    monkeypatch.setitem(JOB_HANDLERS, KIND, handler)
    return handler


@pytest.fixture
def context(app):
    """Work as a worker does, in the context of the application."""
    with app.app_context():
        yield


@pytest.fixture
def work(handler, stopped_worker, context, clock, monkeypatch):
    """Return a function that moves the clock and then works on the jobs that are due."""
    for name in ("TURN_SECONDS", "SLOW_SECONDS"):  # a machine may be slow
        monkeypatch.setattr(lanes, name, 1_000.0)

    def work_after(seconds=SEND_DELAY):
        clock.shift(seconds)
        stopped_worker.run_due_jobs()

    return work_after


@pytest.fixture
def short_delays(monkeypatch):
    """Shorten the delays of the backoff to milliseconds."""
    monkeypatch.setattr(backoff, "FIRST_DELAY_SECONDS", 0.002)


def enqueue(count):
    """Enqueue jobs of kind `test`, numbered from 0; return their ids."""
    return [queue.enqueue(KIND, number=str(number)) for number in range(count)]


def insert_due(count, lane_of=lambda number: None):
    """Insert jobs of kind `test` that have been due for long, the first the longest."""
    documents = [
        Job(
            kind=KIND,
            arguments={"number": str(number)},
            created_at=time.time(),
            run_at=number,
            lane=lane_of(number),
        )
        for number in range(count)
    ]
    Job.objects.insert(documents, load_bulk=False)


def claim():
    """Lease the job that has been due for longest."""
    due = (job["_id"] for job in find_due(50, ()))
    return next((job for job_id in due if (job := Job.claim([job_id], queue.LEASE_SECONDS))), None)


def job_lines(caplog):
    return [r.getMessage() for r in caplog.records if r.getMessage().startswith("Job ")]


@pytest.mark.usefixtures("context", "stopped_worker")
class TestClaim:
    """Who gets a job, and for how long."""

    def test_job_is_due_after_the_send_delay(self, clock):
        enqueue(1)
        clock.shift(SEND_DELAY - 0.01)
        assert claim() is None
        clock.shift(0.02)
        job = claim()
        assert (job.kind, job.arguments, job.attempts) == (KIND, {"number": "0"}, 1)

    def test_job_that_has_been_due_for_longest_comes_first(self):
        insert_due(3)
        assert [claim().arguments["number"] for _ in range(3)] == ["0", "1", "2"]
        assert claim() is None

    def test_claim_is_a_lease(self, clock):
        insert_due(1)
        first = claim()
        clock.shift(LEASE_SECONDS - 0.01)
        assert claim() is None
        clock.shift(0.02)
        second = claim()
        assert (second.id, second.attempts) == (first.id, 2)

    def test_lease_can_be_renewed(self, clock):
        insert_due(1)
        job = claim()
        clock.shift(LEASE_SECONDS - 1)
        assert queue.renew_lease(job)
        clock.shift(LEASE_SECONDS - 0.01)
        assert claim() is None
        clock.shift(0.02)
        assert claim().id == job.id

    @pytest.mark.parametrize(
        "change",
        [
            queue.complete,
            queue.renew_lease,
            lambda job: queue.retry_later(job, "late", 1),
            lambda job: queue.fail(job, "late"),
        ],
        ids=["complete", "renew_lease", "retry_later", "fail"],
    )
    def test_expired_lease_can_change_nothing(self, clock, caplog, change):
        insert_due(1)
        expired = claim()
        clock.shift(LEASE_SECONDS + 1)
        current = claim()
        stored = Job.objects.get().to_mongo()
        assert not change(expired)
        assert Job.objects.get().to_mongo() == stored
        assert job_lines(caplog) == []
        queue.complete(current)
        assert Job.objects.first() is None

    def test_retry_window_of_an_expired_lease_fails_nothing(self, clock, caplog):
        insert_due(1)
        expired = claim()
        clock.shift(RETRY_WINDOW)
        assert claim()
        queue.retry_later(expired, "late", 1)
        assert Job.objects.get().state == Job.QUEUED
        assert job_lines(caplog) == []

    def test_lease_outlasts_the_longest_smtp_dialogue(self):
        fields = SettingsSchema().fields
        dialogue, operation = (
            fields[f"{name}_TIMEOUT"].validate.max for name in ("MAIL", "MONGODB")
        )
        assert operation + dialogue + operation < LEASE_SECONDS < 90

    @pytest.mark.usefixtures("atomic")
    def test_one_of_16_simultaneous_workers_gets_a_job(self, app):
        insert_due(1)

        def claim_it(_):
            with app.app_context():
                return claim()

        jobs = run_simultaneously(16, claim_it)
        assert [job.attempts for job in jobs if job] == [1]

    @pytest.mark.usefixtures("atomic")
    def test_8_workers_claim_each_of_1000_jobs_once(self, app):
        insert_due(1_000)
        claimed = []

        def drain(_):
            with app.app_context():
                lanes = Lanes({})
                while job := lanes.claim():
                    claimed.append(int(job.arguments["number"]))
                    queue.complete(job)

        run_simultaneously(8, drain)
        assert sorted(claimed) == list(range(1_000))
        assert Job.objects.count() == 0


@pytest.mark.usefixtures("context", "stopped_worker")
class TestFailedJobs:
    """What can't be done is kept."""

    def test_failed_job_is_kept_and_not_claimed(self, clock, caplog):
        insert_due(1)
        job = claim()
        queue.fail(job, "impossible")
        clock.shift(LEASE_SECONDS + 1)
        assert claim() is None
        kept = Job.objects(state=Job.FAILED).get()
        assert (kept.id, kept.attempts, kept.last_error) == (job.id, 1, "impossible")
        assert job_lines(caplog) == [f"Job {job.id} (test) failed: impossible; it is kept"]

    def test_failed_jobs_can_be_queued_for_another_window(self, clock):
        other = Job(kind="other", state=Job.FAILED, created_at=0, run_at=0).save()
        insert_due(2)
        queue.fail(claim(), "impossible")
        clock.shift(RETRY_WINDOW)
        assert queue.retry_failed(KIND) == 1
        clock.shift(1)
        assert Job.objects(state=Job.FAILED).get().id == other.id
        for job in (claim(), claim()):
            queue.retry_later(job, "not yet", 1)
        # The other job has been queued since the beginning.
        assert sorted(job.state for job in Job.objects(kind=KIND)) == [Job.FAILED, Job.QUEUED]
        # Attempts go on: they are the fencing token, and a worker may still hold an earlier claim.
        assert [job.attempts for job in Job.objects(kind=KIND, state=Job.QUEUED)] == [2]

    def test_failed_jobs_can_be_deleted(self):
        Job(kind="other", state=Job.FAILED, created_at=0, run_at=0).save()
        insert_due(2)
        queue.fail(claim(), "impossible")
        assert queue.delete_failed(KIND) == 1
        assert sorted((job.kind, job.state) for job in Job.objects) == [
            ("other", Job.FAILED),
            (KIND, Job.QUEUED),
        ]

    def test_cancelled_job_is_deleted(self):
        first, second = enqueue(2)
        queue.cancel(first)
        assert [str(job.id) for job in Job.objects] == [second]


class TestBackoff:
    """How long to wait after how many failures."""

    @pytest.mark.parametrize("failures", [*range(12), 10_000])
    def test_delay_doubles_up_to_a_maximum(self, failures):
        longest = min(FIRST_DELAY_SECONDS * 2.0 ** min(failures, 100), MAX_DELAY_SECONDS)
        delays = [backoff.backoff_delay(failures) for _ in range(100)]
        assert all(0.5 * longest <= delay <= 1.5 * longest for delay in delays)
        assert max(delays) > 1.2 * min(delays), "no jitter"


class TestWorker:
    """What the worker does with the outcome of a handler."""

    def test_jobs_of_a_batch_share_one_entry_of_their_handler(self, work, handler):
        enqueue(5)
        work()
        assert sorted(handler.handled) == ["0", "1", "2", "3", "4"]
        assert handler.batches == 1
        assert Job.objects.first() is None

    def test_job_without_a_receiver_is_done(self, work, handler):
        handler.handle = lambda job: False
        enqueue(1)
        work()
        assert Job.objects.first() is None

    def test_later_retries_are_rarer_and_end_after_a_day(self, work, handler, clock):
        def retry(job):
            raise RetryLater("not yet")

        handler.handle = retry
        enqueue(1)
        begin, delays = time.time(), []
        work()
        for attempt in range(1, 12):
            job = Job.objects(attempts=attempt, last_error="not yet").get()
            delays.append(job.run_at - time.time())
            work(delays[-1] - 0.01)
            assert Job.objects.get().attempts == attempt
            work(0.02)
        for failures, delay in enumerate(delays):
            longest = min(FIRST_DELAY_SECONDS * 2**failures, MAX_DELAY_SECONDS)
            assert 0.5 * longest <= delay <= 1.5 * longest
        clock.move_to(begin + RETRY_WINDOW - 1)
        work(0)
        assert Job.objects.get().state == Job.QUEUED
        work(1.5 * MAX_DELAY_SECONDS)
        job = Job.objects.get()
        assert (job.state, job.attempts, job.last_error) == (Job.FAILED, 14, "not yet")

    def test_retry_is_logged(self, work, handler, caplog):
        def retry(job):
            raise RetryLater("not yet")

        handler.handle = retry
        (job_id,) = enqueue(1)
        work()
        (line,) = job_lines(caplog)
        assert line.startswith(f"Job {job_id} (test): not yet; next attempt in ")

    def test_failure_is_kept_and_logged_once(self, work, handler, caplog):
        def fail(job):
            raise Fail("impossible")

        handler.handle = fail
        (job_id,) = enqueue(1)
        work()
        work(3600)
        assert handler.handled == ["0"]
        assert Job.objects.get().state == Job.FAILED
        assert job_lines(caplog) == [f"Job {job_id} (test) failed: impossible; it is kept"]

    @pytest.mark.parametrize("error", [RetryLater, Fail, ZeroDivisionError])
    def test_failing_job_leaves_the_others_alone(self, work, handler, error):
        def fail_second(job):
            if job.arguments["number"] == "1":
                raise error("no")
            return True

        handler.handle = fail_second
        enqueue(3)
        work()
        assert sorted(handler.handled) == ["0", "1", "2"]
        assert Job.objects.get().arguments == {"number": "1"}

    def test_bug_delays_its_job_and_is_logged(self, work, handler, caplog):
        handler.handle = lambda job: {}["ada@example.com"]
        (job_id,) = enqueue(1)
        work()
        job = Job.objects.get()
        assert (job.state, job.last_error) == (Job.QUEUED, "KeyError")
        (record,) = [r for r in caplog.records if job_id in r.getMessage()]
        (*_, frame) = traceback.extract_tb(record.exc_info[2])
        assert frame.filename == __file__
        assert "ada@example.com" not in str(record.exc_info[1])

    def test_database_error_delays_its_job_without_traceback(self, work, handler, caplog):
        def fail(job):
            raise AutoReconnect("ada@example.com")

        handler.handle = fail
        (job_id,) = enqueue(1)
        work()
        assert Job.objects.get().last_error == "AutoReconnect"
        (record,) = [r for r in caplog.records if job_id in r.getMessage()]
        assert record.exc_info is None
        assert "ada@example.com" not in caplog.text

    def test_unknown_kind_is_left_to_a_later_version(self, work, handler, caplog):
        Job.insert("unknown", {}, run_at=time.time())
        enqueue(1)
        work()
        job = Job.objects.get()
        assert (job.state, job.attempts) == (Job.QUEUED, 1)
        assert job.run_at > time.time()
        assert job.last_error == "no handler for jobs of kind unknown"
        assert handler.handled == ["0"]
        assert len(job_lines(caplog)) == 1


class TestLanes:
    """No destination delays the jobs of others."""

    def test_lanes_take_turns(self, work, handler):
        insert_due(9, lambda number: "many" if number < 7 else f"few{number}")
        work()
        assert handler.handled[:3] == ["0", "7", "8"]
        assert handler.handled[3:] == ["1", "2", "3", "4", "5", "6"]

    def test_lane_beyond_a_batch_has_its_turn(self, work, handler, monkeypatch):
        monkeypatch.setattr(lanes, "BATCH_SIZE", 3)
        insert_due(12, lambda number: "few" if number in (9, 11) else "many")
        work()
        assert handler.handled == ["0", "1", "2", "9", "11", "3", "4", "5", "6", "7", "8", "10"]

    def test_turn_ends_after_a_while(self, work, handler, monkeypatch):
        monkeypatch.setattr(lanes, "TURN_SECONDS", 0.0)
        insert_due(4, lambda number: "many")

        def enqueue_other(job):
            if job.arguments["number"] == "0":
                Job.insert(KIND, {"number": "new"}, run_at=9.0, lane="few")

        handler.handle = enqueue_other
        work()
        assert handler.handled == ["0", "new", "1", "2", "3"]

    @pytest.mark.parametrize("lane", ["ill", None])
    def test_ill_lane_waits_until_nothing_else_is_due(self, work, handler, lane):
        insert_due(60, lambda number: "well" if number >= 5 else lane)

        def ail(job):
            if job.lane == lane:
                raise PauseLane("ill")

        handler.handle = ail
        work()
        well = [str(number) for number in range(5, 60)]
        assert sorted(handler.handled) == sorted([*well, "0", "1", "2", "3", "4"])
        assert handler.handled[0] == "0"
        assert handler.handled[-4:] == ["1", "2", "3", "4"]
        assert {job.last_error for job in Job.objects} == {"ill"}

    def test_slow_lane_has_one_job_at_a_time(self, work, handler, monkeypatch):
        """While it is handled other jobs become due."""
        monkeypatch.setattr(lanes, "SLOW_SECONDS", -1.0)  # every job is slow
        insert_due(3, lambda number: "slow")

        def enqueue_other(job):
            if job.lane == "slow":
                Job.insert(KIND, {"number": f"after {job.arguments['number']}"}, 9.0, str(job.id))

        handler.handle = enqueue_other
        work()
        assert handler.handled == ["0", "after 0", "1", "after 1", "2", "after 2"]

    def test_slow_lanes_take_turns(self, work, handler):
        insert_due(6, lambda number: "a" if number < 4 else "b")

        def ail(job):
            raise PauseLane("ill")

        handler.handle = ail
        work()
        assert handler.handled == ["0", "4", "1", "5", "2", "3"]

    def test_lane_is_well_after_a_quick_job(self, work, handler):
        insert_due(3, lambda number: "a")
        handler.handle = raise_once(PauseLane("ill"))
        work()
        insert_due(2, lambda number: "ab"[number])
        handler.handled.clear()
        work()
        assert handler.handled == ["0", "1"]

    def test_quick_lane_waits_for_one_slow_job(self, work, handler, monkeypatch):
        """Each of the others is slow for the first time."""
        monkeypatch.setattr(lanes, "TURN_SECONDS", 0.0)
        Job.insert(KIND, {"number": "first"}, run_at=0, lane="quick")
        work()

        def ail(job):
            if job.lane != "quick":
                Job.insert(KIND, {"number": f"after {job.lane}"}, run_at=9, lane="quick")
                raise PauseLane("ill")

        handler.handle = ail
        insert_due(4, lambda number: f"slow{number}")
        work()
        expected = [name for number in range(4) for name in (str(number), f"after slow{number}")]
        assert handler.handled == ["first", *expected]

    def test_new_lane_has_a_turn_beside_quick_ones(self, work, handler, monkeypatch):
        monkeypatch.setattr(lanes, "BATCH_SIZE", 2)
        Job.insert(KIND, {"number": "first"}, run_at=0, lane="quick")
        work()
        insert_due(6, lambda number: "new" if number == 5 else "quick")
        work()
        assert handler.handled == ["first", "0", "1", "5", "2", "3", "4"]

    def test_illness_ends_after_a_while(self, work, handler, monkeypatch):
        monkeypatch.setattr(lanes, "SLOW_LANE_SECONDS", 0.0)
        monkeypatch.setattr(lanes, "BATCH_SIZE", 2)
        insert_due(6, lambda number: "ab"[number % 2])
        handler.handle = raise_once(PauseLane("ill"))
        work()
        assert handler.handled == ["0", "1", "2", "4", "3", "5"]

    def test_pause_of_the_queue_makes_no_lane_slow(self, work, handler, short_delays):
        insert_due(4, lambda number: "ab"[number % 2])
        handler.handle = raise_once(PauseQueue("away"))
        work()
        work(0)
        assert handler.handled[:3] == ["0", "1", "2"]

    def test_many_lanes_are_not_remembered(self, work, handler, monkeypatch):
        monkeypatch.setattr(lanes, "MAX_LANES", 2)
        insert_due(8, lambda number: f"lane{number}")

        def ail(job):
            raise PauseLane("ill")

        handler.handle = ail
        work()
        assert sorted(handler.handled) == [str(number) for number in range(8)]

    def test_job_of_an_earlier_version_has_no_lane(self, work, handler):
        insert_due(2)
        Job.objects.update(unset__lane=1, unset__waits_for_service=1)
        insert_due(1, lambda number: "a")
        work()
        assert sorted(handler.handled) == ["0", "0", "1"]


def raise_once(error):
    """Return a handler that raises error for its first job."""
    errors = iter([error])

    def handle(job):
        if raised := next(errors, None):
            raise raised

    return handle


class TestUnneededJobs:
    """Jobs that need no handling are deleted many at once."""

    @pytest.fixture
    def unneeded(self, monkeypatch):
        """Return the numbers of the jobs that need no handling."""
        numbers = set()

        def find_unneeded(jobs):
            return {job["_id"] for job in jobs if job["arguments"]["number"] in numbers}

        monkeypatch.setitem(UNNEEDED_JOBS, KIND, find_unneeded)
        return numbers

    def test_they_are_done_without_being_handled(self, work, handler, unneeded):
        unneeded |= {str(number) for number in range(5, 200)}
        insert_due(201)
        before = done_jobs()
        work()
        assert sorted(handler.handled) == ["0", "1", "2", "200", "3", "4"]
        assert Job.objects.first() is None
        assert done_jobs() - before == 201

    def test_claimed_one_is_left_to_its_worker(self, work, handler, unneeded):
        insert_due(1)
        claimed = claim()
        unneeded.add("0")
        assert delete_due([claimed.id]) == 0
        work(0)
        assert Job.objects.get().attempts == 1

    def test_other_kinds_are_not_asked(self, work, handler, unneeded):
        unneeded.add("0")
        Job.insert("other", {}, run_at=0)
        insert_due(1)
        work()
        assert Job.objects.get().kind == "other"


def done_jobs():
    """Return how many jobs of kind `test` were done."""
    return metrics.JOBS.labels(KIND, metrics.DONE)._value.get()


class TestCount:
    """The metrics count jobs, whatever there was to do."""

    @pytest.mark.parametrize("outcome", [True, False])
    def test_job_that_is_done_counts(self, work, handler, outcome):
        before = done_jobs()
        handler.handle = lambda job: outcome
        enqueue(3)
        work()
        assert done_jobs() - before == 3

    def test_job_that_another_worker_has_does_not_count(self, work, handler, clock):
        def expire(job):
            clock.shift(LEASE_SECONDS + 1)
            claim()
            return True

        before = done_jobs()
        handler.handle = expire
        enqueue(1)
        work()
        assert done_jobs() == before


@pytest.mark.usefixtures("short_delays")
class TestPause:
    """A receiver that is away delays all jobs."""

    def test_pause_leaves_the_other_jobs_unclaimed(self, work, handler, caplog):
        def pause(job):
            raise PauseQueue("away")

        handler.handle = pause
        enqueue(3)
        work()
        assert len(handler.handled) == 1
        assert sorted(job.attempts for job in Job.objects(state=Job.QUEUED)) == [0, 0, 1]
        assert Job.objects(attempts=1).get().last_error == "away"
        (line,) = job_lines(caplog)
        assert "away; next attempt in 0 s" in line

    def test_pause_is_longer_after_each_failure(self, work, handler, clock):
        pauses = self._pauses(work, handler, clock, 6)
        for failures, pause in enumerate(pauses):
            assert 0.5 <= pause / (0.002 * 2**failures) <= 1.5

    def test_success_makes_the_next_pause_short(self, work, handler, clock):
        self._pauses(work, handler, clock, 6)
        handler.handle = lambda job: True
        work(LEASE_SECONDS + 1)
        assert Job.objects.first() is None
        (pause,) = self._pauses(work, handler, clock, 1)
        assert pause <= 1.5 * 0.002

    def test_job_without_a_receiver_does_not_shorten_pauses(self, work, handler, clock):
        self._pauses(work, handler, clock, 3)
        handler.handle = lambda job: False
        work(LEASE_SECONDS + 1)
        (pause,) = self._pauses(work, handler, clock, 1)
        assert pause >= 0.5 * 0.002 * 2**3

    def test_job_of_another_kind_does_not_shorten_pauses(self, work, handler, clock):
        self._pauses(work, handler, clock, 3)
        handler.handle = lambda job: False
        queue.enqueue(STORE_EVENT, LANE, event="login_failed", at=repr(time.time()))
        work(LEASE_SECONDS + 1)
        assert StoredEvent.objects.count() == 1
        (pause,) = self._pauses(work, handler, clock, 1)
        assert pause >= 0.5 * 0.002 * 2**3

    def test_receiver_can_set_the_pause(self, work, handler):
        def pause(job):
            raise PauseQueue("away", 0.05)

        handler.handle = pause
        enqueue(1)
        work()
        assert Job.objects.get().run_at - time.time() == pytest.approx(0.05, abs=0.001)

    @staticmethod
    def _pauses(work, handler, clock, count):
        """Return how long each of so many pauses is."""

        def pause(job):
            raise PauseQueue("away")

        handler.handle = pause
        enqueue(1)
        pauses = []
        for _ in range(count):
            work()
            pauses.append(Job.objects.get().run_at - time.time())
        return pauses


class TestThread:
    """The thread of a process."""

    def test_process_has_one_thread_whatever_starts_it(self, app):
        def threads():
            return {thread for thread in threading.enumerate() if thread.name == "worker"}

        before = threads()
        run_simultaneously(16, lambda _: app.extensions["worker"].start())
        assert len(threads() - before) == 1

    def test_thread_works_on_what_an_earlier_process_left(self, handler, app):
        insert_due(3)
        app.extensions["worker"].start()
        wait_until(lambda: handler.handled == ["0", "1", "2"])
        wait_until(lambda: Job.objects.first() is None)

    def test_stop_ends_after_the_current_job(self, handler, app):
        begun, finish = threading.Event(), threading.Event()

        def wait(job):
            begun.set()
            return finish.wait(10)

        handler.handle = wait
        insert_due(3)
        worker = app.extensions["worker"]
        worker.start()
        assert begun.wait(10)
        stop = threading.Thread(target=worker.stop)
        stop.start()
        wait_until(worker._stopping.is_set)
        finish.set()
        stop.join()
        assert handler.handled == ["0"]
        assert [job.attempts for job in Job.objects] == [0, 0]

    def test_stop_does_not_wait_for_a_pause(self, handler, app):
        def pause(job):
            raise PauseQueue("away", 900)

        handler.handle = pause
        insert_due(2)
        worker = app.extensions["worker"]
        worker.start()
        wait_until(lambda: Job.objects(last_error="away").first())
        worker.stop()
        assert not worker._thread.is_alive()


class TestDeleteMovies:
    """Jobs of kind delete_movies."""

    @pytest.fixture(autouse=True)
    def users(self, context):
        """Sign Ada and Eve up, with a movie each; return Ada."""
        ada, eve = auth_service.sign_up(**ADA), auth_service.sign_up(**EVE, role=ADMIN)
        for user in (ada, eve):
            movie_service.add(user, user.email, ["Ada"], ["Drama"])
        queue.enqueue(movie_service.DELETE_MOVIES, user_id=str(ada.id))
        return ada

    def test_movies_of_a_deleted_user_are_deleted(self, work, users):
        User.objects(id=users.id).delete()
        work()
        assert [movie.name for movie in Movie.objects] == [EVE["email"]]
        assert Job.objects.first() is None

    def test_job_waits_while_the_user_is_being_deleted(self, work, users):
        work()
        job = Job.objects.get()
        assert (job.state, job.last_error) == (Job.QUEUED, "the user still exists")
        User.objects(id=users.id).delete()
        work(1.5 * FIRST_DELAY_SECONDS)
        assert Movie.objects.count() == 1
        assert Job.objects.first() is None

    def test_movies_stay_if_the_deletion_did_not_happen(self, work):
        work(LEASE_SECONDS + 1)
        assert Movie.objects.count() == 2
        assert Job.objects.first() is None


class TestIndexes:
    @pytest.mark.parametrize("owned", [JOBS, JOBS_BY_ID, NOTICES], ids=lambda it: it.field)
    def test_jobs_of_a_user_are_found_by_index(self, documents, owned):
        ensure_indexes(Job)
        found = owned.find_all(User(id="a" * 24, email=ADA["email"]), state=Job.FAILED)
        plan = str(get_db()["job"].find(found._query).explain())
        assert f"idx_job_{owned.field.replace('__', '_')}" in plan or "IXSCAN" in plan, plan
