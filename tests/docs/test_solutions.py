"""The solutions of the book's exercises: each works on the code as it is after its chapter."""

import shutil

import pytest

from scripts.book import BOOK, CHAPTERS
from tests.support.markdown import sections

SOLUTIONS = [BOOK / "solutions" / page.name for page in CHAPTERS]


@pytest.mark.parametrize("page", SOLUTIONS, ids=lambda page: page.stem)
@pytest.mark.parametrize("exercise", [1, 2])
def test_solution_works(reader, code_after, page, exercise):
    shutil.copytree(code_after(SOLUTIONS.index(page) + 1), reader.folder, dirs_exist_ok=True)
    blocks = sections(page)[f"Exercise {exercise}"].blocks
    assert any(block.language == "sh" for block in blocks)
    reader.follow(blocks)
