"""The functions of a JavaScript module, as far as its layout tells them."""

import re
from collections.abc import Iterator
from typing import NamedTuple

# A line starts a statement if it is not indented and closes nothing.
START = re.compile(r"\n+(?=[^\s})\]])")
NAME = re.compile(
    r"(?:export )?(?:(?:async )?function|class|const(?= \w+ = (?:async )?(?:\(.*\)|\w+) =>)) (\w+)"
)


class Function(NamedTuple):
    """A function, or a class, that is in no other: its name, the line above it, its own text."""

    name: str
    above: str
    text: str

    @property
    def length(self) -> int:
        """Return the number of its lines, those of the functions in it included."""
        return self.text.count("\n") + 1


def functions(text: str) -> Iterator[Function]:
    """Yield the functions of a module in their order."""
    statements = START.split(text.rstrip())
    for above, statement in zip(["", *statements], statements, strict=False):
        if name := NAME.match(statement):
            yield Function(name[1], above.split("\n")[-1], statement)
