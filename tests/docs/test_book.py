"""The book: its blocks run in their order, and its last chapter has the product's names."""

import ast
import secrets
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient

from scripts.book import BOOK, CHAPTERS, write_code
from scripts.lint.figures import CORE
from tests.support.book import Reader
from tests.support.markdown import code_blocks
from tests.support.processes import HOME

SOLUTIONS = [BOOK / "solutions" / page.name for page in CHAPTERS]
SECTIONS = ["What goes wrong", "The fix", "In Movie-bag", "Exercises"]


@pytest.fixture
def uri(database):
    name = f"book-{secrets.token_hex(4)}"
    yield urlsplit(database)._replace(path=f"/{name}").geturl()
    with MongoClient(database) as client:
        client.drop_database(name)


@pytest.fixture
def reader(tmp_path, uri):
    folder = tmp_path / "my-bag"
    folder.mkdir()
    reader = Reader(folder, uri)
    yield reader
    reader.close()


class TestIndex:
    def test_command_empties_the_database(self, reader, uri):
        with MongoClient(uri) as client:
            movies = client.get_default_database().movie
            movies.insert_one({"name": "Alien"})
            reader.follow(code_blocks(BOOK / "index.md"))
            assert movies.count_documents({}) == 0


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.stem)
class TestChapters:
    def test_blocks_run_in_their_order(self, reader, page):
        write_code(CHAPTERS.index(page), reader.folder)
        reader.follow(code_blocks(page))

    def test_parts_are_those_of_every_chapter(self, page):
        headings = [line[3:] for line in page.read_text().splitlines() if line.startswith("## ")]
        assert [heading for heading in headings if heading in SECTIONS] == SECTIONS

    def test_chapter_is_short(self, page):
        assert len(page.read_text().splitlines()) <= 150


@pytest.mark.parametrize("page", SOLUTIONS, ids=lambda page: page.stem)
class TestSolutions:
    @pytest.mark.parametrize("exercise", [1, 2])
    def test_solution_works(self, reader, page, exercise):
        write_code(SOLUTIONS.index(page) + 1, reader.folder)
        lines = page.read_text().splitlines()
        first, second = (lines.index(f"## Exercise {number}") for number in (1, 2))
        blocks = list(code_blocks(page))
        chosen = [b for b in blocks if (first < b.line <= second) is (exercise == 1)]
        assert any(block.language == "sh" for block in chosen)
        reader.follow(chosen)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("my-bag")
    write_code(len(CHAPTERS), folder)
    return folder


class TestLastChapter:
    def test_core_of_the_product_is_there(self, folder):
        assert [path for path in CORE if not (folder / path).exists()] == []

    def test_public_names_are_the_products(self, folder):
        for file in folder.rglob("*.py"):
            path = file.relative_to(folder)
            own, product = (public_names(root / path) for root in (folder, HOME))
            assert own <= product, path


def public_names(file):
    """Return the public names that a module defines, and those of its classes' methods."""
    names = set()
    for node in ast.parse(file.read_text()).body:
        match node:
            case ast.FunctionDef() | ast.ClassDef():
                names.add(node.name)
                methods = [
                    it for it in getattr(node, "body", []) if isinstance(it, ast.FunctionDef)
                ]
                if isinstance(node, ast.ClassDef):
                    names |= {f"{node.name}.{method.name}" for method in methods}
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return {name for name in names if not name.rpartition(".")[2].startswith("_")}
