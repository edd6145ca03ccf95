"""The catalogues of translations/: `python -m scripts.translations` updates and compiles them.

With a locale as its argument it adds a language. A catalogue has each text of the templates that
is in `_()`, and each message of an error that a page may show. Nothing changes if it is run twice.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import BytesIO, StringIO
from pathlib import Path

import zxcvbn.feedback
from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract, extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from scripts.lint.source import SourceFile, read_files

FOLDER = "translations"
PO = re.compile(rf"{FOLDER}/(\w+)/LC_MESSAGES/messages\.po")
# Modules with messages that the page of a link may show, and in which of their classes; "" stands
# for what is outside of a class.
MESSAGES = {
    re.compile(r"services/errors\.py"): re.compile(
        r"(?!\w*(Forbidden|Movie|NotExists|NotVerified|Reauthentication|SecondFactor|Session))\w*"
    ),
    re.compile(r"schemas/fields\.py"): re.compile("LimitedText"),
    re.compile(
        r"services/\w*(email|link|password|token)\w*\.py|schemas/auth\.py|infra/password_strength\.py"
    ): re.compile(r"\w*"),
}
SENTENCE = re.compile(r"[A-Z]\S* .+")
COLUMNS = 100
OPTIONS = {"newstyle_gettext": "true", "silent": "false"}

Text = tuple[str, int, str]


def extract_texts(files: Iterable[SourceFile]) -> Catalog:
    """Return a catalogue without translations: each text, with the files where it is."""
    catalog = Catalog()
    for path, line, text in _texts(files):
        catalog.add(text, locations=[(path, line)])
    return catalog


def _texts(files: Iterable[SourceFile]) -> Iterator[Text]:
    """Yield path, line and text of all that may be translated."""
    for file in files:
        if file.path.startswith("templates/"):
            for line, text in _marked(babel_extract, file.text):
                yield file.path, line, text
        for path, classes in MESSAGES.items():
            if path.fullmatch(file.path):
                for line, text in _sentences(file.tree, classes):
                    yield file.path, line, text
    for line, text in _marked(extract_python, Path(zxcvbn.feedback.__file__).read_text("utf-8")):
        yield "zxcvbn/feedback.py", line, text


def _marked(method: object, source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each `_("text")`."""
    found = extract(method, BytesIO(source.encode()), DEFAULT_KEYWORDS, (), OPTIONS)  # type: ignore[arg-type]  # a callable is fine
    return ((line, str(text)) for line, text, _, _ in found)


def _sentences(tree: ast.Module, classes: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    """Yield line and text of each message of an error: assigned, raised, or in a list."""
    for outer in tree.body:
        if classes.fullmatch(outer.name if isinstance(outer, ast.ClassDef) else ""):
            for value in (it for node in ast.walk(outer) for it in _messages(node)):
                text = _text(value)
                if SENTENCE.fullmatch(text):
                    yield value.lineno, text


def _messages(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Assign(value=value):
            return [value]
        case ast.List(elts=values) | ast.BoolOp(values=values):
            return values
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[message, *_]):
            return [message] if name.endswith("Error") else []
    return []


def _text(node: ast.expr) -> str:
    """Return a string, with %s in place of what varies in it; "" of anything else."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text(value) or "%s" for value in values)
    return ""


def update(text: str, locale: str, texts: Catalog) -> Catalog:
    """Return the catalogue of a language, from its file's text, with the texts as they are now."""
    catalog = read_po(StringIO(text), locale=locale) if text else _new_catalog(locale)
    texts.creation_date = catalog.creation_date  # else it changed at each run
    catalog.update(texts)
    catalog.obsolete.clear()
    return catalog


def _new_catalog(locale: str) -> Catalog:
    now, language = datetime.now(UTC), Locale.parse(locale).english_name
    return Catalog(
        locale=locale,
        project="Movie-bag",
        version="1",
        header_comment=f"# The texts of Movie-bag in {language}.",
        msgid_bugs_address="-",
        last_translator="-",
        language_team=f"{language}",
        creation_date=now,
        revision_date=now,
        fuzzy=False,
    )


def to_po(catalog: Catalog) -> str:
    """Return a catalogue as translators edit it."""
    output = BytesIO()
    write_po(output, catalog, width=COLUMNS, include_lineno=False)
    return output.getvalue().decode()


def to_mo(catalog: Catalog) -> bytes:
    """Return a catalogue as the product reads it, without the translations that are fuzzy."""
    output = BytesIO()
    write_mo(output, catalog)
    return output.getvalue()


def write_catalogs(root: Path, locales: Iterable[str]) -> None:
    """Update and compile the catalogue of each language, after adding those of new locales."""
    files = read_files(root)
    found = {match[1]: file.text for file in files if (match := PO.fullmatch(file.path))}
    new = {str(Locale.parse(locale.replace("-", "_"))): "" for locale in locales}
    for locale, text in (new | found).items():
        folder = root / FOLDER / locale / "LC_MESSAGES"
        folder.mkdir(parents=True, exist_ok=True)
        catalog = update(text, locale, extract_texts(files))
        (folder / "messages.po").write_text(to_po(catalog), "utf-8")
        (folder / "messages.mo").write_bytes(to_mo(catalog))


if __name__ == "__main__":
    write_catalogs(Path.cwd(), sys.argv[1:])
