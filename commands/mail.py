"""`flask --app app mail`: manage queued and failed emails."""

import click
from flask import current_app
from flask.cli import with_appcontext

from commands.group import Group
from commands.job_queue import (
    delete_jobs,
    line,
    not_found,
    object_ids,
    read_jobs,
    state_option,
)
from commands.users import normalize_email
from database.models import Job, Stored
from database.sent_mail import SentMail
from jobs import queue
from schemas.base import iso
from services import languages, mail_preview
from services.mail_kinds import MAILS
from services.mail_queue import SEND_EMAIL

NOUN = "email"

mail = Group("mail", "Manage queued and failed emails.")


@mail.command("list")
@state_option
@click.option("--email", help="Only those to this email.")
def list_mails(state: str | None, email: str | None) -> None:
    """List queued and failed emails: id, state, attempts, time, template, email, last error."""
    wanted = email and normalize_email(email)
    for job in read_jobs(SEND_EMAIL, state):
        if wanted in (None, _email(job)):
            click.echo(line(job, _describe))


def _email(job: Stored) -> str:
    """Return to whom an email goes: a notice carries its recipient."""
    arguments = job["arguments"]
    return str(arguments.get("email") or arguments.get("to", ""))


def _describe(job: Stored) -> str:
    return f"{job['arguments']['mail']}  {_email(job)}"


@mail.command()
@click.argument("mail_id", metavar="ID")
def show(mail_id: str) -> None:
    """Show a queued or failed email as it would be sent now, with a link that does not work."""
    job = Job.objects(id__in=object_ids([mail_id]), kind=SEND_EMAIL).first()
    if job is None:
        raise not_found([mail_id], NOUN)
    times = {"created": iso(job.created_at), "next attempt": iso(job.run_at)}
    stored = job.to_mongo()
    details = {"id": mail_id, "mail": job.arguments["mail"], "to": _email(stored)}
    details |= {"state": job.state, "attempts": job.attempts, **times}
    if job.state == Job.FAILED:
        del details["next attempt"]
    for name, value in (details | {"last error": job.last_error or "-"}).items():
        click.echo(f"{name}: {value}")
    click.echo(f"\n{mail_preview.render(job)}")


# It needs no database, so that the texts can be read before there is one.
@click.command()
@click.argument("kind", type=click.Choice(list(MAILS)))
@click.option("--locale", help="The language, one of MAIL_LOCALES; the first if it is not given.")
@click.option("--html", is_flag=True, help="Show the HTML in place of the text.")
@with_appcontext
def preview(kind: str, locale: str | None, html: bool) -> None:
    """Show an email with example data and a link that does not work."""
    locales = current_app.config["MAIL_LOCALES"]
    known = languages.parse_locale(locale) if locale else locales[0]
    if known is None:
        raise click.BadParameter(f"must be one of {', '.join(locales)}.", param_hint="--locale")
    content = mail_preview.preview(kind, known)
    click.echo(content.html if html else f"Subject: {content.subject}\n\n{content.text}")


mail.add_command(preview)


@mail.command()
@click.argument("mail_ids", metavar="ID...", nargs=-1, required=True)
def delete(mail_ids: tuple[str, ...]) -> None:
    """Delete queued or failed emails: they are not sent."""
    delete_jobs(SEND_EMAIL, mail_ids, NOUN)


@mail.command()
def retry() -> None:
    """Queue the failed emails again, for another day."""
    click.echo(f"{queue.retry_failed(SEND_EMAIL)} queued again")


@mail.command()
def purge() -> None:
    """Delete the failed emails, and development's copies of sent ones."""
    deleted = queue.delete_failed(SEND_EMAIL) + SentMail.objects.delete()
    click.echo(f"{deleted} deleted")
