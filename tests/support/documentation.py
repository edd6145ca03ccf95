"""The pages of the documentation, and their commands."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.processes import HOME

DOCS = HOME / "docs"
# Those of the root and of docs/ itself; the pages of a folder of docs/ have tests of their own.
TOP_PAGES = sorted([*HOME.glob("*.md"), *DOCS.glob("*.md")])
PAGES = [*TOP_PAGES, *sorted(DOCS.glob("*/**/*.md"))]


def name_of(page: Path) -> str:
    """Return the path of a page from the root of the repository."""
    return page.relative_to(HOME).as_posix()


def run_commands(
    commands: str, replaced: Mapping[str, str], env: dict[str, str], cwd: Path = HOME
) -> str:
    """Run commands of a page in bash, with other addresses and paths; return what they print."""
    for written, actual in replaced.items():
        commands = commands.replace(written, actual)
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, (ended.stdout[-2000:], ended.stderr[-2000:])
    return ended.stdout
