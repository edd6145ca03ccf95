"""Find mongoengine's private interface outside the package database."""

import re
from collections.abc import Iterator

from scripts.lint.exemptions import text_to_check
from scripts.lint.finding import Finding
from scripts.lint.source import SourceFile

RULE = "private database access"
PRIVATE = re.compile(r"\b(_get_collection|_from_son|_get_db|__raw__)\b")


def check(files: list[SourceFile]) -> Iterator[Finding]:
    """Yield a finding for each use; a test that needs one calls a method of database/models.py."""
    for file in files:
        if file.is_python and not file.path.startswith("database/"):
            for number, line in enumerate(text_to_check(file).splitlines(), 1):
                for name in PRIVATE.findall(line):
                    yield Finding(file.path, number, f"{name} outside database/", RULE)
