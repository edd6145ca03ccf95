"""The base of all command groups."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from database.db import DATABASE_ERRORS
from database.startup import open_current_database
from services.errors import ApiError


class Group(AppGroup):
    """Commands that open the database when they run, and print errors as sentences."""

    def __init__(
        self, name: str, help_text: str, opener: Callable[[Flask], None] = open_current_database
    ):
        """Take the function that opens the database."""
        super().__init__(name, help=help_text)
        self._open = opener

    def command(self, *args: Any, **options: Any) -> Any:
        """Register a function as a command."""

        def decorate(function: Callable[..., Any]) -> click.Command:
            @wraps(function)
            def run(*arguments: Any, **given: Any) -> Any:
                self._open(current_app._get_current_object())  # type: ignore[attr-defined]
                return function(*arguments, **given)

            return super(Group, self).command(*args, **options)(run)

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
