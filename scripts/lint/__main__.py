"""Run all checks from the root of the repository: `python -m scripts.lint`."""

import sys
from collections import Counter
from pathlib import Path

from scripts.lint import database_access, functions, imports, translations, words
from scripts.lint.finding import Finding
from scripts.lint.source import read_files

CHECKS = (words.check, database_access.check, imports.check, functions.check, translations.check)


def run_checks(root: Path) -> list[Finding]:
    """Return the findings of all checks for the repository at root, sorted by place."""
    files = read_files(root)
    return sorted({finding for check in CHECKS for finding in check(files)})


def main() -> int:
    """Print the findings, and how many there are of each rule; return the exit code."""
    findings = run_checks(Path.cwd())
    for finding in findings:
        print(finding)
    for rule, count in Counter(finding.rule for finding in findings).most_common():
        print(f"{count:5} {rule}", file=sys.stderr)
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
