"""docs/tutorial, CONTRIBUTING.md, SECURITY.md: what they name exists, what they run does as shown.

The commands of docs/concepts are run here too.

In a table, the second column names a file and what that file defines, the third one tests.
"""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.definitions import defined_names
from tests.support.documentation import run_commands
from tests.support.markdown import Block, code, code_blocks, prose, prose_lines, tables
from tests.support.processes import HOME, Server, environment
from tests.support.repository_copy import BIN

TUTORIAL = sorted((HOME / "docs/tutorial").glob("*.md"))
PAGES = [*TUTORIAL, HOME / "CONTRIBUTING.md", HOME / "SECURITY.md"]
CONCEPTS = sorted((HOME / "docs/concepts").glob("*.md"))
PARTS = [page for page in TUTORIAL if page.name.startswith("part-")]
WITH_COMMANDS = [
    page
    for page in (*TUTORIAL, *CONCEPTS)
    if any(block.language == "sh" for block in code_blocks(page))
]
# The headings of a second column that names what is here.
NAMES_HERE = {"Here", "Its name here", "its one place"}
URL = "http://127.0.0.1:5000"
# A character that no command prints: it separates the output of one block from the next.
SEPARATOR = "\x1e"

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
each_part = pytest.mark.parametrize("page", PARTS, ids=lambda page: page.name)


@pytest.fixture(scope="module")
def server(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start `run.py` once for all pages."""
    settings = {"MONGODB_URI": database, "BCRYPT_LOG_ROUNDS": 4, "RATELIMIT_ENABLED": False}
    server = Server(tmp_path_factory.mktemp("server"), **settings)
    yield server
    server.kill()


def undefined(cell: str) -> list[str]:
    """Return the names in a cell that the file before them does not define."""
    wrong, path = [], ""
    for name in code(cell):
        if (HOME / name).is_file() or name.endswith("/"):
            path = name
        elif not path or name not in defined_names(HOME / path):
            wrong.append(name)
    return wrong if path else [cell]


def rows(page: Path) -> list[list[str]]:
    """Return the cells of all rows of the tables whose second column names what is here."""
    found = [rows for (_, second, *_), *rows in tables(prose_lines(page)) if second in NAMES_HERE]
    return list(chain.from_iterable(found))


class TestNames:
    @each_page
    def test_names_are_defined_in_their_files(self, page):
        assert [wrong for row in rows(page) for wrong in undefined(row[1])] == []

    @pytest.mark.parametrize("name", ["User.get", "get_by_email", "Film"])
    def test_undefined_name_is_found(self, name):
        assert undefined(f"`database/models.py`: `User.get_by_email`, `{name}`") == [name]

    def test_cell_without_a_file_is_found(self):
        assert undefined("`User`") == ["`User`"]

    @each_part
    def test_every_row_has_a_test(self, page):
        assert len(rows(page)) >= 8
        assert [row for row in rows(page) if "::" not in row[2]] == []


class TestIndex:
    def test_every_page_is_linked(self):
        index = prose(HOME / "docs/tutorial/index.md")
        links = {link for link in re.findall(r"\]\(([\w.-]+)\)", index)}
        assert links == {page.name for page in TUTORIAL if page.name != "index.md"}


class TestCommands:
    @pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
    def test_output_is_as_shown(self, server, documents, page):
        blocks = list(code_blocks(page))
        script = f"\nprintf '{SEPARATOR}'\n".join(b.source for b in blocks if b.language == "sh")
        outputs = execute(script, server)
        for output, block in zip(outputs, output_blocks(blocks), strict=True):
            assert re.search(pattern(block), output), (page.name, output)

    @pytest.mark.parametrize("output", ["{}\n1 failed", "1 passed {}", "{"])
    def test_other_output_is_found(self, output):
        assert not re.search(pattern("{…}\n1 passed\n"), output)


def execute(script: str, server: Server) -> list[str]:
    """Return the output of each block of a page."""
    replaced = {
        URL: server.url,
        "data/email.log": f"{server.data_dir}/email.log",
        ".venv/bin": str(BIN),
    }
    return run_commands(script, replaced, environment()).split(SEPARATOR)


def output_blocks(blocks: list[Block]) -> list[str]:
    """Return the block of output that follows each block of commands."""
    pairs = zip(blocks, blocks[1:], strict=False)
    return [following.source for block, following in pairs if block.language == "sh"]


def pattern(expected: str) -> str:
    """Return the pattern of an output that has these lines in this order; `…` is any text."""
    lines = (re.escape(line.strip()).replace("…", ".*") for line in expected.splitlines())
    return r"(?:.|\n)*?".join(lines)


class TestClaims:
    def test_database_of_the_tests_is_their_own(self, database):
        assert re.fullmatch(r"/movie-bag-test-[0-9a-f]{8}", urlsplit(database).path)
