"""deploy/nginx.conf, as it is written except for ports and TLS, before two machines."""

import shutil
import threading
from contextlib import ExitStack

import pytest
import requests

from tests.support.client import ADA
from tests.support.concurrency import wait_until
from tests.support.nginx import nginx, site_conf
from tests.support.processes import GunicornServer, free_port
from tests.support.tokens import KEY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx on PATH"),
]

# Fewer than take the 10 s after which nginx would ask a machine again by itself.
REQUESTS_PER_RESTART = 20
CLIENTS = 4


class Nginx:
    """An nginx before two machines, each of which can restart."""

    def __init__(self, folder, start, stack):
        self._start = start
        self.machines = [start(DATA_DIR=folder / name) for name in ("one", "other")]
        stack.callback(lambda: [machine.kill() for machine in self.machines])
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        ports = [machine.port for machine in self.machines]
        self._log = stack.enter_context(nginx(folder, site_conf(port, ports)))
        wait_until(self._is_serving, 10)

    def _is_serving(self):
        try:
            return requests.get(f"{self.url}/healthz", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def restart(self, number):
        """Stop a machine as an operator does, and start it again at its port."""
        machine = self.machines[number]
        assert machine.terminate() == 0
        self.machines[number] = self._start(PORT=machine.port, DATA_DIR=machine.data_dir)

    def refused(self):
        """Return how often a machine refused a connection."""
        return self._log.read_text().count("Connection refused")


@pytest.fixture
def proxy(database, documents, tmp_path):
    settings = {
        "APP_ENV": "production",
        "MONGODB_URI": database,
        "JWT_SECRET_KEY": KEY,
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": free_port(),
        "PUBLIC_URL": "https://movie-bag.example",
        "BCRYPT_LOG_ROUNDS": 4,
        "TRUSTED_PROXIES": 1,
        "RATELIMIT_ENABLED": False,
    }
    with ExitStack() as stack:
        yield Nginx(tmp_path, lambda **own: GunicornServer(tmp_path, **settings | own), stack)


class TestNginx:
    def test_rolling_restarts_drop_no_request(self, proxy):
        requests.post(f"{proxy.url}/api/auth/signup", json=ADA, timeout=30)
        statuses, stopping = [], threading.Event()

        def request():
            while not stopping.is_set():
                login = requests.post(f"{proxy.url}/api/auth/login", json=ADA, timeout=30)
                listed = requests.get(f"{proxy.url}/api/movies", timeout=30)
                statuses.extend([login.status_code, listed.status_code])

        clients = [threading.Thread(target=request) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            for number in (0, 1, 0, 1):
                proxy.restart(number)
                served = len(statuses)
                wait_until(lambda: len(statuses) > served + REQUESTS_PER_RESTART, 60)  # noqa: B023
        finally:
            stopping.set()
            for client in clients:
                client.join()
        assert {status for status in statuses if status != 200} == set()
        assert proxy.refused() > 0

    def test_client_can_not_forge_its_ip(self, proxy):
        forged = {"X-Forwarded-For": "192.0.2.1"}
        requests.post(f"{proxy.url}/api/auth/login", json=ADA, headers=forged, timeout=30)
        logs = "".join(machine.log.read_text() for machine in proxy.machines)
        assert '"event":"login_failed"' in logs
        assert "192.0.2.1" not in logs

    def test_long_body_is_refused_in_the_error_shape(self, proxy):
        body = {"email": "x" * 70_000, "password": "x"}
        response = requests.post(f"{proxy.url}/api/auth/login", json=body, timeout=30)
        assert (response.status_code, response.json()["error"]) == (413, "RequestTooLargeError")
