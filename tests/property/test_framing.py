"""Whatever arrives: gunicorn's worker takes no bytes for a request that waitress would not.

Two readers that find the same end of a request leave nothing to smuggle between them.
"""

from contextlib import suppress

from gunicorn.http.errors import InvalidHeader, InvalidRequestLine, LimitRequestHeaders
from hypothesis import example, given, settings
from hypothesis import strategies as st
from waitress.parser import ParsingError

from deploy.http_request import read_request
from deploy.request_buffer import RequestBuffer, State
from infra.chunked_body import ChunkedBody
from infra.http_server import check_head
from tests.support.bad_requests import AMBIGUOUS_REQUESTS

FIELDS = [
    *("Content-Length: 5", "Content-Length: 0", "Content-Length: 12", "Content-Length: 05"),
    *("Content-Length:5 ", "Content-Length: 5, 5", "Content-Length: 70000", "Content_Length: 7"),
    *("Transfer-Encoding: chunked", "transfer-encoding:\tChunked ", "Transfer-Encoding: gzip"),
    *("Transfer-Encoding: gzip, chunked", "Transfer-Encoding:", "Transfer_Encoding: chunked"),
    *("Connection: upgrade", "Connection: close", "Upgrade: h2c", "upgrade:", "Upgrade: x, y"),
    *("Host: x", "Host: y", "Host:", "Expect: 100-continue", "A: b", "A:", "A: \xe9", "A_B: c"),
]
LINES = ["POST / HTTP/1.1"] * 8 + ["GET /a?b HTTP/1.1", "BREW * HTTP/1.0", "GET / HTTP/2.0"]
CHUNKS = [
    "5\r\n12345\r\n",
    "5;a=b\r\n12345\r\n",
    "05\r\n12345\r\n",
    "5 \r\n12345\r\n",
    "5\n12345\r\n",
]
ENDS = ["0\r\n\r\n"] * 4 + [
    "0\r\nHost: z\r\n\r\n",
    "00\r\n\r\n",
    "0\r\n\r\n\r\n",
    "0\r\nA: b\n\r\n",
]
BODIES = st.one_of(
    st.sampled_from(["", "12345", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"]),
    st.builds(
        lambda chunks, end: "".join([*chunks, end]),
        st.lists(st.sampled_from(CHUNKS)),
        st.sampled_from(ENDS),
    ),
)
REQUESTS = st.builds(
    lambda empty, line, fields, body: "\r\n".join([*empty, line, "Host: x", *fields, "", body]),
    st.sampled_from([[], [], [], [""]]),
    st.sampled_from(LINES),
    st.lists(st.sampled_from(FIELDS), max_size=4),
    BODIES,
)
INSERTED = [
    "",
    "\r",
    "\n",
    "\r\n",
    "\0",
    " ",
    "\t",
    ":",
    "\x0b",
    "\xff",
    ",",
    ";",
    "\r\n ",
    "\r\n\r\n",
    "5",
]


def mutate(text: str, place: int, inserted: str, removed: int) -> bytes:
    place %= len(text) + 1
    return (text[:place] + inserted + text[place + removed :]).encode("latin-1")


TEXTS = st.builds(
    mutate,
    st.one_of(REQUESTS, st.sampled_from(list(AMBIGUOUS_REQUESTS.values()))),
    st.integers(0, 10_000),
    st.sampled_from(INSERTED),
    st.integers(0, 2),
)


class Data(bytearray):
    """A buffer as waitress has them."""

    def append(self, data: bytes) -> None:
        self.extend(data)


def read_as_waitress(data: bytes) -> tuple[bytes, int]:
    """Return the body of a request, and where the request ends; raises ParsingError."""
    head_end = data.index(b"\r\n\r\n")
    check_head(data[:head_end])
    fields = [line.partition(b":") for line in data[:head_end].lower().split(b"\r\n")[1:]]
    values = {name: value.strip() for name, _, value in fields}
    begin = head_end + 4
    if b"transfer-encoding" not in values:
        end = begin + int(values.get(b"content-length", 0))
        return data[begin:end], end
    body = Data()
    chunks = ChunkedBody(body)
    used = chunks.received(data[begin:])
    if chunks.error or not chunks.completed:
        raise ParsingError("chunks")
    return bytes(body), begin + used


def receive(data: bytes, cuts: list[int]) -> tuple[State, RequestBuffer]:
    """Return what gunicorn's worker makes of data that arrive in parts."""
    buffer, begin, state = RequestBuffer(b""), 0, State.INCOMPLETE
    for end in [*sorted(it % (len(data) + 1) for it in cuts), len(data)]:
        buffer.data += data[begin:end]
        begin, state = end, buffer.state()
        if state is not State.INCOMPLETE:
            break
    buffer.data += data[begin:]
    return state, buffer


@settings(max_examples=settings().max_examples * 20)
@given(TEXTS, st.lists(st.integers(0, 10_000), max_size=5))
@example(
    b"POST / HTTP/1.1\r\nHost: x\r\nUpgrade: a\r\nConnection: upgrade\r\n"
    b"Content-Length: 5\r\n\r\n12345",
    [],
)
@example(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", [])
def test_both_servers_see_the_same_end_of_a_request(text, cuts):
    state, buffer = receive(text, cuts)
    if state is not State.COMPLETE:
        return
    data, following = buffer.split()
    with suppress(InvalidHeader, InvalidRequestLine, LimitRequestHeaders):
        request = read_request(data, is_cut=False)
        assert read_as_waitress(data + following) == (request.body.read(), len(data))
