"""gunicorn's worker of ours with an application that fails, and with unusual options."""

import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from deploy.gunicorn_worker import STOP_SECONDS
from tests.support.bad_requests import HEAD, exchange
from tests.support.concurrency import run_simultaneously, wait_until
from tests.support.faulty_app import WHOLE
from tests.support.processes import HOME, free_port

LAST = "Connection: close\r\n"


class SmallServer:
    """One worker that serves the faulty application."""

    def __init__(self, folder, *options):
        config, self.log = folder / "gunicorn.conf.py", folder / "log"
        config.write_text("from deploy.gunicorn_worker import Worker as worker_class\n")
        self.port = free_port()
        address = ["--bind", f"127.0.0.1:{self.port}", "--log-file", self.log]
        base = [sys.executable, "-m", "gunicorn", "--config", config, "--no-control-socket"]
        threads = ["--threads", "4", "--keep-alive", "75"]
        self.process = subprocess.Popen(
            [*base, *address, *threads, *options, "tests.support.faulty_app:app"], cwd=HOME
        )
        wait_until(self._is_served)

    def _is_served(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def get(self, path, fields=LAST):
        return exchange(self.port, HEAD.format(f"GET {path}", fields).encode())

    @contextmanager
    def connect(self, path, fields=""):
        """Send a request, of which the test reads the response."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(HEAD.format(f"GET {path}", fields).encode())
            yield connection


@pytest.fixture
def serve(tmp_path):
    """Return a function that serves with these options."""
    servers = []

    def serve(*options):
        servers.append(SmallServer(tmp_path, *options))
        return servers[-1]

    yield serve
    for server in servers:
        server.process.send_signal(signal.SIGQUIT)
        server.process.wait(30)


class TestFaults:
    """A request whose application fails."""

    @pytest.mark.parametrize("path", ["/exit", "/panic", "/timeout"])
    def test_one_that_fails_before_its_head_is_a_logged_500(self, serve, path):
        server = serve()
        assert server.get(path).startswith(b"HTTP/1.1 500 ")
        assert "Traceback" in server.log.read_text()

    def test_one_that_fails_after_its_body_gets_no_second_response(self, serve):
        response = serve().get("/close", "")
        assert response.startswith(b"HTTP/1.1 200 ")
        assert response.endswith(b"\r\n\r\n" + WHOLE)

    def test_client_that_leaves_during_its_response_is_no_error(self, serve):
        server = serve()
        with server.connect("/long") as connection:
            assert connection.recv(100)
        server.process.terminate()
        assert server.process.wait(30) == 0  # after the response
        assert "Traceback" not in server.log.read_text()


class TestConnections:
    """Where they come from, how long they are kept, and how many."""

    def test_clients_may_come_by_a_unix_socket(self, serve, tmp_path):
        path = str(tmp_path / "socket")
        serve("--bind", f"unix:{path}")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(HEAD.format("GET /", LAST).encode())
            assert client.makefile("rb").read().endswith(WHOLE)

    def test_keep_alive_of_0_keeps_none(self, serve):
        assert b"\r\nConnection: close\r\n" in serve("--keep-alive", "0").get("/", "")

    def test_max_requests_ends_the_worker(self, serve):
        server = serve("--max-requests", "5")
        run_simultaneously(20, lambda _: server.get("/"))
        wait_until(lambda: server.log.read_text().count("Booting worker") > 1)

    def test_connection_that_a_response_keeps_outlasts_a_stop(self, serve):
        server = serve()
        with server.connect("/slow") as connection:
            assert server.get("/").endswith(WHOLE)  # the slow one has begun
            server.process.terminate()
            assert b"Connection: keep-alive" in connection.recv(1000)
            time.sleep(STOP_SECONDS / 4)
            connection.sendall(HEAD.format("GET /", "").encode())
            assert b"Connection: close" in connection.recv(1000)
        assert server.process.wait(30) == 0
