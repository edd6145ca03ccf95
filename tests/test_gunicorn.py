"""The product under gunicorn, as in production."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from database.models import User
from tests.conftest import ADA, wait_until
from tests.servers import HOME, environment
from tests.smtp import free_port
from tests.test_mail import addresses, wish_for
from tests.test_metrics import AGE, REQUESTS, scrape
from tests.test_settings import PRODUCTION

GUNICORN = [sys.executable, "-m", "gunicorn", "--workers", "2", "--threads", "4"]
START = "POST /api/auth/forgot HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
CHUNKED = START + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
BODY = b'{"email": "ada@example.com"}'


@pytest.fixture(scope="module")
def gunicorn(database, tmp_path_factory):
    """Return a function that serves with these options and returns port and process."""
    started = []

    def serve(*options, **settings):
        port = free_port()
        settings |= {"MONGODB_URI": database, "DATA_DIR": tmp_path_factory.mktemp("data")}
        settings |= {"RATELIMIT_ENABLED": False}
        process = subprocess.Popen(
            [*GUNICORN, *options],
            cwd=HOME,
            env=environment(PORT=port, **settings),
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        for line in process.stderr:
            if "Booting worker" in line:
                return port, process
        raise AssertionError("gunicorn did not start")

    yield serve
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def served(gunicorn):
    """Return the port of a server that all tests of the module may use."""
    return gunicorn()[0]


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def status_of(port, request):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        return int(connection.makefile("rb").readline().split()[1])


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["", "preload"])
def test_its_workers_send_mails_each_with_a_thread_of_its_own(
    documents, gunicorn, mailbox, smtp, options
):
    wish_for(addresses(1))
    port, process = gunicorn(*options, MAIL_SERVER="127.0.0.1", MAIL_PORT=smtp)
    mailbox.wait_for(1)  # what was left is sent before the first request
    url = f"http://127.0.0.1:{port}/api/auth/forgot"
    for _ in range(8):
        assert requests.post(url, json={"email": addresses(1)[0]}, timeout=10).ok
    mailbox.wait_for(9)
    process.terminate()
    log = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    assert "Traceback" not in log
    assert "Warning" not in log


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (chunk(BODY) + b"0\r\n\r\n", 200),
        (chunk(BODY.ljust(65536)) + b"0\r\n\r\n", 200),
        (chunk(BODY.ljust(65537)) + b"0\r\n\r\n", 413),
        (chunk(BODY.ljust(65536)) + chunk(b"x" * 300_000) + b"0\r\n\r\n", 413),
        (b"ZZ\r\n", 400),
        (b"-1\r\n", 400),
        (chunk(BODY)[:-2] + b"xx0\r\n\r\n", 400),
    ],
    ids=["whole", "64 KiB", "64 KiB and 1", "far more", "no number", "negative", "unended"],
)
def test_a_body_in_chunks_is_read_whole_or_refused(documents, served, body, status):
    assert status_of(served, CHUNKED.encode() + body) == status


def test_a_body_that_dawdles_does_not_outlive_its_token(documents, served):
    url = f"http://127.0.0.1:{served}/api"
    requests.post(f"{url}/auth/signup", json=ADA, timeout=20)
    User.objects.update(set__role="admin")
    token = requests.post(f"{url}/auth/login", json=ADA, timeout=20).json()["token"]
    body = json.dumps({"email": "eve@example.com", "password": ADA["password"]}).encode()
    with socket.create_connection(("127.0.0.1", served), timeout=20) as connection:
        head = f"POST /api/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body[:5])
        # Another request on a connection of its own: by now the first is under way.
        assert requests.get(f"{url}/users", headers=bearer(token), timeout=20).ok
        User.objects.update(set__sessions={}, set__role="user")
        connection.sendall(body[5:])
        assert connection.makefile("rb").readline().split()[1] == b"401"
    assert User.objects(email="eve@example.com").first() is None


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_it_listens_where_the_settings_say_and_nowhere_else(served):
    with socket.socket() as elsewhere:
        assert elsewhere.connect_ex(("127.0.0.2", served)) != 0


def test_no_header_decides_about_the_path_or_the_scheme(documents, served):
    headers = {"SCRIPT_NAME": "/foo", "X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "off"}
    url = f"http://127.0.0.1:{served}/api/movies"
    assert requests.get(url, headers=headers, timeout=20).status_code == 200


def test_settings_that_can_not_be_used_end_it_in_a_few_clear_lines(tmp_path):
    ended = subprocess.run(
        GUNICORN,
        cwd=HOME,
        env=environment(APP_ENV="production", DATA_DIR=tmp_path / "data"),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    assert "  PUBLIC_URL: Is needed in production." in ended.stderr


def test_metrics_are_those_of_all_workers_and_of_those_that_ended(documents, gunicorn, tmp_path):
    metrics_port, asked = free_port(), 0
    port, process = gunicorn(METRICS_PORT=metrics_port, TMPDIR=tmp_path)

    def pids():
        return {int(path.stem.split("_")[1]) for path in tmp_path.glob("*/counter_*.db")}

    def hold_when_so_many_have_counted(workers):
        wait_until(lambda: ask() == workers)
        labels = {"method": "GET", "route": "/healthz", "status": "200"}
        assert [scrape(metrics_port)(REQUESTS, **labels) for _ in range(8)] == [asked] * 8

    def ask():
        nonlocal asked
        requests.get(f"http://127.0.0.1:{port}/healthz", timeout=10)
        asked += 1
        return len(pids())

    hold_when_so_many_have_counted(2)
    first, second = pids()
    os.kill(first, signal.SIGKILL)
    hold_when_so_many_have_counted(3)
    os.kill(second, signal.SIGTERM)
    hold_when_so_many_have_counted(4)
    assert scrape(metrics_port)(AGE) == 0
    process.terminate()
    process.communicate(timeout=30)
    assert list(tmp_path.glob("movie-bag-*")) == []


def test_in_production_its_lines_are_json_and_name_no_path(documents, gunicorn, database, tmp_path):
    access_log = tmp_path / "access.log"
    settings = {name: PRODUCTION[name] for name in ("APP_ENV", "JWT_SECRET_KEY", "PUBLIC_URL")}
    port, process = gunicorn(
        "--access-logfile", access_log, **settings, MAIL_SERVER="127.0.0.1", MAIL_PORT=free_port()
    )
    assert status_of(port, b"GET /reset/eyJsecret HTTP/9.9\r\n\r\n") == 400
    answer = requests.get(f"http://127.0.0.1:{port}/reset/eyJsecret", timeout=10)
    process.terminate()
    lines = [json.loads(line) for line in process.communicate(timeout=30)[1].splitlines()]
    assert "Invalid request from ip=127.0.0.1" in [line["message"] for line in lines]
    assert "/reset/<token>" in [line.get("route") for line in lines]
    assert answer.headers["Server"] == "gunicorn"
    assert "eyJ" not in json.dumps(lines) + access_log.read_text()


def test_it_does_not_start_on_a_metrics_port_that_is_taken(gunicorn):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        _, process = gunicorn(METRICS_PORT=taken.getsockname()[1])
        log = process.communicate(timeout=30)[1]
    assert process.returncode != 0
    assert "METRICS_PORT: [Errno 98] Address already in use" in log


def sockets(pid):
    """Return how many a process has open."""
    count = 0
    for opened in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            count += os.readlink(opened).startswith("socket:")
    return count


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc")
def test_clients_that_stay_are_shared_among_the_workers(gunicorn):
    port, process = gunicorn()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers = wait_until(lambda: len(pids := children.read_text().split()) == 2 and pids)
    # Each has its outbox's thread once it is about to take clients in.
    wait_until(lambda: all(len(os.listdir(f"/proc/{pid}/task")) > 1 for pid in workers))

    def least_share():
        """Let 8 clients in at once; return how many the worker with fewer of them has."""
        clients = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(8)]
        for client in clients:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert all(client.recv(4096).startswith(b"HTTP/1.1 200") for client in clients)
        with_clients = [sockets(pid) for pid in workers]
        for client in clients:
            client.close()
        wait_until(lambda: sum(with_clients) - sum(map(sockets, workers)) >= 8)
        return min(was - sockets(pid) for pid, was in zip(workers, with_clients, strict=True))

    # The race for the first of them is nobody's.
    assert sum(least_share() >= 3 for _ in range(20)) >= 14
