"""`make bench-sizes`: what each request costs with 1,000 users, and with 1,000,000."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import requests
from flask import Flask
from mongoengine import Document
from mongoengine.connection import get_db

from app import create_app
from bench import charts, servers, stored
from bench.load import Load, run
from bench.report import machine, read_arguments, table_head, table_line, write_chart, write_table
from bench.size_requests import KINDS, Kind, Site
from config import LIMITS
from database import migrations
from database.db import DATABASE_ERRORS, reconnect
from database.documents import DOCUMENTS
from database.embedded.server import EmbeddedDatabase
from database.models import Job
from jobs.queue import SEND_DELAY
from tests.support.processes import HOME, environment

BEGIN = "<!-- make bench-sizes -->\n"
SIZES = (1_000, 30_000, 1_000_000)
ROUNDS = 5
IMPORTED = 20_000
TARGET = 1.2
DAY = "86400"
SETTINGS = {
    **servers.SETTINGS,
    **dict.fromkeys(LIMITS, "1000000 per second"),
    "BCRYPT_LOG_ROUNDS": stored.ROUNDS,
    "JWT_ACCESS_TOKEN_EXPIRES": DAY,
    "REAUTHENTICATE_SECONDS": DAY,
    "MONGODB_TIMEOUT": 12,
}
COMMANDS = {
    "user list": ["user", "list"],
    "user list --q, of none": ["user", "list", "--q", "zzz"],
    "user list --q, of every seventh": ["user", "list", "--q", "ho"],
    "mail list": ["mail", "list"],
}

# Of each row the milliseconds that it took in each round, by the size of the database.
Rows = dict[str, dict[int, list[float]]]
# Of each row the median, by size: what a chart shows.
Points = dict[str, list[tuple[int, float]]]


def main() -> None:
    """Measure every row, print the table and write it to the page."""
    page, begin = read_arguments(main.__doc__ or ""), time.monotonic()
    lines = table_head(["milliseconds", *(f"{size:,}" for size in SIZES), "ratio", "≤ 1.2"])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sites, filled = open_sites(stack, folder)
        rows: Rows = {}
        try:
            for name, figures in measure(folder, sites):
                rows[name] = figures
                lines.append(row_line(name, figures))
                print(lines[-1], flush=True)
        finally:  # of what takes so long, the rows before an error are kept
            table = "\n".join([*lines, "", *filled])
            seconds = time.monotonic() - begin
            write_table(page, BEGIN, f"{table}\n\n{machine()}, in {seconds:.0f} s.\n")
            write_chart(page, "size", charts.cost_against_size(to_points(rows)))


def to_points(rows: Rows) -> Points:
    """Return the median of each row, by size."""
    return {
        name: [(size, statistics.median(rounds)) for size, rounds in figures.items()]
        for name, figures in rows.items()
    }


def row_line(name: str, figures: dict[int, list[float]]) -> str:
    """Return a row of the table, in Markdown; the ratio is the median of the rounds' ratios."""
    cells = [f"{statistics.median(rounds):,.2f}" for rounds in figures.values()]
    least, *_, most = figures.values()
    ratio = statistics.median(large / small for small, large in zip(least, most, strict=True))
    return table_line([name, *cells, f"{ratio:.2f}", "yes" if ratio <= TARGET else "**no**"])


def open_sites(stack: ExitStack, folder: Path) -> tuple[list[Site], list[str]]:
    """Fill a database of each size and serve it; return what is to be said of the filling."""
    embedded = EmbeddedDatabase(folder)
    uri = embedded.start()
    stack.callback(embedded.stop)
    sink = servers.start_sink(folder)
    stack.callback(sink.stop)
    settings = {**SETTINGS, "MAIL_PORT": sink.port, "DATA_DIR": str(folder)}
    app = create_app({**settings, "MONGODB_URI": uri})
    sites: list[Site] = []
    filled: list[str] = []
    for size in SIZES:
        settings = {**settings, "MONGODB_URI": uri.replace("/?", f"/of_{size}?")}
        filled = fill(app, settings["MONGODB_URI"], size)
        server = servers.start_product(folder, **settings)
        stack.callback(server.stop)
        sites.append(Site(size, settings, server, app))
    return sites, filled


