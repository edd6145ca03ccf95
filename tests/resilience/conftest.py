"""What several tests with a browser ask for."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.browser import chromium
from tests.support.front_end import FrontEnd


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a Chromium for the tests of a module."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def front_end() -> Iterator[FrontEnd]:
    """Return a server of pages at an origin of its own."""
    front_end = FrontEnd()
    with front_end.run():
        yield front_end
