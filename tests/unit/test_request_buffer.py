"""When a request is complete, for gunicorn's worker."""

import pytest

from deploy.request_buffer import RequestBuffer, State

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %s\r\n\r\n"


class TestLength:
    @pytest.mark.parametrize("length", [b"5", b"05", b"0" * 30 + b"5"])
    def test_leading_zeros_change_nothing(self, length):
        assert RequestBuffer(HEAD % length + b"1234").state() is State.INCOMPLETE
        assert RequestBuffer(HEAD % length + b"12345").state() is State.COMPLETE

    @pytest.mark.parametrize("length", [b"0", b"0" * 30])
    def test_zero_is_no_body(self, length):
        assert RequestBuffer(HEAD % length).state() is State.COMPLETE
