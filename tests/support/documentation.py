"""The pages of the documentation, and which parts of them are prose."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.markdown import Block, code_blocks
from tests.support.processes import HOME

DOCS = HOME / "docs"
# Those of the root and of docs/ itself; the pages of a folder of docs/ have tests of their own.
TOP_PAGES = sorted([*HOME.glob("*.md"), *DOCS.glob("*.md")])
PAGES = [*TOP_PAGES, *sorted(DOCS.glob("*/**/*.md"))]
HEADING = re.compile(r"## (.+)")
# It may go on in the next line of its paragraph.
CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def name_of(page: Path) -> str:
    """Return the path of a page from the root of the repository."""
    return page.relative_to(HOME).as_posix()


def end_of(block: Block) -> int:
    """Return the number of the line that closes a block."""
    return block.line + block.source.count("\n") + 1


def prose_lines(page: Path) -> list[str]:
    """Return the lines of a page, empty where code blocks are."""
    lines = page.read_text().splitlines()
    for block in code_blocks(page):
        for number in range(block.line, min(end_of(block), len(lines)) + 1):
            lines[number - 1] = ""
    return lines


def section_of(page: Path, line: int) -> str:
    """Return the nearest `##` heading above a line."""
    headings = [HEADING.fullmatch(text) for text in prose_lines(page)[:line]]
    return next((match[1] for match in reversed(headings) if match), "")


def inline_code(page: Path) -> Iterator[tuple[int, str]]:
    r"""Yield the line and the text of each inline code; `\|` is a bar in a table."""
    text = "\n".join(prose_lines(page))
    for paragraph in re.finditer(r"(?:.+\n?)+", text):
        for code in CODE.finditer(paragraph[0]):
            line = text.count("\n", 0, paragraph.start() + code.start()) + 1
            yield line, code[1].replace(r"\|", "|").replace("\n", " ")
