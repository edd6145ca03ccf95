"""Whether a whole request has arrived: the framing of RFC 9112 §6, not its meaning."""

import re
import socket
from enum import Enum, auto

from config import MAX_BODY_BYTES

MAX_HEAD_BYTES = 64 * 1024
# Of a chunked body with its sizes; the application counts the data alone.
MAX_CHUNKED_BYTES = 8 * MAX_BODY_BYTES
# Of the line before a chunk, or of all lines after the last one.
MAX_CHUNK_LINE_BYTES = 4 * 1024
RECEIVED_BYTES = 64 * 1024

LENGTH = re.compile(rb"\ncontent-length:[ \t]*([0-9]+)[ \t]*\r\n", re.IGNORECASE)
CODING = re.compile(rb"\ntransfer-encoding:", re.IGNORECASE)
EXPECTATION = re.compile(
    rb"[^\n]* HTTP/1\.1\r.*?\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE | re.DOTALL
)
BARE_LF = re.compile(rb"(?<!\r)\n")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t;\r]")


class State(Enum):
    """What to do with a request that has arrived so far."""

    INCOMPLETE = auto()
    COMPLETE = auto()
    # The application refuses it because of its length, without the rest.
    CUT = auto()
    GONE = auto()
    INVALID = auto()
    LONG_HEAD = auto()
    LONG_BODY = auto()


class RequestBuffer:
    """The bytes of a connection from the beginning of a request."""

    def __init__(self, data: bytes) -> None:
        """Take what has arrived already."""
        self.data = bytearray(data)
        self._searched = 0
        self._body_at = 0  # 0 until the head is complete
        self._length: int | None = None  # of a chunked body None
        self._chunk_at = 0
        self._end = 0
        self._is_asked = False

    def split(self) -> tuple[bytes, bytes]:
        """Return the request, as much of it as is here, and what follows it."""
        end = self._end or len(self.data)
        return bytes(self.data[:end]), bytes(self.data[end:])

    def awaits_continue(self) -> bool:
        """Return whether the client sends its body after a 100 (RFC 9110 §10.1.1), the first time.

        The whole head is searched: not again for each byte that follows.
        """
        is_asked, self._is_asked = self._is_asked, self._body_at > 0
        return not is_asked and bool(EXPECTATION.match(self.data, 0, self._body_at))

    def receive(self, connection: socket.socket) -> State:
        """Read what has arrived on a connection that does not block; return the state then."""
        while (state := self.state()) is State.INCOMPLETE:
            try:
                data = connection.recv(RECEIVED_BYTES)
            except BlockingIOError:
                return state
            except OSError:
                return State.GONE
            if not data:
                return State.GONE
            self.data += data
        return state

    def state(self) -> State:
        """Return the state; what was looked at before is not looked at again."""
        state = State.INCOMPLETE if self._body_at else self._state_of_head()
        if state is State.INCOMPLETE and self._body_at:
            state = self._state_of_body()
        return state

    def _state_of_head(self) -> State:
        while self.data.startswith(b"\r\n"):  # empty lines before a request (RFC 9112 §2.2)
            del self.data[:2]
        start, self._searched = self._searched, max(len(self.data) - 3, 0)
        end = self.data.find(b"\r\n\r\n", start)
        if end >= 0:
            self._find_body(end + 4)
        elif BARE_LF.search(self.data, start):
            return State.INVALID
        head_bytes = self._body_at or len(self.data)
        return State.LONG_HEAD if head_bytes > MAX_HEAD_BYTES else State.INCOMPLETE

    def _find_body(self, body_at: int) -> None:
        self._body_at = self._chunk_at = body_at
        if not CODING.search(self.data, 0, body_at):
            length = LENGTH.search(self.data, 0, body_at)
            # int() refuses a number of 4,300 digits.
            self._length = int(length[1].lstrip(b"0")[:18] or b"0") if length else 0

    def _state_of_body(self) -> State:
        if self._length is None:
            return self._state_of_chunks()
        if self._length > MAX_BODY_BYTES:
            return State.CUT
        self._end = self._body_at + self._length
        return State.COMPLETE if len(self.data) >= self._end else State.INCOMPLETE

    def _state_of_chunks(self) -> State:
        if len(self.data) - self._body_at > MAX_CHUNKED_BYTES:
            return State.LONG_BODY
        while (end := self.data.find(b"\r\n", self._chunk_at)) >= 0:
            size = CHUNK_SIZE.match(self.data, self._chunk_at)
            if size is None:
                return State.INVALID
            if not int(size[1], 16):
                return self._state_of_trailers(end)
            following = end + 2 + int(size[1], 16) + 2
            if following > len(self.data):
                return State.INCOMPLETE
            if self.data[following - 2 : following] != b"\r\n":
                return State.INVALID
            self._chunk_at = following
        return self._state_of_lines(self._chunk_at)

    def _state_of_trailers(self, begin: int) -> State:
        end = self.data.find(b"\r\n\r\n", begin)
        if end < 0:
            return self._state_of_lines(begin)
        self._end = end + 4
        return State.COMPLETE

    def _state_of_lines(self, begin: int) -> State:
        """Return the state of lines without their end: they are searched for it again."""
        is_long = len(self.data) - begin > MAX_CHUNK_LINE_BYTES
        return State.INVALID if is_long else State.INCOMPLETE
