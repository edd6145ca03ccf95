"""The parts of a Markdown page: its sections, their tables and code blocks, its text and links."""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.markdown import Block, code_blocks

FENCED = re.compile(r"^```.*?^```$", re.M | re.S)
HEADING = re.compile(r"^(#+) (.+)$")
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^]]+\]\(([^)\s]+)\)")


class Section(NamedTuple):
    """What follows a heading of the second level: its lines without code, and its code blocks."""

    lines: list[str]
    blocks: list[Block]


def prose(path: Path) -> str:
    """Return the text of a page without its code blocks."""
    return FENCED.sub("", path.read_text())


def sections(path: Path) -> dict[str, Section]:
    """Return the sections of a page by their headings."""
    found: dict[str, Section] = {"": Section([], [])}
    current, blocks = found[""], iter(code_blocks(path))
    is_code = False
    for line in path.read_text().splitlines():
        if line.startswith("```"):
            is_code = not is_code
            current.blocks.extend([next(blocks)] if is_code else [])
        elif not is_code and line.startswith("## "):
            current = found[line[3:]] = Section([], [])
        elif not is_code:
            current.lines.append(line)
    return found


def table(section: Section, first: str) -> list[list[str]]:
    """Return the rows of the table whose first column has this heading, as lists of cells."""
    rows: list[list[str]] = []
    for line in section.lines:
        if line.startswith(f"| {first} |"):
            rows.append([])
        elif rows and not line.startswith("|"):
            break
        elif rows:
            rows.append([cell.strip() for cell in line[1:-1].split("|")])
    return rows[2:]


def code(cell: str) -> list[str]:
    """Return what is in backticks."""
    return CODE.findall(cell)


def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings of a page."""
    headings = filter(None, map(HEADING.match, prose(path).splitlines()))
    return {_slug(heading[2]) for heading in headings}


def _slug(heading: str) -> str:
    text = unicodedata.normalize("NFKD", heading).lower()
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", text).strip())


def links(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the page and the anchor of each link to a page."""
    for target in LINK.findall(prose(path)):
        if "://" not in target:
            name, _, anchor = target.partition("#")
            yield (path.parent / name).resolve() if name else path, anchor
