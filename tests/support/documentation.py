"""The pages of the documentation."""

from pathlib import Path

from tests.support.processes import HOME

DOCS = HOME / "docs"
# Those of the root and of docs/ itself; the pages of a folder of docs/ have tests of their own.
TOP_PAGES = sorted([*HOME.glob("*.md"), *DOCS.glob("*.md")])
PAGES = [*TOP_PAGES, *sorted(DOCS.glob("*/**/*.md"))]


def name_of(page: Path) -> str:
    """Return the path of a page from the root of the repository."""
    return page.relative_to(HOME).as_posix()
