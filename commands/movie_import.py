"""Movies from a file: JSON lines, or CSV with `|` between casts and between genres."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from schemas.base import load
from schemas.movies import MovieCreateSchema
from services import movie_service
from services.errors import SchemaValidationError

BATCH_SIZE = 500

Row = dict[str, Any]
OnError = Callable[[int, str], None]
OnProgress = Callable[[int], None]


@dataclass
class ImportResult:
    """How many movies were added, how many names were taken, how many lines were no movie."""

    added: int = 0
    skipped: int = 0
    invalid: int = 0


def import_file(
    path: Path, owner_id: str, on_error: OnError, on_progress: OnProgress
) -> ImportResult:
    """Add the movies of a file to the bag.

    on_error gets the number of a line that is no movie and the reason; on_progress the number of
    lines read since its last call. After an interruption, run it again.
    """
    result = ImportResult()
    movies = _movies(path, result, on_error, on_progress)
    while batch := list(islice(movies, BATCH_SIZE)):
        added = movie_service.add_new(owner_id, batch)
        result.added += added
        result.skipped += len(batch) - added
    return result


def _movies(
    path: Path, result: ImportResult, on_error: OnError, on_progress: OnProgress
) -> Iterator[Row]:
    for number, row in read_csv(path) if path.suffix.lower() == ".csv" else read_json_lines(path):
        on_progress(1)
        try:
            yield _validate(row)
        except SchemaValidationError as error:
            result.invalid += 1
            on_error(number, _describe(error))


def _validate(row: Any) -> Row:
    if row is None:
        raise SchemaValidationError({})
    return load(MovieCreateSchema(), row)


def _describe(error: SchemaValidationError) -> str:
    reasons = [f"{field}: {' '.join(why)}" for field, why in (error.errors or {}).items()]
    return "; ".join(reasons) or "It can't be read."


def read_json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the number of each line and its value, None if it is not JSON."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, None


def read_csv(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the number of each row's last line and its fields, lists split at `|`."""
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        reader = csv.DictReader(file, restkey="more columns")
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield reader.line_num + 1, None
                continue
            lists = {key: row[key].split("|") for key in ("casts", "genres") if row.get(key)}
            yield reader.line_num, row | lists
