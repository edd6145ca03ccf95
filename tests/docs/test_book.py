"""The book: its blocks run in their order, and its last chapter has the product's names.

The solutions are run by test_solutions.py: a file of tests is run by one process.
"""

import ast
import shutil

import pytest
from pymongo import MongoClient

from scripts.book import BOOK, CHAPTERS
from scripts.lint.figures import CORE
from tests.support.definitions import defined_names
from tests.support.markdown import code_blocks, sections
from tests.support.processes import HOME

SECTIONS = ["What goes wrong", "The fix", "In Movie-bag", "Exercises"]


class TestIndex:
    def test_command_empties_the_database(self, reader, uri):
        with MongoClient(uri) as client:
            movies = client.get_default_database().movie
            movies.insert_one({"name": "Alien"})
            reader.follow(code_blocks(BOOK / "index.md"))
            assert movies.count_documents({}) == 0


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.stem)
class TestChapters:
    def test_blocks_run_in_their_order(self, reader, code_after, page):
        shutil.copytree(code_after(CHAPTERS.index(page)), reader.folder, dirs_exist_ok=True)
        reader.follow(code_blocks(page))

    def test_parts_are_those_of_every_chapter(self, page):
        assert [heading for heading in sections(page) if heading in SECTIONS] == SECTIONS

    def test_chapter_is_short(self, page):
        assert len(page.read_text().splitlines()) <= 150


@pytest.fixture
def folder(code_after):
    return code_after(len(CHAPTERS))


class TestLastChapter:
    def test_core_of_the_product_is_there(self, folder):
        assert [path for path in CORE if not (folder / path).exists()] == []

    def test_public_names_are_the_products(self, folder):
        for file in folder.rglob("*.py"):
            path = file.relative_to(folder)
            own, product = (public_names(root / path) for root in (folder, HOME))
            assert own <= product.union(names_from_others(HOME / path)), path


def public_names(file):
    """Return the public names that a module defines, and those of its classes' methods."""
    names = defined_names(file, with_fields=False)
    return {name for name in names if not any(part.startswith("_") for part in name.split("."))}


def names_from_others(file):
    """Yield the public names that a module of the product imports: they have moved from it."""
    for node in ast.parse(file.read_text()).body:
        source = HOME / f"{getattr(node, 'module', '').replace('.', '/')}.py"
        if isinstance(node, ast.ImportFrom) and source.exists():
            imported = {alias.name for alias in node.names}
            yield from (it for it in public_names(source) if it.partition(".")[0] in imported)
