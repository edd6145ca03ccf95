"""Read the files of the repository: those that git tracks, and new ones that it does not ignore."""

import ast
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

# Everything else that ends with .py is product code.
NOT_PRODUCT = (".ci", "bench", "clients", "examples", "scripts", "tests")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class SourceFile:
    """A text file, by its path from the root of the repository."""

    path: str
    text: str
    root: Path = Path()

    @property
    def is_python(self) -> bool:
        """Say whether this is a Python module."""
        return self.path.endswith(".py")

    @property
    def is_product(self) -> bool:
        """Say whether this is a Python module that runs in production."""
        return self.is_python and self.path.split("/")[0] not in NOT_PRODUCT

    @property
    def module(self) -> str:
        """Return the dotted name by which other modules import this one."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @cached_property
    def tree(self) -> ast.Module:
        """Return the syntax tree, an empty one after a syntax error, which ruff reports."""
        try:
            return ast.parse(self.text) if self.is_python else ast.Module([], [])
        except SyntaxError:
            return ast.Module([], [])

    @property
    def functions(self) -> list[Function]:
        """Return all functions and methods, nested ones too."""
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]


def read_files(root: Path) -> list[SourceFile]:
    """Return the text files below root, sorted by path."""
    return [file for path in list_paths(root) if (file := _read(root, path))]


def list_paths(root: Path) -> list[str]:
    """Return the paths of the files below root that git tracks or does not ignore, sorted."""
    command = ["git", "ls-files", "-coz", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return sorted(set(listed.stdout.split("\0")) - {""})


def _read(root: Path, path: str) -> SourceFile | None:
    """Return None for a deleted or binary file."""
    try:
        text = (root / path).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return None if "\0" in text else SourceFile(path, text, root)
