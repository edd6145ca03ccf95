"""Files of which each line becomes a document."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

from services.errors import SchemaValidationError

BATCH_SIZE = 500
# Several times as long as the longest that is valid.
MAX_LINE_BYTES = 2**20

T = TypeVar("T")
# The number of a line and its value, None if it can't be read.
Rows = Iterable[tuple[int, Any]]
OnError = Callable[[int, str], None]
OnProgress = Callable[[int], None]


@dataclass
class ImportResult:
    """How many lines were added, how many were there already, how many are not valid."""

    added: int = 0
    skipped: int = 0
    invalid: int = 0

    def __str__(self) -> str:
        """Return them as a line."""
        return f"{self.added} added, {self.skipped} skipped, {self.invalid} invalid"


def import_rows(
    rows: Rows,
    read: Callable[[Any], T],
    store: Callable[[list[T]], int],
    on_error: OnError,
    on_progress: OnProgress,
) -> ImportResult:
    """Store what read returns of each row, in batches; store returns how many were new.

    on_error gets the number of a line for which read raises SchemaValidationError, and the reason;
    on_progress the number of lines since its last call. After an interruption, run it again.
    """
    result = ImportResult()
    valid = _valid(rows, read, result, on_error, on_progress)
    while batch := list(islice(valid, BATCH_SIZE)):
        added = store(batch)
        result.added += added
        result.skipped += len(batch) - added
    return result


def _valid(
    rows: Rows,
    read: Callable[[Any], T],
    result: ImportResult,
    on_error: OnError,
    on_progress: OnProgress,
) -> Iterator[T]:
    for number, row in rows:
        on_progress(1)
        try:
            if row is None:
                raise SchemaValidationError({})
            yield read(row)
        except SchemaValidationError as error:
            result.invalid += 1
            on_error(number, _describe(error))


def _describe(error: SchemaValidationError) -> str:
    reasons = [f"{field}: {' '.join(why)}" for field, why in (error.errors or {}).items()]
    return "; ".join(reasons) or "It can't be read."


def read_json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the number of each line and its value, None if it is not JSON."""
    with path.open("rb") as file:
        for number, line in enumerate(_read_lines(file), 1):
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, None


def _read_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield each line, an empty one instead of one that is too long: it may be all of the file."""
    while line := file.readline(MAX_LINE_BYTES):
        yield line if _has_end(line) else b""
        while not _has_end(line):
            line = file.readline(MAX_LINE_BYTES)


def _has_end(line: bytes) -> bool:
    return len(line) < MAX_LINE_BYTES or line.endswith(b"\n")


def run_import(path: Path, import_lines: Callable[[OnError, OnProgress], ImportResult]) -> None:
    """Import a file with a progress bar, and print what became of its lines."""
    if not path.is_file():
        raise click.BadParameter("Must be a file that can be read twice.")
    with path.open("rb") as lines:
        length = sum(1 for _ in _read_lines(lines))
    hidden = not sys.stderr.isatty()
    with click.progressbar(
        length=length, file=sys.stderr, hidden=hidden, update_min_steps=100
    ) as bar:
        result = import_lines(_print_error, bar.update)
    click.echo(str(result))


def _print_error(number: int, reason: str) -> None:
    # Names of fields come from the file: they may hold escape sequences of a terminal.
    click.echo(f"line {number}: {reason if reason.isprintable() else ascii(reason)}", err=True)
