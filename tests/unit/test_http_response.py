"""A response as gunicorn's worker sends it."""

import socket
import sys

import pytest

from deploy.http_request import read_request
from deploy.http_response import Response

FIVE = [("Content-Length", "5")]


class Exchange:
    """A request, and what its client gets."""

    def __init__(self, first):
        self._server, self._client = socket.socketpair()
        request = read_request(f"{first}\r\nHost: x\r\n\r\n".encode(), is_cut=False)
        self.response = Response(request, self._server)

    def send(self, *chunks, status="200 OK", headers=FIVE):
        self.response.start_response(status, headers)
        self.response.send(chunks)

    def received(self):
        """Return the lines of the head, and the body."""
        self._server.close()
        with self._client.makefile("rb") as file:
            head, _, body = file.read().partition(b"\r\n\r\n")
        return head.decode("latin-1").split("\r\n"), body

    def close(self):
        self._server.close()
        self._client.close()


@pytest.fixture
def connect():
    """Return a function that begins the response to a request with this first line."""
    opened = []

    def connect(first="GET / HTTP/1.1"):
        opened.append(Exchange(first))
        return opened[-1]

    yield connect
    for exchange in opened:
        exchange.close()


class TestHead:
    """The status and the headers."""

    def test_it_has_the_headers_date_and_connection(self, connect):
        exchange = connect()
        exchange.send(b"12345", headers=[*FIVE, ("A", "é")])
        (status, length, own, *others), body = exchange.received()
        assert (status, length, own, body) == (
            "HTTP/1.1 200 OK",
            "Content-Length: 5",
            "A: é",
            b"12345",
        )
        assert [line.partition(":")[0] for line in others] == ["Server", "Date", "Connection"]
        assert not exchange.response.is_last

    @pytest.mark.parametrize(
        "header", [("A", "b\r\nC: d"), ("A", "b\nC: d"), ("A\rB", "c"), ("A", "\0"), ("A", "€")]
    )
    def test_header_that_could_be_another_one_is_refused(self, connect, header):
        exchange = connect()
        with pytest.raises(ValueError, match="header"):
            exchange.response.start_response("200 OK", [header])
        assert not exchange.response.headers_sent
        assert exchange.received() == ([""], b"")

    def test_connection_is_not_decided_by_an_application(self, connect):
        exchange = connect()
        own = [("Connection", "close"), ("Transfer-Encoding", "chunked")]
        exchange.send(b"12345", headers=[*FIVE, *own])
        head, _ = exchange.received()
        assert [line for line in head if line.startswith(("Con", "Tra"))] == [
            "Content-Length: 5",
            "Connection: keep-alive",
        ]

    @pytest.mark.parametrize("first", [("204 No Content", []), ("200 OK", [])])
    def test_response_to_an_error_replaces_the_one_that_was_begun(self, connect, first):
        exchange = connect()
        exchange.response.start_response(*first)
        exchange.send(b"12345", status="500 Oops")
        head, body = exchange.received()
        assert (head[0], body) == ("HTTP/1.1 500 Oops", b"12345")
        assert "Transfer-Encoding: chunked" not in head

    def test_late_error_is_raised(self, connect):
        exchange = connect()
        exchange.send(b"12345")
        try:
            raise LookupError("late")
        except LookupError:
            late = sys.exc_info()
        with pytest.raises(LookupError):
            exchange.response.start_response("500 Oops", [], late)
        assert exchange.received()[0][0] == "HTTP/1.1 200 OK"

    def test_application_that_begins_no_response_is_an_error(self, connect):
        exchange = connect()
        with pytest.raises(RuntimeError):
            exchange.response.send([b"12345"])
        assert exchange.received() == ([""], b"")


class TestBody:
    """Where a body ends."""

    def test_without_a_length_it_is_in_chunks(self, connect):
        exchange = connect()
        exchange.send(b"12345", b"", b"0123456789abcdef", headers=[])
        head, body = exchange.received()
        assert "Transfer-Encoding: chunked" in head
        assert body == b"5\r\n12345\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"

    def test_without_a_length_it_ends_with_a_connection_of_http_1_0(self, connect):
        exchange = connect("GET / HTTP/1.0")
        exchange.send(b"12345", headers=[])
        head, body = exchange.received()
        assert (head[-1], body, exchange.response.is_last) == ("Connection: close", b"12345", True)

    @pytest.mark.parametrize(
        ("method", "status", "headers"),
        [("HEAD", "200 OK", FIVE), ("HEAD", "200 OK", []), ("GET", "304 Not Modified", [])],
    )
    def test_where_there_is_none_nothing_is_sent(self, connect, method, status, headers):
        exchange = connect(f"{method} / HTTP/1.1")
        exchange.send(b"12345", status=status, headers=headers)
        assert exchange.received()[1] == b""
        assert not exchange.response.is_last

    def test_it_is_no_longer_than_its_length(self, connect):
        exchange = connect()
        exchange.send(b"123", b"456789", b"0")
        assert exchange.received()[1] == b"12345"

    def test_connection_of_one_that_is_too_short_ends(self, connect):
        exchange = connect()
        exchange.send(b"123")
        assert exchange.response.is_last

    def test_of_an_empty_one_the_head_is_sent(self, connect):
        exchange = connect()
        exchange.send(headers=[("Content-Length", "0")])
        head, body = exchange.received()
        assert (head[1], body, exchange.response.is_last) == ("Content-Length: 0", b"", False)

    def test_what_an_application_returns_is_closed(self, connect):
        class Chunks(list):
            is_closed = False

            def close(self):
                self.is_closed = True

        chunks, exchange = Chunks([b"12345"]), connect()
        exchange.response.start_response("200 OK", FIVE)
        exchange.response.send(chunks)
        assert chunks.is_closed
        assert exchange.received()[1] == b"12345"
