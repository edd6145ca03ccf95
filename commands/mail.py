"""`flask --app app mail`: manage queued and failed emails."""

import click

from commands.group import Group
from database.models import Job
from database.sent_mail import SentMail
from jobs import queue
from schemas.base import iso
from services.mail_queue import SEND_EMAIL

mail = Group("mail", "Manage queued and failed emails.")


@mail.command("list")
def list_mails() -> None:
    """List queued and failed emails: id, state, attempts, time, template, email, last error."""
    for job in Job.objects(kind=SEND_EMAIL).order_by("id"):
        state = f"{job.state:6}  {job.attempts:3}  {iso(job.created_at)}"
        arguments = f"{job.arguments['mail']}  {job.arguments['email']}"
        click.echo(f"{job.id}  {state}  {arguments}  {job.last_error or ''}".rstrip())


@mail.command()
def retry() -> None:
    """Queue the failed emails again, for another day."""
    click.echo(f"{queue.retry_failed(SEND_EMAIL)} queued again")


@mail.command()
def purge() -> None:
    """Delete the failed emails, and development's copies of sent ones."""
    deleted = queue.delete_failed(SEND_EMAIL) + SentMail.objects.delete()
    click.echo(f"{deleted} deleted")
