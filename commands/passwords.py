"""`flask passwords`: lists of stolen passwords."""

from pathlib import Path
from typing import BinaryIO

import click

from infra import breached_passwords
from infra.breached_passwords import UnusableList


@click.group("passwords")
def passwords() -> None:
    """Manage the list of stolen passwords."""


@passwords.command()
@click.argument("source", metavar="LIST", type=click.File("rb"))
@click.argument("target", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
def build(source: BinaryIO, target: Path) -> None:
    """Write LIST to FILE in the form that PASSWORD_BREACHED reads.

    LIST has a password on each line, or its SHA-1 digest in hex as the lists of haveibeenpwned.com
    have, maybe with a count after a colon; - is standard input.
    """
    try:
        number = breached_passwords.build(source, target)
    except (UnusableList, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{number} passwords in {target}")
