"""`flask --app app pseudonym`: find an email in the log."""

import click
from flask import current_app
from flask.cli import with_appcontext

from commands.users import normalize_email
from database.embedded.private_files import KEY_FILES
from infra.pseudonym import pseudonym
from services.errors import SchemaValidationError


@click.command("pseudonym")
@click.argument("email")
@with_appcontext
def print_pseudonym(email: str) -> None:
    """Print the pseudonym that EMAIL has in the log, for each key of JWT_SECRET_KEY."""
    click.echo(f"APP_ENV is {current_app.config['APP_ENV']}", err=True)
    try:
        normalized = normalize_email(email)
    except SchemaValidationError:
        raise click.ClickException("Not a valid email address.") from None
    for key in _signing_keys():
        click.echo(pseudonym(normalized, key))


def _signing_keys() -> list[str]:
    keys: list[str] = current_app.config["JWT_SECRET_KEYS"]
    if keys:
        return keys
    key = current_app.config["DATA_DIR"] / KEY_FILES["JWT_SECRET_KEY"].name
    if not key.exists():
        raise click.ClickException("There is no signing key yet: the server creates it.")
    return [key.read_text()]
