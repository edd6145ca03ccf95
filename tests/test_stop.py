"""How gunicorn stops: whoever was let in is answered, and the mail in hand goes out."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest
import requests

from database.models import Mail
from tests.conftest import ADA, wait_until
from tests.servers import Machine
from tests.test_mail import addresses, wish_for

GET = b"GET /api/movies HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b'{"email": "ada@example.com"}'
POST = b"POST /api/auth/forgot HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
POST += b"Content-Length: %d\r\n\r\n" % len(BODY)


@pytest.fixture
def start(settings, documents, tmp_path):
    """Return a function that starts a machine, with these settings; it ends with the test."""
    started = []

    def start(kind=Machine, **changed):
        started.append(kind(tmp_path, **settings | changed))
        return started[-1]

    yield start
    for machine in started:
        machine.kill()


def connect(machine):
    return socket.create_connection(("127.0.0.1", machine.port), timeout=20)


def refuses(machine):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", machine.port)) != 0


def status_of(connection):
    with connection, connection.makefile("rb") as answer:
        return int(answer.readline().split()[1])


def test_whom_the_kernel_let_in_before_the_stop_is_answered(start):
    machine = start()
    for worker in machine.workers():
        os.kill(worker, signal.SIGSTOP)
    visitors = [connect(machine) for _ in range(8)]
    for visitor in visitors:
        visitor.sendall(GET)
    machine.process.terminate()
    wait_until(lambda: "Handling signal: term" in machine.log.read_text())
    for worker in machine.workers():
        os.kill(worker, signal.SIGTERM)  # it may not have come from the master yet
        os.kill(worker, signal.SIGCONT)
    assert [status_of(visitor) for visitor in visitors] == [200] * 8


def test_it_refuses_newcomers_at_once_and_answers_who_came_before(start):
    machine = start()
    with connect(machine) as visitor:
        visitor.sendall(POST + BODY[:5])
        assert requests.get(machine.url + "/api/movies", timeout=20).ok  # by now it is under way
        machine.process.terminate()
        wait_until(lambda: refuses(machine))
        visitor.sendall(BODY[5:])
        assert status_of(visitor) == 200
    assert machine.process.wait(20) == 0


@pytest.mark.usefixtures("atomic")
@pytest.mark.parametrize(
    "numbers", [[signal.SIGTERM], [signal.SIGINT] * 2], ids=["SIGTERM", "Ctrl-C twice"]
)
def test_the_mail_in_hand_goes_out_and_the_rest_waits_unclaimed(start, mailbox, numbers):
    mailbox.seconds_a_mail = 1
    wish_for(addresses(6))
    machine = start()
    wait_until(lambda: mailbox.connections == 2)
    for number in numbers:
        os.killpg(machine.process.pid, number)  # as a service manager and a terminal do
        wait_until(lambda: machine.log.read_text().count("Worker exiting") == 2)
    assert machine.process.wait(20) == 0
    left = list(Mail.objects)
    assert [wish.attempts for wish in left] == [0] * len(left)
    assert len(mailbox.mails) + len(left) == 6
    assert left


class MakeServe(Machine):
    """`make serve`, without the installing."""

    command = ("make", "-o", ".venv/served", f"BIN={Path(sys.executable).parent}", "serve")


def test_make_serve_brings_a_database_along_for_all_its_workers(start):
    machine = start(MakeServe, APP_ENV="development", MONGODB_URI=None, MAIL_SERVER=None)
    assert machine.post("/api/auth/signup", **ADA).status_code == 200
    for _ in range(8):
        assert machine.post("/api/auth/login", **ADA).status_code == 200
    machine.terminate()
    assert refuses(machine)
