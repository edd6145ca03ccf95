"""`flask --app app movies`: manage the bag."""

import sys
from pathlib import Path

import click

from commands.group import Group
from commands.movie_import import import_file
from commands.users import find_user

# The owner of movies that came from a file: an id that no user has.
NO_OWNER = "0" * 24

movies = Group("movies", "Manage the bag of movies.")


@movies.command("import", creates=True)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--by", metavar="EMAIL", help="Who added the movies; without it, nobody.")
def import_movies(file: Path, by: str | None) -> None:
    """Add the movies of FILE; names that are taken are skipped.

    A name that ends with .csv is CSV with a header of name, casts and genres, and `|` between casts
    and between genres. Any other file has a JSON object with these fields on each line.
    """
    if not file.is_file():
        raise click.BadParameter("Must be a file that can be read twice.")
    owner_id = str(find_user(by).id) if by else NO_OWNER
    with file.open("rb") as lines:
        length = sum(1 for _ in lines)
    hidden = not sys.stderr.isatty()
    with click.progressbar(
        length=length, file=sys.stderr, hidden=hidden, update_min_steps=100
    ) as bar:
        result = import_file(file, owner_id, _print_error, bar.update)
    click.echo(f"{result.added} added, {result.skipped} skipped, {result.invalid} invalid")


def _print_error(number: int, reason: str) -> None:
    # Names of fields come from the file: they may hold escape sequences of a terminal.
    click.echo(f"line {number}: {reason if reason.isprintable() else ascii(reason)}", err=True)
