"""The product under gunicorn, as in production."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests

from database.models import ADMIN, USER, Movie, User
from tests.support.bad_requests import AMBIGUOUS_REQUESTS, GET, HEAD, exchange
from tests.support.client import ADA, EVE
from tests.support.concurrency import wait_until
from tests.support.emails import queue_emails, user_emails
from tests.support.private_keys import EC_KEY, OTHER_EC_KEY, kid_of, pem
from tests.support.processes import HOME, environment, free_port, megabytes
from tests.support.prometheus import scrape
from tests.support.settings import PRODUCTION_SETTINGS

GUNICORN = [sys.executable, "-m", "gunicorn", "--workers", "2", "--threads", "4"]
POST = "POST /api/auth/forgot HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
CHUNKED = POST + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
BODY = b'{"email": "ada@example.com"}'
LISTENING = "0A"  # in /proc/net/tcp
NEEDS_PROC = pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc")


@pytest.fixture(scope="class")
def gunicorn(database, tmp_path_factory):
    """Return a function that serves with these options and returns port and process.

    A server ends with its class, because it would send the emails of other tests.
    """
    processes = []

    def serve(*options, **settings):
        port = free_port()
        settings |= {"MONGODB_URI": database, "DATA_DIR": tmp_path_factory.mktemp("data")}
        settings = {"RATELIMIT_ENABLED": False} | settings
        process = subprocess.Popen(
            [*GUNICORN, *options],
            cwd=HOME,
            env=environment(PORT=port, **settings),
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        process.first_lines = []
        for line in process.stderr:
            process.first_lines.append(line)
            if "Booting worker" in line:
                return port, process
        raise AssertionError("gunicorn did not start")

    yield serve
    for process in processes:
        process.send_signal(signal.SIGQUIT)  # at once, but it removes what it has created
        process.communicate()


@pytest.fixture(scope="class")
def port(gunicorn):
    """Return the port of a server that all tests of a class may use."""
    return gunicorn()[0]


def configuration(folder, changes):
    """Write the product's configuration of gunicorn with changes; return the file."""
    file = folder / "gunicorn.conf.py"
    file.write_text(
        f"from pathlib import Path\nexec(Path('gunicorn.conf.py').read_text())\n{changes}"
    )
    return file


@pytest.fixture(scope="class")
def impatient(gunicorn, tmp_path_factory):
    """Return the port of a server whose deadlines are short."""
    changes = (
        "from deploy import gunicorn_worker\n"
        "gunicorn_worker.REQUEST_SECONDS = gunicorn_worker.RESPONSE_SECONDS = 0.5\n"
    )
    return gunicorn("--config", configuration(tmp_path_factory.mktemp("config"), changes))[0]


@pytest.fixture(scope="class")
def patient(gunicorn, tmp_path_factory):
    """Return port and process of a server whose workers wait long for one with fewer clients."""
    changes = (
        "from deploy import gunicorn_worker\n"
        "gunicorn_worker.SECONDS_PER_CONNECTION, gunicorn_worker.MAX_SECONDS = 0.4, 2\n"
    )
    return gunicorn("--config", configuration(tmp_path_factory.mktemp("config"), changes))


@pytest.fixture(scope="class")
def with_few_files(gunicorn, tmp_path_factory):
    """Return port and process of a server whose workers can have 60 files and connections."""
    changes = (
        "import resource\n"
        "def post_worker_init(worker):\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))\n"
    )
    return gunicorn("--config", configuration(tmp_path_factory.mktemp("config"), changes))


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def status_of(port, request):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        return int(connection.makefile("rb").readline().split()[1])


class TestStart:
    """What prevents the start."""

    def test_unusable_settings_are_named_without_traceback(self, tmp_path):
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

    def test_metrics_port_in_use_prevents_the_start(self, gunicorn):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            metrics_port = listener.getsockname()[1]
            _, process = gunicorn(METRICS_PORT=metrics_port)
            log = process.communicate(timeout=30)[1]
        assert process.returncode != 0
        assert f"METRICS_PORT: Can't listen on 127.0.0.1:{metrics_port}: [Errno 98]" in log


