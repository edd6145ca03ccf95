"""The parts of a Markdown page: its sections, code blocks, tables, inline code and headings."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from markdown.extensions.toc import slugify
from sybil import Document
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

INFO = re.compile(r"(?P<language>[\w-]*)(?P<info>[^\n]*)\n")
TITLE = re.compile(r'title="([^"]+)"')
HEADING = re.compile(r"(#+) (.+)")
# It may go on in the next line of its paragraph.
CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
PARAGRAPH = re.compile(r"(?:.+\n?)+")
BAR = re.compile(r"(?<!\\)\|")


class Block(NamedTuple):
    """A code block: the line of its fence, its language, its title (a file's name) and its text."""

    line: int
    language: str
    title: str
    source: str

    @property
    def end(self) -> int:
        """Return the number of the line that closes the block."""
        return self.line + self.source.count("\n") + 1


class Section(NamedTuple):
    """What follows a heading of the second level: its lines without code, and its code blocks."""

    lines: list[str]
    blocks: list[Block]


def code_blocks(path: Path) -> Iterator[Block]:
    """Yield the code blocks of a page in their order."""
    text = path.read_text()
    for region in RawFencedCodeBlockLexer(INFO)(Document(text, str(path))):
        title = TITLE.search(region.lexemes["info"])
        yield Block(
            line=text.count("\n", 0, region.start) + 1,
            language=region.lexemes["language"],
            title=title[1] if title else "",
            source=str(region.lexemes["source"]),
        )


def prose_lines(page: Path) -> list[str]:
    """Return the lines of a page, empty where code blocks are."""
    lines = page.read_text().splitlines()
    for block in code_blocks(page):
        for number in range(block.line, min(block.end, len(lines)) + 1):
            lines[number - 1] = ""
    return lines


def prose(page: Path) -> str:
    """Return the text of a page without its code blocks."""
    return "\n".join(prose_lines(page))


def sections(page: Path) -> dict[str, Section]:
    """Return the sections of a page by their headings; "" is what precedes the first."""
    blocks = {block.line: block for block in code_blocks(page)}
    found: dict[str, Section] = {"": Section([], [])}
    current = found[""]
    for number, line in enumerate(prose_lines(page), 1):
        if line.startswith("## "):
            current = found.setdefault(line[3:], Section([], []))
        current.lines.append(line)
        current.blocks.extend([blocks[number]] if number in blocks else [])
    return found


def tables(lines: Iterable[str]) -> Iterator[list[list[str]]]:
    """Yield each table as its rows of cells, first that of its headings."""
    for is_table, rows in groupby(lines, lambda line: line.startswith("|")):
        if is_table:
            headings, _, *others = map(_cells, rows)
            yield [headings, *others]


def _cells(row: str) -> list[str]:
    return [cell.strip().replace(r"\|", "|") for cell in BAR.split(row.strip())[1:-1]]


def table(section: Section, heading: str) -> list[list[str]]:
    """Return the rows of the table whose first column has this heading, without the headings."""
    return next((rows for (first, *_), *rows in tables(section.lines) if first == heading), [])


def code(text: str) -> list[str]:
    """Return what is in backticks."""
    return [found.replace("\n", " ") for found in CODE.findall(text)]


def inline_code(page: Path) -> Iterator[tuple[int, str]]:
    r"""Yield the line and the text of each inline code; `\|` is a bar in a table."""
    text = prose(page)
    for paragraph in PARAGRAPH.finditer(text):
        for found in CODE.finditer(paragraph[0]):
            line = text.count("\n", 0, paragraph.start() + found.start()) + 1
            yield line, found[1].replace(r"\|", "|").replace("\n", " ")


def anchors(page: Path) -> list[str]:
    """Return the anchors of the headings of a page."""
    headings = filter(None, map(HEADING.fullmatch, prose_lines(page)))
    return [slugify(heading[2], "-") for heading in headings]
