"""`make bench-peers`: the product next to others that do the same work, in the same run."""

import math
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.peers import installed, measurements, products
from bench.peers.measurements import Figures
from bench.peers.products import Product
from bench.report import machine, read_arguments, table_head, table_line, write_table
from bench.rows import Bench

BEGIN = "<!-- make bench-peers -->\n"
ROUNDS = 5
PRODUCTS = [
    products.movie_bag,
    products.fastapi_users,
    products.flask_security,
    products.django,
    products.better_auth,
    products.better_auth_sqlite,
]
MEASUREMENTS = [
    measurements.login,
    measurements.verify,
    measurements.verify_beside_logins,
    measurements.movies,
    measurements.forgot,
    measurements.forgot_unknown,
]
MEMORY = "memory of its processes, MB"
ABOUT = ["product", "versions", "store", "server", "who hashes", "access log"]

# The figures of each row, by round and product; NaN of a product that does not do it.
Rows = dict[str, list[list[float]]]


def main() -> None:
    """Measure each product in turn, print the tables and write them to the page."""
    page = read_arguments(main.__doc__ or "")
    installed.require_programs()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            compared = [start(bench) for start in PRODUCTS]
            rows = measure(bench, compared)
        finally:
            bench.stop()
    text = "\n".join(tables(rows, compared))
    print(text)
    write_table(page, BEGIN, f"{text}\n\n{machine()}.\n")


def measure(bench: Bench, compared: list[Product]) -> Rows:
    """Return the figures of every row, and print them one after the other."""
    rows: Rows = {}
    for measurement in MEASUREMENTS:
        found = compare(bench, measurement, compared)
        print("\n".join(_figures(found)), flush=True)
        rows |= found
    rows[MEMORY] = [[measurements.memory(product.server.process.pid) for product in compared]]
    return rows


def compare(
    bench: Bench, measurement: Callable[[Product], Figures], compared: list[Product]
) -> Rows:
    """Measure each in turn, a few rounds after one that does not count."""
    rounds: list[list[Figures]] = []
    for _ in range(1 + ROUNDS):
        rounds.append([])
        for product in compared:
            rounds[-1].append(measurement(product))
            wait_for_emails(bench)
    return {
        row: [[figures.get(row, math.nan) for figures in measured] for measured in rounds[1:]]
        for row in rounds[0][0]
    }


def wait_for_emails(bench: Bench) -> None:
    """Wait until no product sends emails any longer, which would slow the next one."""
    bench.wait_for_emails()
    before, size = -1, bench.sink.log_size()
    while before != size:
        time.sleep(0.5)
        before, size = size, bench.sink.log_size()


def tables(rows: Rows, compared: list[Product]) -> list[str]:
    """Return three tables: the figures, ours divided by theirs, and what was measured."""
    names = [product.name for product in compared]
    about = [table_line([product.name, *product.about]) for product in compared]
    return [
        *table_head(["per second", *names]),
        *_figures(rows),
        "",
        *table_head([f"{names[0]} divided by", *names[1:]]),
        *(_line(row, [_ratios(*found) for found in rounds], 2) for row, rounds in rows.items()),
        "",
        *table_head(ABOUT),
        *about,
    ]


def _figures(rows: Rows) -> list[str]:
    return [_line(row, rounds, 1) for row, rounds in rows.items()]


def _ratios(ours: float, *others: float) -> list[float]:
    return [ours / theirs if theirs else math.inf for theirs in others]


def _line(row: str, rounds: list[list[float]], digits: int) -> str:
    """Return a line with the median of each column."""
    medians = [statistics.median(figures) for figures in zip(*rounds, strict=True)]
    return table_line([row, *("–" if math.isnan(m) else f"{m:,.{digits}f}" for m in medians)])


if __name__ == "__main__":
    main()