class TestRequests:
    """Where requests are accepted, and how they are read."""

    def test_it_listens_on_host_alone(self, port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.2", port)) != 0

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
    def test_chunked_body_is_read_completely_or_refused(self, documents, port, body, status):
        assert status_of(port, CHUNKED.encode() + body) == status

    @pytest.mark.parametrize("request_text", AMBIGUOUS_REQUESTS.values(), ids=AMBIGUOUS_REQUESTS)
    def test_ambiguous_request_is_refused_and_closes(self, port, request_text):
        next_request = HEAD.format(GET, "Connection: close\r\n").encode()
        response = exchange(port, request_text.encode("latin-1"), next_request)
        assert response.startswith(b"HTTP/1.1 400 ")
        assert len(re.findall(rb"HTTP/1.1 \d+ [A-Z]", response)) == 1

    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            ("A: " + "b" * 70_000 + "\r\n", 431),
            ("A: b\r\n" * 200, 431),
            ("Content-Length: 400000000\r\n", 413),
            ("Content-Length: 400000000\r\nExpect: 100-continue\r\n", 413),
            ("Transfer-Encoding: chunked\r\n", 413),
        ],
        ids=["head", "fields", "length", "expectation", "chunked"],
    )
    def test_long_request_is_refused_before_it_is_read(self, port, fields, status):
        fields += "Content-Type: application/json\r\n"
        head = HEAD.format("POST /api/auth/forgot", fields).encode()
        assert exchange(port, head, *[chunk(b"x" * 65536)] * 9).split()[1] == b"%d" % status

    @pytest.mark.parametrize("length", [65537, 65538])
    def test_part_of_a_long_body_is_not_taken_for_it(self, documents, port, length):
        fields = f"Content-Type: application/json\r\nContent-Length: {length}\r\n"
        head = HEAD.format("POST /api/auth/forgot", fields).encode()
        assert exchange(port, head + BODY).split()[1] == b"413"

    def test_empty_line_after_a_body_begins_no_request(self, documents, port):
        fields = f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n"
        first = HEAD.format("POST /api/auth/forgot", fields).encode() + BODY + b"\r\n\r\n"
        last = HEAD.format("GET /nowhere", "Connection: close\r\n").encode()
        response = exchange(port, first, last)
        assert re.findall(rb"HTTP/1.1 (\d+)", response) == [b"200", b"404"]

    def test_request_in_single_bytes_is_served(self, documents, port):
        text = CHUNKED.encode() + chunk(BODY) + b"0\r\nA: x\r\n\r\n"
        assert exchange(port, *(bytes([byte]) for byte in text)).split()[1] == b"200"

    def test_pipelined_requests_are_served_in_order(self, documents, port):
        first = CHUNKED.replace("Connection: close\r\n", "").encode() + chunk(BODY) + b"0\r\n\r\n"
        second = HEAD.format(GET, "").encode()
        last = HEAD.format("GET /nowhere", "Connection: close\r\n").encode()
        response = exchange(port, first + second + last[:9], last[9:])
        assert re.findall(rb"HTTP/1.1 (\d+)", response) == [b"200", b"200", b"404"]

    @pytest.mark.parametrize(
        "fields", ["Expect: 100-continue\r\nA: b\r\n", "A: b\r\nexpect:100-Continue\r\n"]
    )
    def test_client_that_expects_100_sends_its_body_then(self, documents, port, fields):
        fields += f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n"
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(f"POST /api/auth/forgot HTTP/1.1\r\n{fields}".encode())
            connection.sendall(b"Host: x\r\nConnection: close\r\n\r\n")
            responses = connection.makefile("rb")
            assert responses.readline() == b"HTTP/1.1 100 Continue\r\n"
            connection.sendall(BODY)
            assert re.findall(rb"HTTP/1.1 (\d+)", responses.read()) == [b"200"]

    def test_token_is_checked_after_a_slow_body(self, documents, port):
        url = f"http://127.0.0.1:{port}/api"
        requests.post(f"{url}/auth/signup", json=ADA, timeout=20)
        User.objects.update(set__role=ADMIN)
        token = requests.post(f"{url}/auth/login", json=ADA, timeout=20).json()["token"]
        body = json.dumps(EVE).encode()
        head = f"POST /api/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(head.encode() + body[:5])
            # The response to another request shows that the first is being read.
            headers = {"Authorization": f"Bearer {token}"}
            assert requests.get(f"{url}/users", headers=headers, timeout=20).ok
            User.objects.update(set__sessions={}, set__role=USER)
            connection.sendall(body[5:])
            assert connection.makefile("rb").readline().split()[1] == b"401"
        assert User.objects(email=EVE["email"]).first() is None

    def test_any_method_reaches_the_application(self, port):
        response = exchange(port, HEAD.format("BREW /healthz", "Connection: close\r\n").encode())
        assert response.startswith(b"HTTP/1.1 405 ")
        assert b"\r\nAllow: " in response

    def test_offer_of_another_protocol_is_left_alone(self, documents, port):
        fields = "Content-Type: application/json\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"
        head = HEAD.format("POST /api/auth/forgot", f"{fields}Content-Length: {len(BODY)}\r\n")
        last = HEAD.format("GET /nowhere", "Connection: close\r\n")
        response = exchange(port, head.encode() + BODY + last.encode())
        assert re.findall(rb"HTTP/1.1 (\d+)", response) == [b"200", b"404"]

    def test_headers_do_not_change_path_or_scheme(self, documents, port):
        headers = {"SCRIPT_NAME": "/foo", "X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "off"}
        url = f"http://127.0.0.1:{port}/api/movies"
        assert requests.get(url, headers=headers, timeout=20).status_code == 200


class TestHeldConnections:
    """A client that sends or reads slowly occupies no thread."""

    HALVES = (
        b"",
        b"GET /healthz HTTP/1.1\r\n",
        POST.encode() + b"Content-Length: 20\r\n\r\n{",
        POST.encode() + b"Content-Length: 20\r\nExpect: 100-continue\r\n\r\n",
        CHUNKED.encode() + b"14\r\n{",
        HEAD.format(GET, "").encode() + b"GET /healthz HTTP/1.1\r\n",
    )

    def test_240_halves_of_requests_stop_no_request(self, port):
        with ExitStack() as stack:
            for half in self.HALVES * 40:
                connection = socket.create_connection(("127.0.0.1", port), timeout=20)
                stack.enter_context(connection).sendall(half)
            for _ in range(10):
                assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=10).ok

    @pytest.mark.parametrize("half", HALVES, ids=repr)
    def test_half_a_request_is_closed_at_its_deadline(self, impatient, half):
        response = exchange(impatient, half)
        assert (b"HTTP/1.1 408 " in response) == bool(half)

    def test_a_byte_now_and_then_does_not_move_the_deadline(self, impatient):
        with socket.create_connection(("127.0.0.1", impatient), timeout=0.1) as connection:
            connection.sendall(self.HALVES[1])

            def is_closed():
                try:
                    connection.sendall(b"x")
                    return b"408" in connection.recv(100)
                except TimeoutError:
                    return False

            wait_until(is_closed)

    def test_clients_that_read_nothing_occupy_no_thread(self, documents, impatient):
        names = [f"{index:03} {'x' * 150}" for index in range(200)]
        casts = ["y" * 100] * 100
        Movie.objects.insert([Movie(name=name, casts=casts, genres=["z"]) for name in names])
        request = b"GET /api/movies?limit=200 HTTP/1.1\r\nHost: x\r\n\r\n"
        with ExitStack() as stack:
            for _ in range(10):  # there are 8 threads
                connection = stack.enter_context(socket.socket())
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.connect(("127.0.0.1", impatient))
                connection.sendall(request)
            wait_until(lambda: is_served(impatient))

    def test_more_connections_than_files_wait_and_end_no_worker(self, with_few_files):
        port, process = with_few_files
        wait_until(lambda: len(workers_of(process)) == 2)
        workers = workers_of(process)
        with ExitStack() as stack:
            for _ in range(150):
                connection = socket.create_connection(("127.0.0.1", port), timeout=20)
                stack.enter_context(connection)
            wait_until(lambda: "No connection can be accepted" in process.stderr.readline())
        wait_until(lambda: is_served(port))
        assert workers_of(process) == workers

    def test_client_that_keeps_a_closed_connection_holds_up_nobody(self, port):
        with ExitStack() as stack:
            for _ in range(20):
                connection = socket.create_connection(("127.0.0.1", port), timeout=20)
                stack.enter_context(connection)
                connection.sendall(HEAD.format(GET, "Connection: close\r\n").encode())
                assert connection.recv(100)
            for _ in range(10):
                assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=10).ok


