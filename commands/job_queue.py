"""What the commands for jobs of one kind have in common: `mail` and `webhooks`."""

from collections.abc import Callable, Iterable, Iterator

import click
from bson import ObjectId

from database.db import read_all
from database.models import Job, Stored
from schemas.base import iso

FIELDS = ("kind", "state", "attempts", "created_at", "arguments", "lane", "last_error")

state_option = click.option(
    "--state", type=click.Choice([Job.QUEUED, Job.FAILED]), help="Only those in this state."
)


def read_jobs(kind: str, state: str | None) -> Iterator[Stored]:
    """Yield the jobs of a kind, all or those in a state, as stored."""
    for job in read_all(Job, *FIELDS):
        # Not a condition of the query: it would have to read them all within its time limit.
        if job["kind"] == kind and state in (None, job["state"]):
            yield job


def line(job: Stored, describe: Callable[[Stored], str]) -> str:
    """Return a line about a job: id, state, attempts, time, what it is, last error."""
    state = f"{job['state']:6}  {job['attempts']:3}  {iso(job['created_at'])}"
    return f"{job['_id']}  {state}  {describe(job)}  {job.get('last_error') or ''}".rstrip()


def delete_jobs(kind: str, job_ids: tuple[str, ...], noun: str) -> None:
    """Delete jobs of a kind; raises ClickException if one is missing."""
    jobs = Job.objects(id__in=object_ids(job_ids), kind=kind)
    found = {str(job.id) for job in jobs.only("id")}
    click.echo(f"{jobs.delete()} deleted")
    if missing := [job_id for job_id in job_ids if job_id.lower() not in found]:
        raise not_found(missing, noun)


def object_ids(job_ids: Iterable[str]) -> list[ObjectId]:
    """Return those that can be the id of a job."""
    return [ObjectId(job_id) for job_id in job_ids if ObjectId.is_valid(job_id)]


def not_found(job_ids: Iterable[str], noun: str) -> click.ClickException:
    """Return the error for ids that no job of the kind has."""
    return click.ClickException(f"No queued or failed {noun} has the id {', '.join(job_ids)}")
