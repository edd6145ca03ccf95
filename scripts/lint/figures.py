"""Print the size of the code: `python -m scripts.lint.figures`.

A line of code is a line that is not blank, not only a comment and not part of a docstring.
"""

import ast
import io
import tokenize
from collections.abc import Iterable
from pathlib import Path

from scripts.lint.source import Function, SourceFile, read_files

# The list "The core that a learner reads" of the architecture.
CORE = (
    "app.py",
    "config.py",
    "resources/routes.py",
    "resources/auth.py",
    "resources/reset_password.py",
    "web/decorators.py",
    "schemas/auth.py",
    "services/auth_service.py",
    "services/password_service.py",
    "services/session_service.py",
    "services/token_service.py",
    "services/mail_service.py",
    "jobs/queue.py",
    "jobs/worker.py",
    "database/models.py",
)
MAX_CORE = 1450
MAX_PRODUCT = 3300
MAX_AVERAGE = 7
LONGEST = 10
NOT_COUNTED = ("database/migrations.py", "database/migrations/")
NO_CODE = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}


def code_lines(file: SourceFile) -> set[int]:
    """Return the numbers of the lines of code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(file.text).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines - _docstring_lines(file.tree)


def _docstring_lines(tree: ast.Module) -> set[int]:
    documented = ast.Module | ast.ClassDef | Function
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            lines.update(_line_range(node.body[0]))
    return lines


def _line_range(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def function_lengths(file: SourceFile) -> list[tuple[int, str]]:
    """Return the lines of code and the place of each function, from its `def` to its end."""
    code = code_lines(file)
    return [
        (len(code.intersection(_line_range(node))), f"{file.path}:{node.lineno} {node.name}")
        for node in file.functions
    ]


def count(files: Iterable[SourceFile]) -> int:
    """Return how many lines of code the files have together."""
    return sum(len(code_lines(file)) for file in files)


def print_core(files: dict[str, SourceFile]) -> None:
    """Print the lines of each file of the core."""
    for path in CORE:
        lines = f"{count([files[path]]):6}" if path in files else "     –"
        print(f"{lines}  {path}")
    core = count(files[path] for path in CORE if path in files)
    print(f"{core:6}  lines of code of the core (at most {MAX_CORE})")


def print_product(files: Iterable[SourceFile]) -> None:
    """Print the lines of the product, and how long its functions are."""
    product = [file for file in files if file.is_product and not file.path.startswith(NOT_COUNTED)]
    lengths = sorted(length for file in product for length in function_lengths(file))[::-1]
    average = sum(lines for lines, _ in lengths) / max(len(lengths), 1)
    print(f"{count(product):6}  lines of code of the whole product (at most {MAX_PRODUCT})")
    print(f"{len(lengths):6}  functions, {average:.1f} lines on average (at most {MAX_AVERAGE})")
    print("\nThe longest functions:")
    for lines, place in lengths[:LONGEST]:
        print(f"{lines:6}  {place}")


def main() -> None:
    """Print all figures for the repository in the current directory."""
    files = {file.path: file for file in read_files(Path.cwd())}
    print_core(files)
    print_product(files.values())


if __name__ == "__main__":
    main()
