"""The tables in docs/performance.md, between comments that mark their ends, and its charts."""

import argparse
import platform
from importlib.metadata import version
from pathlib import Path

from infra.password_hashing import CORES
from tests.support.processes import HOME

DOCS = HOME / "docs" / "performance.md"
END = "<!-- -->"
PACKAGES = ["flask", "flask-restful", "gunicorn", "mongoengine", "pymongo", "nx-27017", "bcrypt"]


def read_arguments(description: str) -> Path:
    """Return the file that the command line names, docs/performance.md without one."""
    parser = argparse.ArgumentParser(description=description)
    about = "a file with the comments of docs/performance.md, the default"
    parser.add_argument("page", nargs="?", type=Path, default=DOCS, help=about)
    page: Path = parser.parse_args().page
    return page


def write_table(page: Path, begin: str, text: str) -> None:
    """Replace what was measured before, between begin and END."""
    before, _, old = page.read_text().partition(begin)
    page.write_text(f"{before}{begin}{text}{END}{old.partition(END)[2]}")


def write_chart(page: Path, name: str, drawing: str) -> None:
    """Write a chart beside the page that shows it."""
    folder = page.parent / "images"
    folder.mkdir(exist_ok=True)
    (folder / f"performance-{name}.svg").write_text(drawing)


def table_head(names: list[str]) -> list[str]:
    """Return the head of a table, in Markdown."""
    return [table_line(names), table_line(["---"] * len(names))]


def table_line(cells: list[str]) -> str:
    """Return a line of a table, in Markdown."""
    return f"| {' | '.join(cells)} |"


def machine() -> str:
    """Return on which machine and with which packages the measurement was made."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    python = platform.python_version()
    return f"Measured on {CORES} cores of {_processor()}, Python {python}, {versions}"


def _processor() -> str:
    description = Path("/proc/cpuinfo").read_text()
    return description.partition("model name")[2].partition(":")[2].partition("\n")[0].strip()