def fill(app: Flask, uri: str, size: int) -> list[str]:
    """Fill a database, then create its indexes; return a line about each collection."""
    lines = []
    app.config["MONGODB_URI"] = uri
    reconnect(app)
    migrations.stored_version()  # of an empty database: the latest
    for document, number, seconds in stored.fill(get_db(), size):
        indexed = f"{_index(document):.1f} s for its indexes"
        lines.append(f"- {number:,} of {document.__name__}: {seconds:.1f} s, and {indexed}")
        print(lines[-1], flush=True)
    for document in DOCUMENTS:
        _index(document)
    return lines


def _index(document: type[Document]) -> float:
    """Create the indexes of a document class; return the seconds."""
    begin = time.monotonic()
    while True:
        with suppress(*DATABASE_ERRORS):  # one was not built within MONGODB_TIMEOUT, but will be
            document.ensure_indexes()
            return time.monotonic() - begin


def measure(folder: Path, sites: list[Site]) -> Iterator[tuple[str, dict[int, list[float]]]]:
    """Yield each row; in a round the sizes take turns."""
    for kind in KINDS:
        yield kind.name, compare(partial(p50, kind), sites)
    yield "start to the first response", compare(partial(start, folder), sites)
    for name, command in COMMANDS.items():
        yield f"`flask {name}`, to the first line", compare(partial(first_line, command), sites)
    imported = compare(partial(import_users, folder), sites, rounds=1)
    yield f"`flask user import` of {IMPORTED:,}, each", imported


def compare(
    measure_one: Callable[[Site], float], sites: list[Site], rounds: int = ROUNDS
) -> dict[int, list[float]]:
    """Return what measure_one returns of each site in each round, after one that does not count."""
    figures: dict[int, list[float]] = {site.size: [] for site in sites}
    for _ in range(rounds + 1):
        for site in sites:
            figures[site.size].append(measure_one(site))
    return {size: values[1:] for size, values in figures.items()}


def p50(kind: Kind, site: Site) -> float:
    """Return how long a request of a kind takes."""
    sent = kind.requests(site)
    outcome = run(Load(site.server.port, sent, clients=1, count=kind.count))
    site.open()
    while Job.objects(state=Job.QUEUED, run_at__lt=time.time() + SEND_DELAY).first():
        time.sleep(0.1)  # until the emails that the requests asked for are sent
    return outcome.p50


def start(folder: Path, site: Site) -> float:
    """Start the service once more, beside the one that runs."""
    begin = time.perf_counter()
    server = servers.start_product(folder, **site.settings)
    requests.get(f"{server.url}/api/movies", timeout=30).raise_for_status()
    milliseconds = 1000 * (time.perf_counter() - begin)
    server.stop()
    return milliseconds


def first_line(command: list[str], site: Site) -> float:
    """Return after how long a command prints its first line, or ends."""
    begin = time.perf_counter()
    with _flask(command, site) as process:
        process.stdout.readline()
        milliseconds = 1000 * (time.perf_counter() - begin)
        process.kill()
    return milliseconds


def _flask(command: list[str], site: Site) -> Any:
    return subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "app", *command],
        cwd=HOME,
        env=environment(**site.settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def import_users(folder: Path, site: Site) -> float:
    """Import users, who change the size of the database; return the milliseconds of each."""
    file, number, password = folder / "users.jsonl", time.time_ns(), stored.user_hash()
    users = [
        {"email": f"user-{number + it}@example.com", "name": "Ada Lovelace", "hash": password}
        for it in range(IMPORTED)
    ]
    file.write_text("".join(f"{json.dumps(user)}\n" for user in users))
    begin = time.perf_counter()
    with _flask(["user", "import", str(file)], site) as process:
        output, _ = process.communicate()
    if f"{IMPORTED} added" not in output.decode():
        raise RuntimeError(output.decode())
    return 1000 * (time.perf_counter() - begin) / IMPORTED


if __name__ == "__main__":
    main()
