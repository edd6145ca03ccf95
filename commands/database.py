"""`flask --app app db`: check and upgrade the database."""

import click

from commands.group import Group
from database.compatibility import run_checks
from database.migrations import upgrade
from services.startup import open_database_of_any_version

db = Group("db", "Manage the database.", open_database_of_any_version)


@db.command()
def check() -> None:
    """Create the indexes, try every operation that the product needs, list what fails."""
    problems = run_checks()
    for problem in problems:
        click.echo(problem)
    if problems:
        raise click.ClickException("This database is incompatible.")
    click.echo("This database is compatible.")


@db.command("upgrade")
@click.option("--again", is_flag=True, help="Run the latest change again if none is due.")
def upgrade_documents(again: bool) -> None:
    """Change the documents that an earlier version stored.

    CHANGELOG.md says whether all its processes must be stopped first. It can be interrupted and
    run again.
    """
    if not upgrade(on_start=click.echo, again=again):
        click.echo("Nothing to upgrade.")
