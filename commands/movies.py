"""`flask --app app movies`: manage the bag."""

from functools import partial
from pathlib import Path

import click

from commands.group import Group
from commands.line_import import run_import
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
    owner_id = str(find_user(by).id) if by else NO_OWNER
    run_import(file, partial(import_file, file, owner_id))
