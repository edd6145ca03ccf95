"""Read exempt.txt: the files, and the parts of files, that may contain retired words."""

import re
from fnmatch import fnmatchcase
from pathlib import Path

from scripts.lint.source import SourceFile

EXEMPT_FILE = Path(__file__).with_name("exempt.txt")
WHOLE_FILE = r"[\s\S]+"


def read_exemptions() -> list[tuple[str, re.Pattern[str]]]:
    """Return pairs of a glob and the pattern of what is exempt in the files that it matches."""
    lines = EXEMPT_FILE.read_text("utf-8").splitlines()
    pairs = (line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))
    return [(pair[0], re.compile((pair[1:] or [WHOLE_FILE])[0], re.MULTILINE)) for pair in pairs]


EXEMPTIONS = read_exemptions()


def text_to_check(file: SourceFile) -> str:
    """Return the text of a file with spaces in place of what is exempt."""
    text = file.text
    for glob, pattern in EXEMPTIONS:
        if fnmatchcase(file.path, glob):
            text = pattern.sub(_blank, text)
    return text


def is_exempt(path: str) -> bool:
    """Say whether a whole file is exempt, its name included."""
    return any(p.pattern == WHOLE_FILE and fnmatchcase(path, glob) for glob, p in EXEMPTIONS)


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match.group())
