"""Check the length of functions and of the names of tests."""

from collections.abc import Iterator

from scripts.lint.finding import Finding
from scripts.lint.source import Function, SourceFile

LENGTH = "function length"
TEST_NAME = "test name"
MAX_LINES = 30
MAX_TEST_NAME = 60


def check(files: list[SourceFile]) -> Iterator[Finding]:
    """Yield the functions that are too long and the tests whose names are."""
    for file in files:
        for function in file.functions:
            yield from _check_length(file, function)
            yield from _check_test_name(file, function)


def _check_length(file: SourceFile, function: Function) -> Iterator[Finding]:
    """Count from `def` to the last line, docstring included, decorators apart."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if lines > MAX_LINES:
        message = f"{function.name} has {lines} lines, at most {MAX_LINES} are allowed"
        yield Finding(file.path, function.lineno, message, LENGTH)


def _check_test_name(file: SourceFile, function: Function) -> Iterator[Finding]:
    name = function.name
    is_test = file.path.startswith("tests/") and name.startswith("test_")
    if is_test and len(name) > MAX_TEST_NAME:
        message = f"{name} has {len(name)} characters, at most {MAX_TEST_NAME} are allowed"
        yield Finding(file.path, function.lineno, message, TEST_NAME)
