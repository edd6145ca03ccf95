"""`flask --app app secret`: generate a signing key."""

import secrets

import click

from config import SECRET_BYTES


@click.command()
def secret() -> None:
    """Generate a JWT_SECRET_KEY and print it."""
    click.echo(secrets.token_urlsafe(SECRET_BYTES))
