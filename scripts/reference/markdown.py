"""The parts of a Markdown page: paragraphs, lists, tables, JSON."""

import json
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

WIDTH = 110
COMMAND = ".venv/bin/python -m scripts.reference"


def page(title: str, about: str, source: str, parts: Iterable[str]) -> str:
    """Return a page: its title, what it is about and generated from, and its parts."""
    generated = f"Generated from {source} by `{COMMAND}`: change it there, then run the command."
    return "\n\n".join([f"# {title}", paragraph(f"{about} {generated}"), *parts]) + "\n"


def paragraph(text: str, first: str = "", others: str = "") -> str:
    """Return a text as lines of WIDTH, with what the first and the other lines start with."""
    return textwrap.fill(
        " ".join(text.split()),
        WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def bullets(texts: Iterable[str]) -> str:
    """Return a list."""
    return "\n".join(paragraph(text, "- ", "  ") for text in texts)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a cell may hold any text of one line."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def code(text: object) -> str:
    """Return a text as code."""
    return f"`{text}`"


def join(texts: Iterable[object]) -> str:
    """Return texts as code, separated by commas."""
    return ", ".join(map(code, texts))


def link(name: str, page_name: str = "") -> str:
    """Return a link to the heading that is this name as code, on this page or another."""
    return f"[`{name}`]({page_name}#{name.lower()})"


def json_block(value: Any) -> str:
    """Return a block with a value as JSON."""
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"