def workers_of(process):
    return [
        int(pid)
        for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ]


def is_served(port, path="/healthz"):
    try:
        return requests.get(f"http://127.0.0.1:{port}{path}", timeout=1).ok
    except requests.RequestException:
        return False


class TestWorkers:
    """What the workers share, and what each has of its own."""

    @pytest.mark.parametrize("options", [(), ("--preload",)], ids=["", "preload"])
    def test_each_worker_sends_emails(self, documents, gunicorn, mailbox, smtp, options):
        (email,) = user_emails(1)
        queue_emails([email])
        port, process = gunicorn(*options, MAIL_SERVER="127.0.0.1", MAIL_PORT=smtp)
        mailbox.wait_for(1)  # what was queued before is sent before the first request
        url = f"http://127.0.0.1:{port}/api/auth/forgot"
        for _ in range(8):
            assert requests.post(url, json={"email": email}, timeout=10).ok
        mailbox.wait_for(9)
        process.terminate()
        log = process.communicate(timeout=30)[1]
        assert process.returncode == 0
        assert "Traceback" not in log
        assert "Warning" not in log

    def test_metrics_are_those_of_all_workers_ever(self, documents, gunicorn, tmp_path):
        metrics_port, sent = free_port(), 0
        port, process = gunicorn(METRICS_PORT=metrics_port, TMPDIR=tmp_path)

        def counting_workers():
            pids = {int(path.stem.split("_")[1]) for path in tmp_path.glob("*/counter_*.db")}
            return pids - {process.pid}

        def send():
            nonlocal sent
            requests.get(f"http://127.0.0.1:{port}/healthz", timeout=10)
            sent += 1
            return len(counting_workers())

        def check_when_so_many_have_counted(workers):
            wait_until(lambda: send() == workers)
            name = "movie_bag_http_requests_total"
            labels = {"method": "GET", "route": "/healthz", "status": "200"}
            assert [scrape(metrics_port)(name, **labels) for _ in range(8)] == [sent] * 8

        check_when_so_many_have_counted(2)
        first, second = counting_workers()
        os.kill(first, signal.SIGKILL)
        check_when_so_many_have_counted(3)
        os.kill(second, signal.SIGTERM)
        check_when_so_many_have_counted(4)
        assert scrape(metrics_port)("movie_bag_oldest_queued_email_seconds") == 0
        process.terminate()
        process.communicate(timeout=30)
        assert list(tmp_path.glob("movie-bag-*")) == []

    @NEEDS_PROC
    def test_workers_share_what_the_master_imports(self, gunicorn):
        port, process = gunicorn()
        wait_until(lambda: is_served(port))
        for pid in workers_of(process):
            assert megabytes(pid, ("Shared_Dirty",)) > megabytes(pid, ("Private_Dirty",))

    @NEEDS_PROC
    def test_kept_connections_are_shared_by_the_workers(self, patient):
        port, process = patient
        workers = wait_until(lambda: len(pids := workers_of(process)) == 2 and pids)
        # Each has the thread of its job worker shortly before it accepts connections.
        wait_until(lambda: all(len(os.listdir(f"/proc/{pid}/task")) > 1 for pid in workers))
        # By chance, all four would be so in one of a hundred runs.
        assert [shares(port, workers) for _ in range(4)] == [[3, 3]] * 4


