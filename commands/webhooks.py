"""`flask --app app webhooks`: manage queued and failed webhooks."""

import click

from commands.group import Group
from commands.job_queue import delete_jobs, line, read_jobs, state_option
from database.models import Stored
from jobs import queue
from services.webhook_service import NOTHING, SEND_WEBHOOK

webhooks = Group("webhooks", "Manage queued and failed webhooks.")


@webhooks.command("list")
@state_option
def list_webhooks(state: str | None) -> None:
    """List queued and failed webhooks: id, state, attempts, time, type, user, host, last error."""
    for job in read_jobs(SEND_WEBHOOK, state):
        if job["arguments"]["type"] != NOTHING:
            click.echo(line(job, _describe))


def _describe(job: Stored) -> str:
    arguments = job["arguments"]
    return f"{arguments['type']}  {arguments['user']}  {job['lane']}"


@webhooks.command()
@click.argument("webhook_ids", metavar="ID...", nargs=-1, required=True)
def delete(webhook_ids: tuple[str, ...]) -> None:
    """Delete queued or failed webhooks: they are not sent."""
    delete_jobs(SEND_WEBHOOK, webhook_ids, "webhook")


@webhooks.command()
def retry() -> None:
    """Queue the failed webhooks again, for another day, with the ids that they had."""
    click.echo(f"{queue.retry_failed(SEND_WEBHOOK)} queued again")


@webhooks.command()
def purge() -> None:
    """Delete the failed webhooks."""
    click.echo(f"{queue.delete_failed(SEND_WEBHOOK)} deleted")
