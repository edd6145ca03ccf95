"""waitress, which serves run.py and the metrics: what it refuses, and how long it waits."""

import socket
import threading
from contextlib import ExitStack

import pytest
import requests

from infra import http_server
from infra.http_server import create_server
from tests.support.bad_requests import AMBIGUOUS_REQUESTS, CHUNKED, GET, HEAD, exchange
from tests.support.concurrency import wait_until

REQUEST = HEAD.format(GET, "Connection: close\r\n").encode()


@pytest.fixture
def seen():
    """Return the bodies of the requests that reached the application."""
    return []


@pytest.fixture
def server(seen):
    """Return a server whose application remembers bodies."""

    def application(environ, start_response):
        seen.append(environ["wsgi.input"].read())
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    server = create_server(application, 4, host="127.0.0.1", port=0)
    stopping = threading.Event()

    def run():
        while not stopping.is_set():
            server.asyncore.loop(timeout=0.1, use_poll=True, map=server._map, count=1)

    thread = threading.Thread(target=run)
    thread.start()
    yield server
    stopping.set()
    thread.join()
    server.task_dispatcher.shutdown()
    server.asyncore.close_all(server._map)


@pytest.fixture
def port(server):
    return server.effective_port


def status_of(response):
    return int(response.split()[1])


class TestFraming:
    @pytest.mark.parametrize("request_text", AMBIGUOUS_REQUESTS.values(), ids=AMBIGUOUS_REQUESTS)
    def test_ambiguous_request_is_refused_and_closes(self, port, seen, request_text):
        response = exchange(port, request_text.encode("latin-1"), REQUEST)
        assert response.startswith(b"HTTP/1.")
        assert status_of(response) == 400
        assert response.count(b"HTTP/1.") == 1
        assert seen == []

    @pytest.mark.parametrize(
        "head",
        [
            f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            for host in ("x", "x:80", "x:", "127.0.0.1:80", "[::1]", "[::1]:80", "a_b.example")
        ]
        + ["GET / HTTP/1.0\r\n\r\n", "\r\n" + REQUEST.decode(), "GET http://x/ HTTP/1.0\r\n\r\n"],
        ids=repr,
    )
    def test_valid_head_is_served(self, port, seen, head):
        assert status_of(exchange(port, head.encode())) == 200
        assert seen == [b""]

    def test_request_in_single_bytes_is_served(self, port, seen):
        head = CHUNKED.replace("Host", "Connection: close\r\nHost")
        text = head + '3;a="b;c"\r\nabc\r\nA\r\n0123456789\r\n000\r\nTrailer: x\r\n\r\n'
        assert status_of(exchange(port, *(bytes([byte]) for byte in text.encode()))) == 200
        assert seen == [b"abc0123456789"]

    def test_pipelined_requests_are_served_in_order(self, port, seen):
        first = CHUNKED.encode() + b"1\r\na\r\n0\r\n\r\n"
        second = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nb"
        assert exchange(port, first + second + REQUEST).count(b"HTTP/1.1 200") == 3
        assert seen == [b"a", b"b", b""]

    def test_expectation_without_a_body_is_served(self, port, seen):
        text = HEAD.format(GET, "Expect: 100-continue\r\nConnection: close\r\n")
        assert status_of(exchange(port, text.encode())) == 200

    def test_client_that_expects_100_sends_its_body_then(self, port, seen):
        fields = "Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n"
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(HEAD.format("POST /", fields).encode())
            responses = connection.makefile("rb")
            assert responses.readline() == b"HTTP/1.1 100 Continue\r\n"
            connection.sendall(b"ab")
            assert b"HTTP/1.1 200 OK\r\n" in responses.read()
        assert seen == [b"ab"]


class TestSizes:
    def test_long_head_is_refused(self, port, seen):
        text = HEAD.format(GET, "A: " + "b" * 40_000 + "\r\n")
        assert status_of(exchange(port, text.encode())) == 431
        assert seen == []

    @pytest.mark.parametrize("expect", ["", "Expect: 100-continue\r\n"])
    def test_long_body_is_refused_before_it_is_read(self, port, seen, expect):
        head = HEAD.format("POST /", f"{expect}Content-Length: 400000000\r\n").encode()
        response = exchange(port, head, b"x" * 500_000)
        assert status_of(response) == 413
        assert seen == []

    def test_long_chunked_body_is_refused(self, port, seen):
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        assert status_of(exchange(port, CHUNKED.encode(), *[chunk] * 17)) == 413
        assert seen == []

    @pytest.mark.parametrize("line", ["0" * 9 + "\r\n", "1;" + "a" * 5000, "0\r\nA: " + "b" * 5000])
    def test_long_line_of_a_chunked_body_is_refused(self, port, seen, line):
        assert status_of(exchange(port, (CHUNKED + line).encode())) == 400
        assert seen == []


class TestHeldConnections:
    def test_idle_connections_stop_no_request(self, port):
        with ExitStack() as stack:
            for _ in range(150):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            assert status_of(exchange(port, REQUEST)) == 200

    @pytest.mark.parametrize("beginning", [REQUEST[:20], CHUNKED.encode() + b"5\r\nab"])
    def test_half_a_request_is_closed_at_its_deadline(self, port, monkeypatch, beginning):
        monkeypatch.setattr(http_server, "REQUEST_SECONDS", 0.3)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(beginning)
            assert connection.recv(100) == b""

    def test_a_byte_now_and_then_does_not_move_the_deadline(self, port, monkeypatch):
        monkeypatch.setattr(http_server, "REQUEST_SECONDS", 0.3)
        with socket.create_connection(("127.0.0.1", port), timeout=0.05) as connection:
            connection.sendall(REQUEST[:20])

            def is_closed():
                try:
                    connection.sendall(b"x")
                    return connection.recv(1) == b""
                except TimeoutError:
                    return False
                except OSError:
                    return True

            wait_until(is_closed)

    def test_idle_connection_is_closed(self, server, port):
        server.adj.channel_timeout = 0.2
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            assert connection.recv(1) == b""

    def test_kept_connection_serves_again(self, port):
        with requests.Session() as session:
            for _ in range(3):
                assert session.get(f"http://127.0.0.1:{port}/", timeout=10).text == "ok"


class TestRunPy:
    def test_idle_connections_and_halves_stop_no_request(self, run):
        server = run()
        with ExitStack() as stack:
            for index in range(150):
                connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
                stack.enter_context(connection).sendall(REQUEST[: index % 2 * 20])
            assert requests.get(f"{server.url}/healthz", timeout=10).status_code == 200
