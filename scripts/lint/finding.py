"""What a check reports."""

from typing import NamedTuple


class Finding(NamedTuple):
    """One violation of one rule."""

    path: str
    line: int
    message: str
    rule: str

    def __str__(self) -> str:
        """Return the finding as editors and CI read it."""
        return f"{self.path}:{self.line}: {self.message}"
