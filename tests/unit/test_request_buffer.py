"""When a request is complete, for gunicorn's worker."""

import pytest

from deploy.request_buffer import MAX_CHUNK_LINE_BYTES, MAX_HEAD_BYTES, RequestBuffer, State

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %s\r\n\r\n"


class TestContentLength:
    @pytest.mark.parametrize("length", [b"5", b"05", b"0" * 30 + b"5"])
    def test_leading_zeros_change_nothing(self, length):
        assert RequestBuffer(HEAD % length + b"1234").state() is State.INCOMPLETE
        assert RequestBuffer(HEAD % length + b"12345").state() is State.COMPLETE

    @pytest.mark.parametrize("length", [b"0", b"0" * 30])
    def test_zero_is_no_body(self, length):
        assert RequestBuffer(HEAD % length).state() is State.COMPLETE


class TestEmptyLines:
    """What follows a body, or precedes a head."""

    def test_they_are_no_part_of_a_request(self):
        buffer = RequestBuffer(b"\r\n\r\n")
        assert (buffer.state(), buffer.data) == (State.INCOMPLETE, b"")
        buffer.data += HEAD % b"2" + b"{}" + b"\r\n"
        assert buffer.state() is State.COMPLETE
        assert buffer.split() == (HEAD % b"2" + b"{}", b"\r\n")

    def test_client_may_expect_100_after_them(self):
        head = (HEAD % b"2").replace(b"Host", b"Expect: 100-continue\r\nHost")
        buffer = RequestBuffer(b"\r\n" + head)
        assert buffer.state() is State.INCOMPLETE
        assert buffer.awaits_continue()
        assert not buffer.awaits_continue()  # once


class TestLength:
    """What is too long, or was searched before."""

    CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"

    @pytest.mark.parametrize("last", [b"0\r\n\r\n", b"0;a\r\nA: b\r\nC: d\r\n\r\n"])
    def test_chunks_end_with_an_empty_line(self, last):
        request = self.CHUNKED + b"2\r\n\r\n\r\n" + last
        buffer = RequestBuffer(request + b"GET /")
        assert (buffer.state(), buffer.split()) == (State.COMPLETE, (request, b"GET /"))

    @pytest.mark.parametrize("begin", [CHUNKED + b"5;", CHUNKED + b"0\r\nA:"])
    def test_lines_beside_chunks_are_limited(self, begin):
        buffer = RequestBuffer(begin + b"x" * (MAX_CHUNK_LINE_BYTES - 10))
        assert buffer.state() is State.INCOMPLETE
        buffer.data += b"x" * 20
        assert buffer.state() is State.INVALID

    @pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
    def test_head_is_limited(self, end):
        head = b"GET / HTTP/1.1\r\nA: ".ljust(MAX_HEAD_BYTES + 1 - len(end), b"x") + end
        assert RequestBuffer(head).state() is State.LONG_HEAD

    @pytest.mark.parametrize("size", [1, 2, 3, 50])
    def test_bare_line_feed_is_found_wherever_parts_end(self, size):
        text, buffer = b"GET / HTTP/1.1\r\nA: b\nC: d\r\n", RequestBuffer(b"")
        states = []
        for begin in range(0, len(text), size):
            buffer.data += text[begin : begin + size]
            states.append(buffer.state())
        assert State.INVALID in states
