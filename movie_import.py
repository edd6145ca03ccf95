"""Movies from a file: JSON lines, or CSV with `|` between casts and between genres."""

import csv
import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from resources.request import load
from resources.schemas import MovieSchema
from services import movie_service
from services.errors import SchemaValidationError

BATCH = 500

Row = dict[str, Any]


def read_json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield each line's number and what it holds, None when that is no JSON."""
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


def add_from(
    path: Path, owner_id: str, complain: Callable[[int, str], None], read: Callable[[int], None]
) -> tuple[int, int]:
    """Add the movies of a file to the bag; return how many were added, and how many were there.

    A line that is no movie is told to complain with its number and reason, and left out. What
    was read is told to read, in lines. Run again, it goes on where it was interrupted.
    """
    added = there = 0
    movies = _movies(path, complain, read)
    while batch := list(islice(movies, BATCH)):
        new = movie_service.add_many(owner_id, batch)
        added, there = added + new, there + len(batch) - new
    return added, there


def _movies(
    path: Path, complain: Callable[[int, str], None], read: Callable[[int], None]
) -> Iterator[Row]:
    for number, row in read_csv(path) if path.suffix.lower() == ".csv" else read_json_lines(path):
        read(1)
        if row is None:
            complain(number, "It can't be read.")
            continue
        try:
            yield load(MovieSchema(), row)
        except SchemaValidationError as error:
            reasons = [f"{field}: {' '.join(why)}" for field, why in (error.errors or {}).items()]
            complain(number, "; ".join(reasons))
