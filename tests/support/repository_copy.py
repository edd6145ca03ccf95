"""A copy of the repository, to which the changes of a page are applied."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.lint.__main__ import CHECKS
from scripts.lint.source import list_paths, read_files
from tests.support.markdown import Block
from tests.support.processes import HOME, environment

BIN = Path(sys.executable).parent
# Without plugins, which these tests don't use, pytest starts in half the time.
PYTEST = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def copy_repository(folder: Path) -> None:
    """Copy the files that git tracks, and new ones that it does not ignore, to a new repository."""
    for path in list_paths(HOME):
        if (HOME / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(HOME / path, folder / path)
    # Tests and lint ask it for the files.
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)


class RepositoryCopy:
    """A copy of the repository, in which tests can be run and the linters."""

    def __init__(self, folder: Path, mongodb_uri: str) -> None:
        self.folder = folder
        # Tests in the copy make a database of their own on this server.
        self._environment = environment(MONGODB_URI=mongodb_uri) | PYTEST
        copy_repository(folder)

    def _run(self, command: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment,
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )

    def apply(self, page: Path, block: Block) -> None:
        """Apply a diff of a page; the message of a failure names the page and the hunk."""
        applied = self._run(["git", "apply", "--reject", "-"], block.source)
        assert applied.returncode == 0, (
            f"{page.relative_to(HOME)}:{block.line}: the diff of this block no longer applies,"
            f" write its hunks again for the files as they are now:\n{applied.stdout}"
        )

    def run(self, command: str) -> tuple[int, str]:
        """Run a command of a page; return its exit status and output."""
        command = command.replace(".venv/bin", str(BIN))
        ended = self._run(["bash", "-eu", "-c", command])
        return ended.returncode, ended.stdout

    def findings(self, paths: set[str]) -> list[str]:
        """Return what the linters find in these files."""
        ruff = [str(BIN / "ruff"), "check", "--quiet"], [str(BIN / "ruff"), "format", "--diff"]
        files = [file for file in read_files(self.folder) if file.path in paths]
        python = [file.path for file in files if file.is_python]
        found = [self._run([*command, *python]) for command in ruff]
        printed = [it.stdout for it in found if it.returncode]
        return printed + [str(finding) for check in CHECKS for finding in check(files)]


def changed_paths(block: Block) -> set[str]:
    """Return the paths of the files that a diff changes or creates."""
    return set(re.findall(r"^\+\+\+ b/(\S+)$", block.source, re.MULTILINE))
