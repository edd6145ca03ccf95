"""The body of a request that comes in chunks, read for waitress exactly as RFC 9112 §7.1 says.

waitress's own reader takes a line that ends with LF alone, and lines without end.
"""

import re
from typing import Any

from waitress.utilities import BadRequest

MAX_LINE_BYTES = 4 * 1024
SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(;[\t\x20-\x7e\x80-\xff]*)?")
TRAILER_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")


class ChunkedBody:
    """What waitress calls a receiver: it is given the bytes that arrive."""

    completed = False
    error: BadRequest | None = None

    def __init__(self, buffer: Any) -> None:
        """Append the data of the chunks to a buffer."""
        self._buffer = buffer
        self._unread = b""
        self._chunk_left = 0
        self._read = self._read_size

    def __len__(self) -> int:
        """Return the number of bytes of data."""
        return len(self._buffer)

    def received(self, data: bytes) -> int:
        """Read data; return how much of it belongs to this body."""
        self._unread += data
        while not self.completed and self.error is None and self._read():
            pass
        return len(data) - len(self._unread) if self.completed else len(data)

    def getbuf(self) -> Any:
        """Return the buffer."""
        return self._buffer

    def getfile(self) -> Any:
        """Return the buffer as a file."""
        return self._buffer.getfile()

    def _read_size(self) -> bool:
        line = self._take_line()
        if line is None:
            return False
        match = SIZE_LINE.fullmatch(line)
        if match is None:
            return self._refuse("Invalid chunk size")
        self._chunk_left = int(match[1], 16)
        self._read = self._read_data if self._chunk_left else self._read_trailer
        return True

    def _read_data(self) -> bool:
        data = self._unread[: self._chunk_left]
        self._unread = self._unread[len(data) :]
        self._buffer.append(data)
        self._chunk_left -= len(data)
        if not self._chunk_left:
            self._read = self._read_end
        return bool(data)

    def _read_end(self) -> bool:
        if self._unread[:2] == b"\r\n":
            self._unread = self._unread[2:]
            self._read = self._read_size
            return True
        if not b"\r\n".startswith(self._unread):
            return self._refuse("Chunk not properly terminated")
        return False

    def _read_trailer(self) -> bool:
        line = self._take_line()
        if line == b"":
            self.completed = True
        elif line is not None and not TRAILER_LINE.fullmatch(line):
            return self._refuse("Invalid trailer")
        return line is not None

    def _take_line(self) -> bytes | None:
        line, end, following = self._unread.partition(b"\r\n")
        if end:
            self._unread = following
            return line
        if b"\n" in line or len(line) > MAX_LINE_BYTES:
            self._refuse("Invalid line in a chunked body")
        return None

    def _refuse(self, reason: str) -> bool:
        self.error = BadRequest(reason)
        return False
