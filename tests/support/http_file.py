"""The requests of a .http file, as VS Code's REST Client and httpyac read them."""

import re
from collections.abc import Iterator

Request = tuple[str, ...]

SEPARATOR = re.compile(r"^###.*\n", re.MULTILINE)
REQUEST = re.compile(
    r"(?:# @name (\w+)\n)?(?:# @prompt .*\n)?"
    r"([A-Z]+) (\S+)\n((?:[\w-]+: .*\n)*)(?:\n((?:.+\n)+))?\n*"
)


def parse_requests(text: str) -> Iterator[Request]:
    """Yield name, method, URL, headers and body of each request after a line of `###`."""
    for part in SEPARATOR.split(text)[1:]:
        if part.strip():  # else it is a heading
            yield parse_request(part)


def parse_request(text: str) -> Request:
    """Return name, method, URL, headers and body of one request, "" for what it lacks."""
    match = REQUEST.fullmatch(text)
    assert match, text
    return tuple(part or "" for part in match.groups())
