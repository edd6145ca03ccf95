"""What the tests of the book ask for: the code after a chapter, and a reader who continues it."""

import secrets
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient

from scripts.book import CHAPTERS, write_blocks
from tests.support.book import Reader


@pytest.fixture(scope="session")
def code_after(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Return a function that returns the folder with the code after so many chapters, to copy."""

    @cache
    def code_after(chapters: int) -> Path:
        folder = tmp_path_factory.mktemp("code") / "my-bag"
        if chapters == 0:
            folder.mkdir()
        else:
            shutil.copytree(code_after(chapters - 1), folder)
            write_blocks(CHAPTERS[chapters - 1], folder)
        return folder

    return code_after


@pytest.fixture
def uri(database: str) -> Iterator[str]:
    """Return the URI of a database of its own for each test."""
    name = f"book-{secrets.token_hex(4)}"
    yield urlsplit(database)._replace(path=f"/{name}").geturl()
    with MongoClient(database) as client:
        client.drop_database(name)


@pytest.fixture
def reader(tmp_path: Path, uri: str) -> Iterator[Reader]:
    """Return a reader with an empty folder."""
    folder = tmp_path / "my-bag"
    folder.mkdir()
    reader = Reader(folder, uri)
    yield reader
    reader.close()
