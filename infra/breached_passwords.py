"""Lists of stolen passwords, looked up in a sorted file or at a range API.

Both hold SHA-1 digests, as haveibeenpwned.com publishes them. A range API gets five of their 40 hex
digits, so it learns no password, and answers with the rest of those that begin so.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterable, Iterator
from functools import partial
from heapq import merge
from http import HTTPStatus
from http.client import HTTPResponse
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from infra.http_client import HTTP_ERRORS, Client, Request, name_of

MAGIC = b"movie-bag stolen passwords 1\n"
# Of a billion digests, two with the same 64 bits are improbable.
ENTRY_BYTES = 8
PART_LENGTH = 2_000_000
PREFIX_DIGITS = 5
# Several times as long as the longest range.
MAX_RANGE_BYTES = 1_000_000
DEADLINE_SECONDS = 2.0
# How many may wait for the API at once; others are refused after the deadline.
THREADS = 4
SHA1_LINE = re.compile(rb"([0-9A-Fa-f]{40})(:\d+)?\Z")
# An NTLM digest, or one of SHA-1 without the digits that the name of its file has.
OTHER_LINE = re.compile(rb"([0-9A-Fa-f]{32}|[0-9A-Fa-f]{35}):\d+\Z")
RANGE_LINE = re.compile(rb"([0-9A-F]{35})(:[0-9]+)?")

_client = Client("breached-passwords", THREADS)


class LookupFailed(Exception):
    """The list can't be read; the message says why."""


class UnusableList(ValueError):
    """A line of a list is neither a password nor its SHA-1 digest; the message says which."""


def contains(where: str, password: str) -> bool:
    """Return whether a password is in the list at a URL or in a file; raises LookupFailed."""
    digest = hashlib.sha1(password.encode(), usedforsecurity=False)
    try:
        if "://" in where:
            return _ask(where, digest.hexdigest().upper())
        with Path(where).open("rb") as file:
            return _is_in_file(file, digest.digest()[:ENTRY_BYTES])
    except HTTP_ERRORS as error:
        # The text of an error may have the URL, and with it the digits.
        raise LookupFailed(name_of(error)) from None


def _ask(url: str, digits: str) -> bool:
    """Return whether a range API knows a digest, within DEADLINE_SECONDS."""
    prefix, suffix = digits[:PREFIX_DIGITS], digits[PREFIX_DIGITS:]
    request = Request(url + prefix, headers={"Add-Padding": "true"})
    return _client.send(request, DEADLINE_SECONDS, partial(_is_in_range, suffix))


def _is_in_range(suffix: str, response: HTTPResponse) -> bool:
    if response.status != HTTPStatus.OK:
        raise LookupFailed(f"its answer has status {response.status}")
    lines = _read_range(response).upper().split()
    if not all(map(RANGE_LINE.fullmatch, lines)):
        raise LookupFailed("its answer is no range of digests")
    # Padding, which hides how long the answer is, has a count of 0.
    return any(line.startswith(suffix.encode()) and not line.endswith(b":0") for line in lines)


def _read_range(response: HTTPResponse) -> bytes:
    """Return the whole answer; raises LookupFailed."""
    body, deadline = b"", time.monotonic() + DEADLINE_SECONDS
    while part := response.read1(MAX_RANGE_BYTES):
        body += part
        if len(body) > MAX_RANGE_BYTES or time.monotonic() > deadline:
            raise LookupFailed("its answer is too long or too slow")
    if len(body) != int(response.headers.get("Content-Length", len(body))):
        raise LookupFailed("its answer is cut off")
    return body


def _is_in_file(file: IO[bytes], entry: bytes) -> bool:
    """Return whether a sorted file has an entry, by a binary search."""
    if file.read(len(MAGIC)) != MAGIC:
        raise LookupFailed("the file was not built by `flask passwords build`")
    low, high = 0, (os.fstat(file.fileno()).st_size - len(MAGIC)) // ENTRY_BYTES
    while low < high:
        middle = (low + high) // 2
        file.seek(len(MAGIC) + middle * ENTRY_BYTES)
        found = file.read(ENTRY_BYTES)
        if found == entry:
            return True
        low, high = (middle + 1, high) if found < entry else (low, middle)
    return False


def build(lines: Iterable[bytes], target: Path) -> int:
    """Write a list as the file that `contains` reads; return how many passwords it has.

    A line is a password, or its SHA-1 digest in hex, maybe with a count after a colon. A file that
    is there stays until the new one is complete. It takes 250 MB of memory at most, and twice the
    room of the file on its disk.

    Raises:
        UnusableList, OSError
    """
    written, last = 0, b""
    entries = (_entry(number, line) for number, line in enumerate(lines, 1))
    with TemporaryDirectory(dir=target.parent) as folder:
        parts, complete = list(_sorted_parts(entries, Path(folder))), Path(folder, "complete")
        with complete.open("wb") as file:
            file.write(MAGIC)
            for entry in merge(*map(_read, parts)):
                if entry != last:
                    file.write(entry)
                    written, last = written + 1, entry
        complete.replace(target)
    return written


def _entry(number: int, line: bytes) -> bytes:
    text = line.rstrip(b"\r\n")
    if OTHER_LINE.match(text):
        raise UnusableList(f"line {number}: The digests must be of SHA-1, with all 40 digits.")
    if digest := SHA1_LINE.match(text):
        return bytes.fromhex(digest[1].decode())[:ENTRY_BYTES]
    return hashlib.sha1(text, usedforsecurity=False).digest()[:ENTRY_BYTES]


def _sorted_parts(entries: Iterator[bytes], folder: Path) -> Iterator[Path]:
    while part := sorted(islice(entries, PART_LENGTH)):
        path = folder / str(len(list(folder.iterdir())))
        path.write_bytes(b"".join(part))
        yield path


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while entry := file.read(ENTRY_BYTES):
            yield entry
