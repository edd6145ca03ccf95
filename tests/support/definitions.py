"""What a Python file defines."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path


@cache
def defined_names(file: Path, *, with_fields: bool = True) -> frozenset[str]:
    """Return the names that a module and its classes define, as `User` and `User.get_by_email`.

    Without fields: of a class its methods and classes alone.
    """
    return frozenset(_names(ast.parse(file.read_text()), "", with_fields))


def _names(scope: ast.Module | ast.ClassDef, prefix: str, with_fields: bool) -> Iterator[str]:
    for node in scope.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from _names(node, f"{prefix}{node.name}.", with_fields)
        for target in _targets(node) if with_fields or not prefix else []:
            yield from (prefix + it.id for it in ast.walk(target) if isinstance(it, ast.Name))


def _targets(node: ast.stmt) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, ast.AnnAssign) else []
