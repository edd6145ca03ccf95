"""`make bench`: measure, print the table, and write it to docs/performance.md."""

import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from bench.rows import Bench, Row, rows
from services.hashing import CORES
from tests.servers import HOME

PAGE = HOME / "docs" / "performance.md"
BEGIN, END = "<!-- make bench -->\n", "<!-- -->"
HEAD = ["what", "here", "beside it", "there", "ratio", "to reach", ""]
PACKAGES = ["flask", "flask-restful", "gunicorn", "mongoengine", "pymongo", "nx-27017", "bcrypt"]


def main() -> None:
    """Measure every row, print the table and write it down."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            measured = []
            for row in rows(bench):
                measured.append(row)
                print(line(row), flush=True)
        finally:
            bench.stop()
    table = "\n".join([*head(HEAD), *map(line, measured)])
    write(BEGIN, f"{table}\n\n{machine()}, in {time.monotonic() - begin:.0f} s.\n")


def head(names: list[str]) -> list[str]:
    """Return the head of a table, in Markdown."""
    return [cells(names), cells(["---"] * len(names))]


def line(row: Row) -> str:
    """Return a row of the table, in Markdown."""
    reached = "yes" if row.reached else "**no**"
    told = [row.what, row.ours, row.beside, row.theirs, row.ratio, row.target, reached]
    return cells(told)


def machine() -> str:
    """Say on what was measured."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    python = platform.python_version()
    return f"Measured on {CORES} cores of {_processor()}, Python {python}, {versions}"


def _processor() -> str:
    facts = Path("/proc/cpuinfo").read_text()
    return facts.partition("model name")[2].partition(":")[2].partition("\n")[0].strip()


def write(begin: str, text: str) -> None:
    """Put text in place of what was measured before, between begin and END."""
    before, _, rest = PAGE.read_text().partition(begin)
    PAGE.write_text(f"{before}{begin}{text}{END}{rest.partition(END)[2]}")


def cells(texts: list[str]) -> str:
    """Return a line of a table, in Markdown."""
    return f"| {' | '.join(texts)} |"


if __name__ == "__main__":
    main()
