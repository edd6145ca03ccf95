"""How servers stop: accepted requests get a response, and the current email is sent."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest
import requests

from database.models import Job
from tests.support.client import ADA
from tests.support.concurrency import wait_until
from tests.support.emails import queue_emails, user_emails
from tests.support.processes import GunicornServer

GET = b"GET /api/movies HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b'{"email": "ada@example.com"}'
POST = b"POST /api/auth/forgot HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
POST += b"Content-Length: %d\r\n\r\n" % len(BODY)


@pytest.fixture
def start(settings, documents, tmp_path):
    """Return a function that starts a server with these settings; it ends with the test."""
    servers = []

    def start_server(server_class=GunicornServer, **changed):
        servers.append(server_class(tmp_path, **settings | changed))
        return servers[-1]

    yield start_server
    for server in servers:
        server.kill()


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def refuses_connections(server):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", server.port)) != 0


def status_of(connection):
    with connection, connection.makefile("rb") as response:
        return int(response.readline().split()[1])


class TestGunicorn:
    """The workers of gunicorn."""

    def test_connections_in_the_backlog_get_a_response(self, start):
        server = start()
        for worker in server.workers():
            os.kill(worker, signal.SIGSTOP)
        connections = [connect(server) for _ in range(8)]
        for connection in connections:
            connection.sendall(GET)
        server.process.terminate()
        wait_until(lambda: "Handling signal: term" in server.log.read_text())
        for worker in server.workers():
            os.kill(worker, signal.SIGTERM)  # it may not have come from the master yet
            os.kill(worker, signal.SIGCONT)
        assert [status_of(connection) for connection in connections] == [200] * 8

    def test_port_closes_at_once_and_current_requests_end(self, start):
        server = start()
        with connect(server) as connection:
            connection.sendall(POST + BODY[:5])
            # Its response shows that the first request is being read.
            assert requests.get(server.url + "/api/movies", timeout=20).ok
            server.process.terminate()
            wait_until(lambda: refuses_connections(server))
            connection.sendall(BODY[5:])
            assert status_of(connection) == 200
        assert server.process.wait(20) == 0

    @pytest.mark.usefixtures("atomic")
    @pytest.mark.parametrize(
        "signals", [[signal.SIGTERM], [signal.SIGINT] * 2], ids=["SIGTERM", "Ctrl-C twice"]
    )
    def test_current_email_is_sent_and_others_stay_queued(self, start, mailbox, signals):
        mailbox.seconds_a_mail = 1
        queue_emails(user_emails(6))
        server = start()
        wait_until(lambda: mailbox.connections == 2)
        for number in signals:
            os.killpg(server.process.pid, number)  # as a service manager and a terminal do
            wait_until(lambda: server.log.read_text().count("Worker exiting") == 2)
        assert server.process.wait(20) == 0
        left = list(Job.objects)
        assert [job.attempts for job in left] == [0] * len(left)
        assert len(mailbox.mails) + len(left) == 6
        assert left


class TestRunPy:
    """The development server."""

    def test_current_email_is_sent_and_others_stay_queued(self, run, mailbox, smtp):
        mailbox.seconds_a_mail = 1
        queue_emails(user_emails(3))
        server = run(MAIL_SERVER="127.0.0.1", MAIL_PORT=smtp)
        wait_until(lambda: mailbox.connections == 1)
        assert server.terminate() == 0
        assert len(mailbox.mails) == 1
        assert [job.attempts for job in Job.objects(state=Job.QUEUED)] == [0, 0]


class MakeServe(GunicornServer):
    """`make serve`, without the installing."""

    command = ("make", "-o", ".venv/served", f"BIN={Path(sys.executable).parent}", "serve")


@pytest.mark.embedded
class TestMakeServe:
    """Gunicorn without a database of its own."""

    def test_workers_share_an_embedded_database(self, start):
        server = start(MakeServe, APP_ENV="development", MONGODB_URI=None, MAIL_SERVER=None)
        assert server.post("/api/auth/signup", **ADA).status_code == 200
        for _ in range(8):
            assert server.post("/api/auth/login", **ADA).status_code == 200
        server.terminate()
        assert refuses_connections(server)