def shares(port, workers):
    """Connect 6 clients, one after another; return how many of them each worker has."""
    with ExitStack() as stack:
        for _ in range(6):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
        counts = [count_connections(pid, port) for pid in workers]
    wait_until(lambda: not any(count_connections(pid, port) for pid in workers))
    return counts


def count_connections(pid, port):
    """Return how many connections to a port of 127.0.0.1 a process has."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    local = f"0100007F:{port:04X}"
    sockets = {f"socket:[{row[9]}]" for row in rows if row[1] == local and row[3] != LISTENING}
    count = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            count += os.readlink(descriptor) in sockets
    return count


class TestReload:
    """SIGHUP replaces the workers, unless the settings of now can't be used."""

    @pytest.fixture
    def service(self, gunicorn, tmp_path):
        """Return a function that writes a .env, and one that returns the next line about it."""
        env_file = tmp_path / ".env"
        env_file.touch()
        port, process = gunicorn(ENV_FILE_LOCATION=env_file)

        def reload(text):
            wait_until(lambda: is_served(port))
            env_file.write_bytes(text if isinstance(text, bytes) else text.encode())
            process.send_signal(signal.SIGHUP)
            lines = iter(process.stderr.readline, "")
            next(line for line in lines if "Hang up" in line)
            line = next(line for line in lines if "Not reloaded" in line or "Booting" in line)
            assert process.poll() is None
            return line

        return port, process, reload

    @NEEDS_PROC
    def test_settings_that_cant_be_used_leave_the_workers(self, service):
        port, process, reload = service
        with socket.create_server(("127.0.0.1", 0)) as listener:
            taken = listener.getsockname()[1]
            for text, name in (
                ("BCRYPT_LOG_ROUNDS=99", "BCRYPT_LOG_ROUNDS: "),
                ("APP_ENV=production", "JWT_SECRET_KEY: Is needed in production."),
                ("MAIL_PASSWORD=\x00", "MAIL_PASSWORD: "),
                ("CORS_ORIGINS=*", "CORS_ORIGINS: "),
                ("RATELIMIT_STORAGE_URI=redis://localhost:hush", "RATELIMIT_STORAGE_URI: "),
                (f"METRICS_PORT={taken}", "METRICS_PORT: Can't listen"),
            ):
                line = reload(text)
                assert "ERROR" in line
                assert name in line
                assert "hush" not in line
                assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=10).ok
        os.kill(workers_of(process)[0], signal.SIGKILL)  # the next one reads a copy
        next(line for line in iter(process.stderr.readline, "") if "Booting" in line)
        wait_until(lambda: is_served(port))
        assert "Booting worker" in reload("BCRYPT_LOG_ROUNDS=5")
        wait_until(lambda: is_served(port))

    @NEEDS_PROC
    def test_worker_that_replaces_one_has_the_checked_keys(self, gunicorn, tmp_path):
        path = tmp_path / "key.pem"
        path.write_text(pem(EC_KEY))
        port, process = gunicorn(JWT_PRIVATE_KEYS=path)
        wait_until(lambda: is_served(port))
        path.write_text(pem(OTHER_EC_KEY))
        for worker in (before := workers_of(process)):
            os.kill(worker, signal.SIGKILL)
        wait_until(lambda: not {*before} & {*workers_of(process)} and is_served(port))
        keys = requests.get(f"http://127.0.0.1:{port}/.well-known/jwks.json", timeout=10).json()
        assert [key["kid"] for key in keys["keys"]] == [kid_of(EC_KEY)]

    def test_unreadable_file_leaves_the_workers(self, service):
        port, _, reload = service
        assert "ENV_FILE_LOCATION: Must be a text in UTF-8." in reload(b"HOST=\xff")
        assert is_served(port)


