"""What several tests of commands ask for."""

from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask


@pytest.fixture
def shell(app: Flask) -> Callable[..., Result]:
    """Return a function that runs a command in this process."""
    runner = app.test_cli_runner()
    return lambda *words, typed="": runner.invoke(args=words, input=typed)
