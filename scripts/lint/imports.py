"""Check that imports point one way, without cycles, and that packages run no code."""

import ast
from collections.abc import Collection, Iterator
from graphlib import CycleError, TopologicalSorter

from scripts.lint.finding import Finding
from scripts.lint.source import NOT_PRODUCT, SourceFile

DIRECTION = "import direction"
IN_FUNCTION = "import inside a function"
CYCLE = "import cycle"
TEST_IMPORT = "import of a test"
TEST_HELPER = "test helper outside tests/support"
PACKAGE = "code in __init__.py"
# A module may import its own level and any level after it.
LEVELS = (
    ("run", "gunicorn.conf", "deploy"),
    ("app",),
    ("commands",),
    ("resources",),
    ("web",),
    ("schemas",),
    ("services",),
    ("jobs",),
    ("infra",),
    ("database",),
    ("config",),
    ("setting_values",),
    ("private_keys", "production_checks"),
    ("key_strength", "setting_checks", "setting_sources"),
)
RANK = {name: rank for rank, names in enumerate(LEVELS) for name in names}
# The line of an import and the module that it names.
Import = tuple[int, str]


def check(files: list[SourceFile]) -> Iterator[Finding]:
    """Yield the findings of all rules about imports."""
    modules = {file.module: file for file in files if file.is_python}
    for file in modules.values():
        imports = list(imported_modules(file, modules))
        if file.is_product:
            yield from _check_direction(file, imports)
            yield from _check_functions(file)
        yield from _check_test_imports(file, imports)
        yield from _check_package(file)
    yield from _check_cycles(modules)


def imported_modules(file: SourceFile, modules: Collection[str]) -> Iterator[Import]:
    """Yield each imported module; `from package import module` names the module."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(file, node)
            names = (f"{base}.{alias.name}" for alias in node.names)
            yield from ((node.lineno, name if name in modules else base) for name in names)


def _absolute(file: SourceFile, node: ast.ImportFrom) -> str:
    """Return the absolute name of the module after `from`."""
    if not node.level:
        return node.module or ""
    parts = file.path.removesuffix(".py").split("/")[: -node.level]
    return ".".join([*parts, node.module] if node.module else parts)


def _top(module: str) -> str:
    return module if module in RANK else module.split(".")[0]


def _check_direction(file: SourceFile, imports: list[Import]) -> Iterator[Finding]:
    importer = _top(file.module)
    if importer not in RANK:
        yield Finding(file.path, 1, f"{importer} has no level in LEVELS", DIRECTION)
    for line, module in imports:
        top = _top(module)
        if top in NOT_PRODUCT or RANK.get(importer, 0) > RANK.get(top, len(RANK)):
            yield Finding(file.path, line, f"{importer} may not import {module}", DIRECTION)


def _check_functions(file: SourceFile) -> Iterator[Finding]:
    inner = {node for function in file.functions for node in ast.walk(function)}
    for node in inner:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield Finding(file.path, node.lineno, "import inside a function", IN_FUNCTION)


def _check_test_imports(file: SourceFile, imports: list[Import]) -> Iterator[Finding]:
    for line, module in imports:
        if module.startswith("tests.") and module.split(".")[-1].startswith("test_"):
            message = f"{module} is a test; move what is shared to tests/support"
            yield Finding(file.path, line, message, TEST_IMPORT)
    if _is_misplaced_helper(file.path):
        message = "neither a test nor a conftest.py; move it to tests/support"
        yield Finding(file.path, 1, message, TEST_HELPER)


def _is_misplaced_helper(path: str) -> bool:
    name = path.split("/")[-1]
    is_test = name.startswith("test_") or name in ("conftest.py", "__init__.py")
    return path.startswith("tests/") and not path.startswith("tests/support/") and not is_test


def _check_package(file: SourceFile) -> Iterator[Finding]:
    """Require one docstring; below tests/ an empty file will do."""
    if not file.path.endswith("__init__.py") or (file.path.startswith("tests/") and not file.text):
        return
    body = file.tree.body
    if len(body) != 1 or ast.get_docstring(file.tree) is None:
        yield Finding(file.path, 1, "must be one docstring, which states the rule", PACKAGE)


def _check_cycles(modules: dict[str, SourceFile]) -> Iterator[Finding]:
    """Report each cycle once, and remove one of its imports to find the next."""
    graph = {name: _dependencies(file, modules) for name, file in modules.items()}
    while cycle := _find_cycle(graph):
        first, second = cycle[:2]
        line = graph[first].pop(second)
        yield Finding(modules[first].path, line, f"import cycle: {' → '.join(cycle)}", CYCLE)


def _dependencies(file: SourceFile, modules: Collection[str]) -> dict[str, int]:
    """Return the imported modules of this repository, each with the line of its import."""
    imports = imported_modules(file, modules)
    return {name: line for line, name in imports if name in modules and name != file.module}


def _find_cycle(graph: dict[str, dict[str, int]]) -> list[str]:
    """Return a cycle in the order of its imports, or an empty list."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return cycle[::-1]
    return []
