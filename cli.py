"""What an operator does at the shell: `flask --app app user|mail|movies|secret|db …`."""

import secrets
import sys
import time
from pathlib import Path
from typing import Any

import click
from flask import Flask
from flask.cli import AppGroup

from config import SECRET_BYTES
from database.conformance import missing
from database.db import DATABASE_ERRORS
from database.models import ADMIN, USER, Mail, User
from movie_import import add_from
from resources.request import load
from resources.schemas import EmailSchema, NewUserSchema
from services import auth_service, user_service
from services.errors import ApiError
from services.times import iso

# The owner of movies that came from a file: an id that no user has.
NOBODY = "0" * 24


class Group(AppGroup):
    """Commands whose refusals are told in words."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; raises ClickException with what a service or the database refuses."""
        try:
            return super().invoke(ctx)
        except ApiError as error:
            reasons = [sentence for field in (error.errors or {}).values() for sentence in field]
            raise click.ClickException(" ".join(reasons or [error.message])) from None
        except DATABASE_ERRORS as error:
            raise click.ClickException(f"The database does not answer: {error}") from None


def _user_of(email: str) -> User:
    return user_service.of(load(EmailSchema(), {"email": email})["email"])


user = Group("user", help="Look after accounts.")
mail = Group("mail", help="Look after the outbox.")
movies = Group("movies", help="Look after the bag.")
db = Group("db", help="Look after the database.")


def initialize_commands(app: Flask) -> None:
    """Register every command."""
    for command in (user, mail, movies, db, secret):
        app.cli.add_command(command)


@click.command()
def secret() -> None:
    """Print a fit JWT_SECRET_KEY."""
    click.echo(secrets.token_urlsafe(SECRET_BYTES))


@user.command()
@click.argument("email")
@click.option("--name", help="What mails call the user.")
@click.option("--admin", is_flag=True, help="Let the user look after others.")
@click.password_option(help="Asked for when it is not given.")
def create(email: str, name: str | None, admin: bool, password: str) -> None:
    """Create an account."""
    fields = {"email": email, "password": password, "role": ADMIN if admin else USER}
    fields |= {"name": name} if name else {}
    click.echo(auth_service.sign_up(**load(NewUserSchema(), fields)).id)


@user.command("list")
def list_users() -> None:
    """List every account: id, role, since when, address."""
    for each in User.objects.exclude("sessions").order_by("id"):
        click.echo(f"{each.id}  {each.role:5}  {iso(each.created_at)}  {each.email}")


@user.command()
@click.argument("email")
def promote(email: str) -> None:
    """Make a user an admin."""
    user_service.set_role(_user_of(email), ADMIN)


@user.command()
@click.argument("email")
def demote(email: str) -> None:
    """Make an admin a user."""
    user_service.set_role(_user_of(email), USER)


@user.command()
@click.argument("email")
@click.confirmation_option(prompt="Delete the account and all that belongs to it?")
def delete(email: str) -> None:
    """Delete an account and all that belongs to it."""
    user_service.delete(_user_of(email))


@mail.command("list")
def list_mails() -> None:
    """List the outbox: id, state, attempts, since when, kind, address, last error."""
    for wish in Mail.objects.order_by("id"):
        facts = f"{wish.state:8}  {wish.attempts:3}  {iso(wish.created_at)}  {wish.kind}"
        click.echo(f"{wish.id}  {facts}  {wish.email}  {wish.last_error or ''}".rstrip())


@mail.command()
def retry() -> None:
    """Try again what was given up, for another day."""
    now = time.time()
    anew = {"state": Mail.WAITING, "created_at": now, "due_at": now, "attempts": 0}
    count = Mail.objects(state=Mail.GIVEN_UP).update(**anew)
    click.echo(f"{count} to be tried again")


@mail.command()
def purge() -> None:
    """Forget what was given up, and the copies of what was sent in development."""
    kept = sum(Mail.objects(state=state).delete() for state in (Mail.GIVEN_UP, Mail.SENT))
    click.echo(f"{kept} forgotten")


@movies.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--by", metavar="EMAIL", help="Whose movies they are; without it, nobody's.")
def import_movies(file: Path, by: str | None) -> None:
    """Add the movies of FILE, JSON lines or CSV; those that are there already are skipped."""
    if not file.is_file():
        raise click.BadParameter("Must be a file that can be read twice.")
    owner_id = str(_user_of(by).id) if by else NOBODY
    bad = 0

    def complain(number: int, reason: str) -> None:
        nonlocal bad
        bad += 1
        # Names of fields come from the file: they may hold what moves a terminal.
        click.echo(f"line {number}: {reason if reason.isprintable() else ascii(reason)}", err=True)

    with file.open("rb") as lines:
        length = sum(1 for _ in lines)
    hidden = not sys.stderr.isatty()
    with click.progressbar(
        length=length, file=sys.stderr, hidden=hidden, update_min_steps=100
    ) as bar:
        added, there = add_from(file, owner_id, complain, bar.update)
    click.echo(f"{added} added, {there} were there, {bad} bad")


@db.command()
def check() -> None:
    """Make the indexes, try every kind of operation that the product uses, say what is missing."""
    problems = missing()
    for problem in problems:
        click.echo(problem)
    if problems:
        raise click.ClickException("This database is not fit.")
    click.echo("All is there.")
