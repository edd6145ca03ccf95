"""The base of all command groups."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from database.db import DATABASE_ERRORS, without_credentials
from database.embedded.server import EmbeddedDatabase
from services.errors import ApiError
from services.startup import open_current_database


class Group(AppGroup):
    """Commands that open the database when they run, and print errors as sentences.

    The names of commands that may create the embedded database are in `creating`.
    """

    def __init__(
        self,
        name: str,
        help_text: str,
        opener: Callable[[Flask], None] = open_current_database,
        **options: Any,
    ):
        """Take the function that opens the database, and options of a click.Group."""
        super().__init__(name, help=help_text, **options)
        self._open = opener
        self.creating: set[str | None] = set()

    def command(self, *args: Any, creates: bool = False, **options: Any) -> Any:
        """Register a function as a command; `creates`: it may create the embedded database."""

        def decorate(function: Callable[..., Any]) -> click.Command:
            @wraps(function)
            def run(*arguments: Any, **given: Any) -> Any:
                announce_database(current_app.config, creates)
                self._open(current_app._get_current_object())  # type: ignore[attr-defined]  # of LocalProxy
                return function(*arguments, **given)

            command: click.Command = super(Group, self).command(*args, **options)(run)
            if creates:
                self.creating.add(command.name)
            return command

        return decorate

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; raises ClickException for every error of a service or the database."""
        try:
            return super().invoke(ctx)
        except ApiError as error:
            reasons = [sentence for field in (error.errors or {}).values() for sentence in field]
            raise click.ClickException(" ".join(reasons or [error.message])) from None
        except DATABASE_ERRORS as error:
            raise click.ClickException(f"The database does not answer: {error}") from None


def announce_database(config: Mapping[str, Any], creates: bool) -> None:
    """Print what a command works on; raises ClickException if it would read a new database."""
    uri, data_dir = config["MONGODB_URI"], config["DATA_DIR"]
    where = without_credentials(uri) if uri else f"embedded in {data_dir}"
    click.echo(f"APP_ENV is {config['APP_ENV']}, the database is {where}", err=True)
    if not (uri or creates or EmbeddedDatabase.exists(data_dir)):
        raise click.ClickException(
            f"There is no database in {data_dir} yet. Start the server first, or set APP_ENV and"
            " MONGODB_URI as the service has them."
        )
