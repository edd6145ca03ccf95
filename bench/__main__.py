"""`make bench`: measure, print the tables, and write them and charts to docs/performance.md."""

import tempfile
import time
from pathlib import Path

from bench import charts, under_load
from bench.report import (
    machine,
    read_arguments,
    table_head,
    table_line,
    write_chart,
    write_table,
)
from bench.rows import Bench, Row, measure
from bench.under_load import Point

BEGIN = "<!-- make bench -->\n"
HEAD = ["measurement", "Movie-bag", "compared with", "its figure", "ratio", "target", "reached"]
LOAD_BEGIN = "<!-- make bench: load -->\n"
LOAD_HEAD = ["milliseconds", "requests per second", *under_load.FIGURES]
REACHED = {True: "yes", False: "**no**", None: "for information"}


def main() -> None:
    """Measure, print the tables, and write them and the charts to the page."""
    page, begin = read_arguments(main.__doc__ or ""), time.monotonic()
    rows, points = [], []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            for row in measure(bench):
                rows.append(row)
                print(row_line(row), flush=True)
            for point in under_load.measure(bench):
                points.append(point)
                print(point_line(point), flush=True)
        finally:
            bench.stop()
    table = "\n".join([*table_head(HEAD), *map(row_line, rows)])
    write_table(page, BEGIN, f"{table}\n\n{machine()}, in {time.monotonic() - begin:.0f} s.\n")
    write_chart(page, "ratios", charts.ratios(rows))
    table = "\n".join([*table_head(LOAD_HEAD), *map(point_line, points)])
    write_table(page, LOAD_BEGIN, f"{table}\n")
    write_chart(page, "load", charts.latency_against_load(under_load.curves(points)))


def row_line(row: Row) -> str:
    """Return a row of the table, in Markdown."""
    sign = "≤" if row.at_most else "≥"
    target = "–" if row.target is None else f"{sign} {row.target}"
    figures = [row.ours, row.reference, row.theirs, f"{row.ratio:.2f}"]
    return table_line([row.what, *figures, target, REACHED[row.reached]])


def point_line(point: Point) -> str:
    """Return a row of the table of a load, in Markdown."""
    figures = [f"{milliseconds:,.1f}" for milliseconds in point.milliseconds]
    return table_line([point.request, f"{point.rate:.0f}", *figures])


if __name__ == "__main__":
    main()
