"""deploy/nginx/movie-bag.conf, with other ports and certificate, before two machines."""

import re
import secrets
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from pymongo import MongoClient

from setting_values import LINK_PAGES
from tests.support.client import ADA, EVE
from tests.support.concurrency import wait_until
from tests.support.nginx import nginx, site_conf
from tests.support.processes import GunicornServer, free_port
from tests.support.smtp_server import CERTIFICATE
from tests.support.tokens import KEY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx on PATH"),
]

# Fewer than take the 10 s after which nginx would ask a machine again by itself.
REQUESTS_PER_RESTART = 20
CLIENTS = 4
# Instead of the 15 s that a client has for a request, or for the next part of its body.
SLOW_SECONDS = 5
SLOW_CLIENTS = 100
PART_OF_A_REQUEST = b"""\
POST /api/auth/forgot HTTP/1.1\r
Host: localhost\r
Content-Type: application/json\r
Content-Length: 100\r
\r
{"email": \
"""


def is_listening(port):
    """Return whether a server accepts connections at a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class Nginx:
    """An nginx before two machines, each of which can restart."""

    def __init__(self, folder, start, stack):
        self._start = start
        self.machines = [start(DATA_DIR=folder / name) for name in ("one", "other")]
        stack.callback(lambda: [machine.kill() for machine in self.machines])
        self.port, self.plain_port = free_port(), free_port()
        self.url = f"https://localhost:{self.port}"
        ports = [machine.port for machine in self.machines]
        site = site_conf(self.port, ports, self.plain_port).replace(" 15s;", f" {SLOW_SECONDS}s;")
        self._log = stack.enter_context(nginx(folder, site))
        wait_until(self._is_serving, 10)

    def _is_serving(self):
        try:
            return self.get("/healthz").status_code == 200
        except requests.ConnectionError:
            return False

    def get(self, path, **options):
        return requests.get(self.url + path, verify=CERTIFICATE, timeout=30, **options)

    def post(self, path, body, **options):
        url = self.url + path
        return requests.post(url, json=body, verify=CERTIFICATE, timeout=30, **options)

    def connect(self):
        """Return a connection with TLS, over which HTTP/1.1 is spoken."""
        context = ssl.create_default_context(cafile=CERTIFICATE)
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        return context.wrap_socket(plain, server_hostname="localhost")

    def restart(self, number):
        """Stop a machine as an operator does, and start it again at its port."""
        machine = self.machines[number]
        assert machine.terminate() == 0
        self.machines[number] = self._start(PORT=machine.port, DATA_DIR=machine.data_dir)

    def logs(self):
        return "".join(machine.log.read_text() for machine in self.machines)

    def connections(self):
        """Return how many connections nginx has to the machines."""
        established = re.findall(r" \w+:(\w+) 01 ", Path("/proc/net/tcp").read_text())
        ports = {f"{machine.port:04X}" for machine in self.machines}
        return sum(port in ports for port in established)

    def refused(self):
        """Return how often a machine refused a connection."""
        return self._log.read_text().count("Connection refused")


@pytest.fixture(scope="module")
def uri(database):
    """Return the URI of a database of these tests."""
    uri = urlsplit(database)._replace(path=f"/nginx-{secrets.token_hex(4)}").geturl()
    yield uri
    with MongoClient(uri) as client:
        client.drop_database(client.get_default_database().name)


@pytest.fixture(scope="module")
def proxy(uri, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nginx")
    settings = {
        "APP_ENV": "production",
        "MONGODB_URI": uri,
        "JWT_SECRET_KEY": KEY,
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": free_port(),
        "PUBLIC_URL": "https://movie-bag.example",
        "BCRYPT_LOG_ROUNDS": 4,
        "TRUSTED_PROXIES": 1,
        "RATELIMIT_ENABLED": False,
    }
    with ExitStack() as stack:
        yield Nginx(folder, lambda **own: GunicornServer(folder, **settings | own), stack)


class TestNginx:
    def test_rolling_restarts_drop_no_request(self, proxy):
        proxy.post("/api/auth/signup", ADA)
        statuses, stopping = [], threading.Event()

        def request():
            while not stopping.is_set():
                login = proxy.post("/api/auth/login", ADA)
                listed = proxy.get("/api/movies")
                statuses.extend([login.status_code, listed.status_code])

        clients = [threading.Thread(target=request) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            for number in (0, 1):
                proxy.restart(number)
                served = len(statuses)
                wait_until(lambda: len(statuses) > served + REQUESTS_PER_RESTART, 60)  # noqa: B023
        finally:
            stopping.set()
            for client in clients:
                client.join()
        assert {status for status in statuses if status != 200} == set()
        assert proxy.refused() > 0

    def test_token_in_a_path_is_in_no_log(self, tmp_path):
        port, *others = (free_port() for _ in range(4))
        url = f"https://localhost:{port}"
        with nginx(tmp_path, site_conf(port, others[:2], others[2])) as log:
            wait_until(lambda: is_listening(port), 10)
            for path in ("/healthz", *(f"/{page}/eyJtoken" for page in LINK_PAGES.values())):
                assert requests.get(url + path, verify=CERTIFICATE, timeout=30).status_code == 502
            assert "GET /healthz" in log.read_text()
            assert "eyJ" not in log.read_text()

    def test_client_can_not_forge_its_ip(self, proxy):
        forged = {"X-Forwarded-For": "192.0.2.1"}
        proxy.post("/api/auth/login", EVE, headers=forged)
        logs = proxy.logs()
        assert '"event":"login_failed"' in logs
        assert '"ip":"127.0.0.1"' in logs
        assert "192.0.2.1" not in logs

    def test_long_body_is_refused_in_the_error_shape(self, proxy):
        body = {"email": "x" * 70_000, "password": "x"}
        response = proxy.post("/api/auth/login", body)
        assert (response.status_code, response.json()["error"]) == (413, "RequestTooLargeError")

    def test_plain_http_leads_to_https(self, proxy):
        url = f"http://127.0.0.1:{proxy.plain_port}/api/auth/login?x=1"
        response = requests.post(url, json=ADA, allow_redirects=False, timeout=30)
        assert response.status_code == 308
        assert response.headers["Location"] == "https://127.0.0.1/api/auth/login?x=1"

    @pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on PATH")
    def test_http_2_is_spoken(self, proxy):
        command = ["curl", "--silent", "--cacert", CERTIFICATE, "--http2", f"{proxy.url}/healthz"]
        wanted = "%{http_version} %{http_code}"
        output = ["--output", "/dev/null", "--write-out", wanted]
        assert subprocess.check_output([*command, *output], text=True) == "2 200"

    def test_slow_clients_reach_no_machine(self, proxy):
        with ExitStack() as stack:
            slow = [stack.enter_context(proxy.connect()) for _ in range(SLOW_CLIENTS)]
            for client in slow:
                client.sendall(PART_OF_A_REQUEST)
            assert proxy.get("/healthz").status_code == 200
            assert proxy.connections() < SLOW_CLIENTS / 10
            assert {client.recv(1000)[:12] for client in slow} <= {b"HTTP/1.1 408", b""}