class TestWarnings:
    """Settings that are hardly meant, with several workers or services."""

    def test_counts_in_memory_of_several_workers_are_logged(self, gunicorn):
        _, process = gunicorn(RATELIMIT_ENABLED=True)
        (line,) = [line for line in process.first_lines if "RATELIMIT_STORAGE_URI" in line]
        assert "WARNING" in line
        assert "each of 2 workers counts by itself" in line

    @pytest.mark.parametrize(
        ("options", "settings"),
        [(("--workers", "1"), {"RATELIMIT_ENABLED": True}), ((), {"RATELIMIT_ENABLED": False})],
        ids=["one worker", "no limits"],
    )
    def test_one_worker_and_no_limits_are_not_logged(self, gunicorn, options, settings):
        _, process = gunicorn(*options, METRICS_PORT=free_port(), **settings)
        assert not [line for line in process.first_lines if "WARNING" in line]

    def test_metrics_port_of_two_services_is_logged(self, gunicorn):
        metrics_port = free_port()
        gunicorn(METRICS_PORT=metrics_port)
        wait_until(lambda: is_served(metrics_port, "/metrics"))
        _, process = gunicorn(METRICS_PORT=metrics_port)
        (line,) = [line for line in process.first_lines if "METRICS_PORT" in line]
        assert f"METRICS_PORT {metrics_port} is another service's too" in line


class TestLog:
    """The lines of gunicorn itself."""

    def test_lines_are_json_in_production_and_have_no_path(self, documents, gunicorn, tmp_path):
        access_log = tmp_path / "access.log"
        names = ("APP_ENV", "JWT_SECRET_KEY", "PUBLIC_URL")
        settings = {name: PRODUCTION_SETTINGS[name] for name in names}
        settings |= {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": free_port()}
        port, process = gunicorn("--access-logfile", access_log, **settings)
        assert status_of(port, b"GET /reset/eyJsecret HTTP/9.9\r\n\r\n") == 400
        response = requests.get(f"http://127.0.0.1:{port}/reset/eyJsecret", timeout=10)
        process.terminate()
        lines = [json.loads(line) for line in process.communicate(timeout=30)[1].splitlines()]
        assert "Invalid request from ip=127.0.0.1" in [line["message"] for line in lines]
        assert "/reset/<token>" in [line.get("route") for line in lines]
        assert response.headers["Server"] == "gunicorn"
        assert "eyJ" not in json.dumps(lines) + access_log.read_text()
