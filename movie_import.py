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

BATCH = 1000

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
        reader = csv.DictReader(file)
        for row in reader:
            lists = {key: row[key].split("|") for key in ("casts", "genres") if row.get(key)}
            yield reader.line_num, {key: text for key, text in row.items() if key} | lists


def add_from(
    path: Path, owner_id: str, complain: Callable[[int, str], None], read: Callable[[int], None]
) -> tuple[int, int]:
    """Add the movies of a file to the bag; return how many were added, and how many were there.

    A line that is no movie is told to complain with its number and reason, and left out. What
    was read is told to read, in lines. Run again, it goes on where it was interrupted.
    """
    added = there = 0
    rows = read_csv(path) if path.suffix == ".csv" else read_json_lines(path)
    while batch := list(islice(rows, BATCH)):
        movies = [movie for row in batch if (movie := _movie(*row, complain))]
        new = movie_service.add_many(owner_id, movies)
        added, there = added + new, there + len(movies) - new
        read(len(batch))
    return added, there


def _movie(number: int, row: Any, complain: Callable[[int, str], None]) -> Row | None:
    try:
        return load(MovieSchema(), row)
    except SchemaValidationError as error:
        reasons = [f"{field}: {' '.join(why)}" for field, why in (error.errors or {}).items()]
        complain(number, "; ".join(reasons))
        return None
