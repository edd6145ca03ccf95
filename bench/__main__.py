"""`make bench`: measure, print the table, and write it to docs/performance.md."""

import tempfile
import time
from pathlib import Path

from bench.report import machine, read_arguments, table_head, table_line, write_table
from bench.rows import Bench, Row, measure

BEGIN = "<!-- make bench -->\n"
HEAD = ["measurement", "Movie-bag", "compared with", "its figure", "ratio", "target", "reached"]


def main() -> None:
    """Measure every row, print the table and write it to the page."""
    page, begin = read_arguments(main.__doc__ or ""), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            rows = []
            for row in measure(bench):
                rows.append(row)
                print(row_line(row), flush=True)
        finally:
            bench.stop()
    table = "\n".join([*table_head(HEAD), *map(row_line, rows)])
    write_table(page, BEGIN, f"{table}\n\n{machine()}, in {time.monotonic() - begin:.0f} s.\n")


def row_line(row: Row) -> str:
    """Return a row of the table, in Markdown."""
    reached = "yes" if row.reached else "**no**"
    figures = [row.ours, row.reference, row.theirs, row.ratio]
    return table_line([row.what, *figures, row.target, reached])


if __name__ == "__main__":
    main()
