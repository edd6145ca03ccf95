"""Find the words of retired_words.txt in all texts, file names and Python names."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scripts.lint.exemptions import is_exempt, text_to_check
from scripts.lint.finding import Finding
from scripts.lint.source import SourceFile

RULE = "retired words"
WORDS_FILE = Path(__file__).with_name("retired_words.txt")
# A phrase may continue on the next line, after the sign of a comment.
GAP = r"[\s#*]+"
CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class RetiredWord(NamedTuple):
    """A pattern and what to write instead; in a [names] section it is for Python names alone."""

    written: str
    pattern: re.Pattern[str]
    replacement: str
    is_name: bool


def read_words() -> Iterator[RetiredWord]:
    """Yield the patterns of retired_words.txt, which says how they are written."""
    section = ""
    for line in WORDS_FILE.read_text("utf-8").splitlines():
        if line.startswith("[") and line.endswith("]"):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            pattern, _, replacement = line.partition(" => ")
            is_name = section.startswith("names")
            yield RetiredWord(pattern, _compile(pattern, is_name), replacement, is_name)


def _compile(pattern: str, is_name: bool) -> re.Pattern[str]:
    if is_name:
        return re.compile(rf"_*(?:{pattern})")
    spaced = pattern.replace(" ", GAP)
    return re.compile(rf"(?<![^\W_])(?:{spaced})(?![^\W_])", re.IGNORECASE)


WORDS = [word for word in read_words() if not word.is_name]
NAMES = [word for word in read_words() if word.is_name]
# One search shows that a text has none of them, as is nearly always so.
ANY_WORD = _compile("|".join(word.written for word in WORDS), is_name=False)


def check(files: list[SourceFile]) -> Iterator[Finding]:
    """Yield a finding for each retired word."""
    for file in files:
        if not is_exempt(file.path):
            text = text_to_check(file)
            yield from _check_path(file.path)
            yield from _check_text(file.path, text)
            yield from _check_names(file, text.splitlines())


def _check_path(path: str) -> Iterator[Finding]:
    for found in _find(path):
        yield found._replace(path=path, message=f"{found.message} (in the file's name)")


def _check_text(path: str, text: str) -> Iterator[Finding]:
    for found in _find(text):
        yield found._replace(path=path)


def _find(text: str) -> Iterator[Finding]:
    """Find words; `OutboxThread` is read as `Outbox_Thread`, and an underscore separates words."""
    split = CAMEL_CASE.sub("_", text)
    for word in WORDS if ANY_WORD.search(split) else ():
        for match in word.pattern.finditer(split):
            line = split.count("\n", 0, match.start()) + 1
            yield Finding("", line, _message("word", match.group(), word.replacement), RULE)


def _check_names(file: SourceFile, lines: list[str]) -> Iterator[Finding]:
    for line, name in bound_names(file.tree):
        for word in NAMES:
            if word.pattern.fullmatch(name) and name in lines[line - 1]:
                yield Finding(file.path, line, _message("name", name, word.replacement), RULE)


def bound_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of all that a module defines; names it only reads are apart."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.end_lineno or node.lineno, name
            case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
                yield node.lineno, name


def _message(what: str, found: str, replacement: str) -> str:
    return f'retired {what} "{" ".join(found.split())}", write: {replacement}'
