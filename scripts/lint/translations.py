"""Check that each catalogue is complete, and up to date with the templates and its .mo file."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from scripts.lint.finding import Finding
from scripts.lint.source import SourceFile
from scripts.translations import PO, extract_texts, to_mo, to_po, update

MISSING = "missing translation"
OUTDATED = "outdated catalogue"
WRONG = "wrong translation"


def check(files: list[SourceFile]) -> Iterator[Finding]:
    """Yield a finding for each text that a language lacks, and each file that is out of date."""
    for file in files:
        if match := PO.fullmatch(file.path):
            catalog = read_po(StringIO(file.text), locale=match[1])
            yield from _check_messages(file.path, catalog)
            if to_po(update(file.text, match[1], extract_texts(files))) != file.text:
                yield _outdated(file.path)
            compiled = Path(file.root, file.path).with_suffix(".mo")
            if not compiled.is_file() or compiled.read_bytes() != to_mo(catalog):
                yield _outdated(file.path.replace(".po", ".mo"))


def _check_messages(path: str, catalog: Catalog) -> Iterator[Finding]:
    for message in catalog:
        if message.id and (not message.string or message.fuzzy):
            text = f"{catalog.locale} lacks a translation of: {message.id}"
            yield Finding(path, message.lineno or 1, text, MISSING)
    for message, errors in catalog.check():
        yield Finding(path, message.lineno or 1, f"{errors[0]}: {message.id}", WRONG)


def _outdated(path: str) -> Finding:
    return Finding(path, 1, "is not up to date, run: make translations", OUTDATED)
