"""`flask --app app secret`: generate keys, and rotate that of stored secrets."""

import secrets

import click
from flask import current_app

from commands.group import Group
from database.startup import open_database
from production_checks import SECRET_BYTES
from services import secret_service


def generate() -> None:
    """Print a random key, unless a command of the group is given."""
    if click.get_current_context().invoked_subcommand is None:
        click.echo(secrets.token_urlsafe(SECRET_BYTES))


secret = Group(
    "secret",
    "Generate a key for JWT_SECRET_KEY or SECRETS_KEY and print it.",
    open_database,  # the checks at the start would stop what remedies them
    invoke_without_command=True,
    callback=generate,
    subcommand_metavar="[COMMAND]",
)


@secret.command("rotate")
@click.option(
    "--remove-lost",
    is_flag=True,
    help="Turn off the second factor of users whose key is missing: the password is enough then.",
)
def encrypt_again(remove_lost: bool) -> None:
    """Encrypt every stored secret under the first key of SECRETS_KEY.

    It can be interrupted and run again.
    """
    keys = current_app.config["SECRETS_KEYS"]
    if remove_lost:
        click.echo(f"{secret_service.remove_lost(keys)} turned off")
    done = secret_service.encrypt_again(keys)
    click.echo(f"{done.encrypted} encrypted again")
    if done.unreadable:
        raise click.ClickException(f"{done.unreadable} can't be decrypted: changed while stored.")
