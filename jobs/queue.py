"""The job queue in MongoDB: what requests leave to the background.

Any number of processes and machines work on one queue. A claim is a lease: if its process
crashes, the lease expires and the job is due again (at-least-once delivery).
"""

import logging
import time

from flask import current_app

from database.models import Job
from infra import metrics

# Work on a job begins after the response is sent: otherwise the work for an existing account would
# slow the response down and reveal the account.
SEND_DELAY = 0.3
# Longer than a job takes once the connection is open, when the lease is renewed: a dialogue within
# MAIL_TIMEOUT and two database operations. So no other process repeats a job that is worked on.
LEASE_SECONDS = 85.0
RETRY_WINDOW = 24 * 3600.0

logger = logging.getLogger(__name__)


def enqueue(kind: str, lane: str | None = None, **arguments: str) -> str:
    """Store a job that is due in SEND_DELAY seconds, wake the worker and return the job's id.

    Jobs of one lane have one destination: other jobs don't wait for it if it is slow.
    """
    job_id = Job.insert(kind, arguments, time.time() + SEND_DELAY, lane)
    current_app.extensions["worker"].wake()
    return job_id


def renew_lease(job: Job) -> bool:
    """Lease a claimed job for another LEASE_SECONDS; return False if another worker has it."""
    job.resumed_at = time.monotonic()
    return job.update_claimed(set__run_at=time.time() + LEASE_SECONDS)


def complete(job: Job) -> None:
    """Delete and count a claimed job that is done."""
    if job.delete_claimed():
        metrics.JOBS.labels(job.kind, metrics.DONE).inc()


def cancel(job_id: str | None) -> None:
    """Delete a job that must not be done, if there is one."""
    Job.objects(id=job_id).delete()


def retry_later(
    job: Job,
    reason: str,
    delay: float,
    unexpected: Exception | None = None,
    waits_for_service: bool = False,
) -> None:
    """Make a claimed job due again in delay seconds, or fail it once RETRY_WINDOW is over.

    The log has the traceback of an unexpected error.
    """
    changes = {"run_at": time.time() + delay, "waits_for_service": waits_for_service}
    if job.age >= RETRY_WINDOW:
        fail(job, reason)
    elif job.update_claimed(last_error=reason, **changes):
        message, extra = "Job %s (%s): %s; next attempt in %.0f s", {"job": str(job.id)}
        logger.warning(message, job.id, job.kind, reason, delay, exc_info=unexpected, extra=extra)


def fail(job: Job, reason: str, is_kept: bool = True) -> None:
    """Keep a claimed job that can't be done, with the reason, or delete it."""
    changes = {"state": Job.FAILED, "last_error": reason}
    if job.update_claimed(**changes) if is_kept else job.delete_claimed():
        metrics.JOBS.labels(job.kind, metrics.FAILED).inc()
        message, end = "Job %s (%s) failed: %s; it is %s", "kept" if is_kept else "deleted"
        logger.error(message, job.id, job.kind, reason, end, extra={"job": str(job.id)})


def retry_failed(kind: str) -> int:
    """Queue the failed jobs of a kind again, for another RETRY_WINDOW; return their number."""
    now = time.time()
    queued = {"state": Job.QUEUED, "created_at": now, "run_at": now, "waits_for_service": False}
    return int(Job.objects(state=Job.FAILED, kind=kind).update(**queued))


def delete_failed(kind: str) -> int:
    """Delete the failed jobs of a kind; return their number."""
    return int(Job.objects(state=Job.FAILED, kind=kind).delete())
