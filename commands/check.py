"""`flask --app app check`: whether the service can run as it is."""

import click
from flask import current_app
from flask.cli import with_appcontext

from commands.group import announce_database
from database.startup import open_database
from services.check_service import run_checks


@click.command("check")
@with_appcontext
def check() -> None:
    """Check settings, database, indexes, migrations, clock, limits, mail and keys, a line each.

    The exit status is 1 if one fails.
    """
    announce_database(current_app.config, creates=False)
    open_database(current_app._get_current_object())  # type: ignore[attr-defined]  # of LocalProxy
    outcomes = []
    for outcome in run_checks():
        outcomes.append(outcome)
        click.echo(f"{'ok' if outcome.is_ok else 'FAILED':6}  {outcome.name}: {outcome.found}")
    if not all(outcome.is_ok for outcome in outcomes):
        raise click.exceptions.Exit(1)
