"""Whether a whole request has arrived: the framing of RFC 9112 §6, not its meaning."""

import re
import socket
from enum import Enum, auto

from config import MAX_BODY_BYTES

MAX_HEAD_BYTES = 64 * 1024
# Of a chunked body with its sizes; the application counts the data alone.
MAX_CHUNKED_BYTES = 8 * MAX_BODY_BYTES
RECEIVED_BYTES = 64 * 1024

LENGTH = re.compile(rb"\ncontent-length:[ \t]*([0-9]+)[ \t]*\r\n", re.IGNORECASE)
CODING = re.compile(rb"\ntransfer-encoding:", re.IGNORECASE)
EXPECTATION = re.compile(
    rb"[^\n]* HTTP/1\.1\r.*?\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE | re.DOTALL
)
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t;\r]")


class State(Enum):
    """What to do with a request that has arrived so far."""

    INCOMPLETE = auto()
    COMPLETE = auto()
    # The parser refuses it, or the application because of its length, without the rest.
    REFUSED = auto()
    GONE = auto()
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

    def awaits_continue(self) -> bool:
        """Return whether the client sends its body after a 100 (RFC 9110 §10.1.1)."""
        return bool(EXPECTATION.match(self.data, 0, self._body_at))

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
        if not self._body_at:
            self._find_body()
        if not self._body_at:
            return self._state_of_head()
        if self._length is None:
            return self._state_of_chunks()
        if self._length > MAX_BODY_BYTES:
            return State.REFUSED
        arrived = len(self.data) - self._body_at
        return State.COMPLETE if arrived >= self._length else State.INCOMPLETE

    def _find_body(self) -> None:
        end = self.data.find(b"\r\n\r\n", self._searched)
        self._searched = max(len(self.data) - 3, 0)
        if end < 0:
            return
        self._body_at = self._chunk_at = end + 4
        if not CODING.search(self.data, 0, self._body_at):
            length = LENGTH.search(self.data, 0, self._body_at)
            # int() refuses a number of 4,300 digits.
            self._length = int(length[1].lstrip(b"0")[:18] or b"0") if length else 0

    def _state_of_head(self) -> State:
        if self.data.count(b"\n") != self.data.count(b"\r\n"):
            return State.REFUSED
        return State.LONG_HEAD if len(self.data) > MAX_HEAD_BYTES else State.INCOMPLETE

    def _state_of_chunks(self) -> State:
        if len(self.data) - self._body_at > MAX_CHUNKED_BYTES:
            return State.LONG_BODY
        while (end := self.data.find(b"\r\n", self._chunk_at)) >= 0:
            size = CHUNK_SIZE.match(self.data, self._chunk_at)
            if size is None:
                return State.REFUSED
            if not int(size[1], 16):
                return self._state_of_trailers(end)
            following = end + 2 + int(size[1], 16) + 2
            if following > len(self.data):
                return State.INCOMPLETE
            if self.data[following - 2 : following] != b"\r\n":
                return State.REFUSED
            self._chunk_at = following
        return State.INCOMPLETE

    def _state_of_trailers(self, end: int) -> State:
        return State.COMPLETE if self.data.find(b"\r\n\r\n", end) >= 0 else State.INCOMPLETE
