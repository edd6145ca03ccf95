"""The code of the book: what its chapters make of an empty folder.

`python -m scripts.book 6 my-bag` writes the code as it is after chapter 6, to start there.

A block with a file's name either is the whole file (it begins with a docstring) or changes the
definitions that it has: each replaces the one of its name, or is added. In a class, `...` stands
for what is there already.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

from tests.support.markdown import Block, code_blocks

BOOK = Path(__file__).parent.parent / "docs" / "book"
CHAPTERS = sorted(BOOK.glob("[0-9]*.md"))


def write_code(chapter: int, folder: Path) -> None:
    """Write the code as it is after a chapter."""
    for page in CHAPTERS[:chapter]:
        write_blocks(page, folder)


def write_blocks(page: Path, folder: Path) -> None:
    """Write the code of a page over that of the pages before it."""
    for block in code_blocks(page):
        if block.title:
            write_block(block, folder)


def write_block(block: Block, folder: Path) -> None:
    """Write the file that a block is, or change the file that it is a part of."""
    file = folder / block.title
    file.parent.mkdir(parents=True, exist_ok=True)
    is_part = file.exists() and file.suffix == ".py" and not _docstring(block.source)
    file.write_text(merge(file.read_text(), block.source) if is_part else block.source)
    if file.suffix == ".py":
        _tidy(file)


def _docstring(source: str) -> str | None:
    return ast.get_docstring(ast.parse(source))


def _tidy(file: Path) -> None:
    """Sort the imports and remove those that are not used any more, as an editor does."""
    ruff = Path(sys.executable).with_name("ruff")
    subprocess.run(
        [ruff, "check", "--quiet", "--isolated", "--fix", "--select=I,F401", file], check=True
    )
    subprocess.run([ruff, "format", "--quiet", "--isolated", "--line-length=100", file], check=True)


def merge(old: str, new: str) -> str:
    """Return old source with the definitions of new: replaced by their names, or added."""
    pieces = _merge_body(_pieces(old, ast.parse(old).body), ast.parse(new).body, new)
    docstring, *others = pieces.values()
    others.sort(key=lambda text: not text.startswith(("import ", "from ")))
    return _join([docstring + "\n", *others])


def _join(pieces: list[str]) -> str:
    """Return source with an empty line around each statement of several lines."""
    return "".join(f"{it}\n" if "\n" not in it else f"\n{it}\n\n" for it in pieces)


def _merge_body(old: dict[str, str], body: list[ast.stmt], new: str) -> dict[str, str]:
    """Replace statements by those of their name; put new ones before the one that follows them."""
    merged = dict(old)
    lines = new.splitlines()
    for index, node in enumerate(body):
        text = _text(lines, node)
        key = _key(node)
        if isinstance(node, ast.ClassDef) and _is_ellipsis(node.body[0]):
            text = _merge_class(merged[key], text)
        if isinstance(node, ast.ImportFrom) and key in merged:
            text = f"{text}\n{merged[key]}"  # sorting makes one of the two
        if key in merged:
            merged[key] = text
        else:
            following = next((_key(it) for it in body[index + 1 :] if _key(it) in old), "")
            merged = _insert(merged, key, text, following or _first_definition(merged, node))
    return merged


def _insert(pieces: dict[str, str], key: str, text: str, before: str) -> dict[str, str]:
    keys = list(pieces)
    place = keys.index(before) if before in keys else len(keys)
    items = list(pieces.items())
    return dict([*items[:place], (key, text), *items[place:]])


def _first_definition(pieces: dict[str, str], node: ast.stmt) -> str:
    """Return the class or function before which a new constant belongs."""
    definition = re.compile(r"\s*(@|class |def )")
    if isinstance(node, ast.Assign):
        return next((key for key, text in pieces.items() if definition.match(text)), "")
    return ""


def _merge_class(old: str, new: str) -> str:
    """Return a class with the members of new, whose first statement is `...`."""
    old_class, new_class = _class(old), _class(new)
    members = _merge_body(_pieces(old, old_class.body), new_class.body[1:], new)
    head = old.splitlines()[: old_class.body[0].lineno - 1]
    return _join(["\n".join(head), *members.values()])


def _class(source: str) -> ast.ClassDef:
    return next(node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))


def _pieces(source: str, body: list[ast.stmt]) -> dict[str, str]:
    lines = source.splitlines()
    return {_key(node): _text(lines, node) for node in body}


def _text(lines: list[str], node: ast.stmt) -> str:
    """Return the lines of a statement, with its decorators and the comments above it."""
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    while first > 1 and lines[first - 2].lstrip().startswith("#"):
        first -= 1
    return "\n".join(lines[first - 1 : node.end_lineno])


def _key(node: ast.stmt) -> str:
    match node:
        case ast.ClassDef() | ast.FunctionDef():
            return node.name
        case ast.Assign() | ast.AnnAssign():
            return ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
        case ast.ImportFrom():
            return f"from {node.module}"
    return ast.unparse(node)


def _is_ellipsis(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and ast.unparse(node) == "..."


if __name__ == "__main__":
    if len(sys.argv) != 3 or not sys.argv[1].isdigit():
        sys.exit("Type: python -m scripts.book CHAPTER FOLDER")
    write_code(int(sys.argv[1]), Path(sys.argv[2]))
