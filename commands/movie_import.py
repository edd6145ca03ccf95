"""Movies from a file: JSON lines, or CSV with `|` between casts and between genres."""

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from commands.line_import import (
    ImportResult,
    OnError,
    OnProgress,
    import_rows,
    read_json_lines,
)
from schemas.base import load
from schemas.movies import MovieCreateSchema
from services import movie_service


def import_file(
    path: Path, owner_id: str, on_error: OnError, on_progress: OnProgress
) -> ImportResult:
    """Add the movies of a file to the bag; names that are taken are skipped."""
    rows = read_csv(path) if path.suffix.lower() == ".csv" else read_json_lines(path)
    read, store = partial(load, MovieCreateSchema()), partial(movie_service.add_new, owner_id)
    return import_rows(rows, read, store, on_error, on_progress)


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
