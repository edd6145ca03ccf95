"""The code blocks of a Markdown page."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sybil import Document
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

INFO = re.compile(r"(?P<language>[\w-]*)(?P<info>[^\n]*)\n")
TITLE = re.compile(r'title="([^"]+)"')


class Block(NamedTuple):
    """A code block: the line of its fence, its language, its title (a file's name) and its text."""

    line: int
    language: str
    title: str
    source: str


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
