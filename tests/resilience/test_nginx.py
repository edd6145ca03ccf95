"""deploy/nginx.conf, as it is written except for ports and TLS, before two machines."""

import re
import shutil
import subprocess
import threading
from contextlib import ExitStack

import pytest
import requests

from tests.support.client import ADA
from tests.support.concurrency import wait_until
from tests.support.nginx import main_conf
from tests.support.processes import HOME, GunicornServer, free_port
from tests.support.tokens import KEY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx on PATH"),
]

# Fewer than take the 10 s after which nginx would ask a machine again by itself.
REQUESTS_PER_RESTART = 20
CLIENTS = 4


def site_conf(port, machines):
    """Return deploy/nginx.conf at these ports, without TLS."""
    text = (HOME / "deploy/nginx.conf").read_text()
    text = re.sub(r" *ssl_certificate.*\n", "", text)
    text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    for number, machine in enumerate(machines, 1):
        text = text.replace(f"10.0.0.{number}:5000", f"127.0.0.1:{machine.port}")
    assert "10.0.0." not in text
    return text


class Nginx:
    """An nginx before two machines, each of which can restart."""

    def __init__(self, folder, start, stack):
        self.folder, self._start = folder, start
        self.machines = [start(DATA_DIR=folder / name) for name in ("one", "other")]
        stack.callback(lambda: [machine.kill() for machine in self.machines])
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        conf, log = folder / "nginx.conf", folder / "error.log"
        conf.write_text(main_conf(folder, log, site_conf(port, self.machines)))
        command = ["nginx", "-p", folder, "-c", conf, "-e", log, "-g", "daemon off;"]
        process = subprocess.Popen(command)
        stack.callback(process.wait)
        stack.callback(process.terminate)
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
        return (self.folder / "error.log").read_text().count("Connection refused")


@pytest.fixture
def nginx(database, documents, tmp_path):
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
    def test_rolling_restarts_drop_no_request(self, nginx):
        requests.post(f"{nginx.url}/api/auth/signup", json=ADA, timeout=30)
        statuses, stopping = [], threading.Event()

        def request():
            while not stopping.is_set():
                login = requests.post(f"{nginx.url}/api/auth/login", json=ADA, timeout=30)
                listed = requests.get(f"{nginx.url}/api/movies", timeout=30)
                statuses.extend([login.status_code, listed.status_code])

        clients = [threading.Thread(target=request) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            for number in (0, 1, 0, 1):
                nginx.restart(number)
                served = len(statuses)
                wait_until(lambda: len(statuses) > served + REQUESTS_PER_RESTART, 60)  # noqa: B023
        finally:
            stopping.set()
            for client in clients:
                client.join()
        assert {status for status in statuses if status != 200} == set()
        assert nginx.refused() > 0

    def test_client_can_not_forge_its_ip(self, nginx):
        forged = {"X-Forwarded-For": "192.0.2.1"}
        requests.post(f"{nginx.url}/api/auth/login", json=ADA, headers=forged, timeout=30)
        logs = "".join(machine.log.read_text() for machine in nginx.machines)
        assert '"event":"login_failed"' in logs
        assert "192.0.2.1" not in logs

    def test_long_body_is_refused_in_the_error_shape(self, nginx):
        body = {"email": "x" * 70_000, "password": "x"}
        response = requests.post(f"{nginx.url}/api/auth/login", json=body, timeout=30)
        assert (response.status_code, response.json()["error"]) == (413, "RequestTooLargeError")
