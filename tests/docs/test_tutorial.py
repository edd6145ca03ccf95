"""docs/tutorial, CONTRIBUTING.md, SECURITY.md: what they name exists, what they run does as shown.

In a table, the second column names a file and what that file defines, the third one tests.
"""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.markdown import Block, code_blocks
from tests.support.processes import HOME, Server, environment

TUTORIAL = sorted((HOME / "docs/tutorial").glob("*.md"))
PAGES = [*TUTORIAL, HOME / "CONTRIBUTING.md", HOME / "SECURITY.md"]
PARTS = [page for page in TUTORIAL if page.name.startswith("part-")]
WITH_COMMANDS = [
    page for page in TUTORIAL if any(block.language == "sh" for block in code_blocks(page))
]
FENCED = re.compile(r"^```.*?^```$", re.S | re.M)
CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"(?!/)[\w./-]+\.(py|md|txt|html|conf|toml|jsonl|yaml|http)")
TABLE = re.compile(r"^\| .+ \| (?:Here|Its name here|its one place) \|.*\n.*\n((?:\|.*\n)+)", re.M)
ROW = re.compile(r"^\| (.+) \|$", re.M)
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


def text_of(page: Path) -> str:
    return FENCED.sub("", page.read_text())


@cache
def defined_names(path: str) -> set[str]:
    """Return the names that a module and its classes define, as `User.get_by_email`."""
    return set(_names(ast.parse((HOME / path).read_text()), ""))


def _names(scope: ast.Module | ast.ClassDef, prefix: str) -> Iterator[str]:
    for node in scope.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from _names(node, f"{prefix}{node.name}.")
        for target in assigned(node):
            yield prefix + ast.unparse(target)


def assigned(node: ast.stmt) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, ast.AnnAssign) else []


def missing(text: str) -> list[str]:
    """Return the files and tests in a text that do not exist."""
    return [code for code in CODE.findall(text) if not exists(code)]


def exists(code: str) -> bool:
    path, *names = code.split("::")
    if not FILE.fullmatch(path):
        return True
    is_file = (HOME / path).is_file()
    return is_file and (not names or ".".join(names) in defined_names(path))


def undefined(cell: str) -> list[str]:
    """Return the names in a cell that the file before them does not define."""
    wrong, path = [], ""
    for code in CODE.findall(cell):
        if (HOME / code).is_file() or code.endswith("/"):
            path = code
        elif not path or code not in defined_names(path):
            wrong.append(code)
    return wrong if path else [cell]


def rows(page: Path) -> list[list[str]]:
    """Return the cells of all rows of the tables whose second column names what is here."""
    return [
        row.split(" | ") for table in TABLE.findall(text_of(page)) for row in ROW.findall(table)
    ]


class TestNames:
    @each_page
    def test_files_and_tests_exist(self, page):
        assert missing(text_of(page)) == []

    @pytest.mark.parametrize(
        "code", ["web/x.py", "tests/api/test_login.py::test_x", "tests/api/test_x.py::TestLogin"]
    )
    def test_missing_file_or_test_is_found(self, code):
        assert missing(f"See `{code}`.") == [code]

    @each_page
    def test_names_are_defined_in_their_files(self, page):
        assert [wrong for row in rows(page) for wrong in undefined(row[1])] == []

    @pytest.mark.parametrize("code", ["User.get", "get_by_email", "Film"])
    def test_undefined_name_is_found(self, code):
        assert undefined(f"`database/models.py`: `User.get_by_email`, `{code}`") == [code]

    def test_cell_without_a_file_is_found(self):
        assert undefined("`User`") == ["`User`"]

    @each_part
    def test_every_row_has_a_test(self, page):
        assert len(rows(page)) >= 8
        assert [row for row in rows(page) if "::" not in row[2]] == []


class TestIndex:
    def test_every_page_is_linked(self):
        index = text_of(HOME / "docs/tutorial/index.md")
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
    script = script.replace(URL, server.url)
    script = script.replace("data/email.log", f"{server.data_dir}/email.log")
    finished = subprocess.run(
        ["bash", "-eu", "-c", script],
        cwd=HOME,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert finished.returncode == 0, (finished.stdout, finished.stderr)
    return finished.stdout.split(SEPARATOR)


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
