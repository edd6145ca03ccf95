"""examples/other_service beside Movie-bag, each in processes of its own."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest
import requests

from database.models import ADMIN
from tests.support.client import ADA
from tests.support.concurrency import wait_until
from tests.support.private_keys import EC_KEY, kid_of, pem
from tests.support.processes import HOME, GunicornServer, environment, free_port
from tests.support.tokens import decode_parts
from tests.support.users import create_user

# The example as it is, but for how long it keeps the keys: no test waits for 300 s.
LAUNCH = """
from app import app, public_keys
public_keys.jwk_set_cache.lifespan = {lifespan}
app.run(port={port}, threaded=True)
"""
TOKEN_SECONDS = 6
EMAIL = "root@example.com"
KEPT_SECONDS = 1


@pytest.fixture(scope="class")
def env_file(tmp_path_factory):
    """Return the path of a .env with one private key in a file."""
    folder = tmp_path_factory.mktemp("settings")
    (folder / "first.pem").write_text(pem(EC_KEY))
    (folder / ".env").write_text(f"JWT_PRIVATE_KEYS={folder}/first.pem\n")
    return folder / ".env"


@pytest.fixture(scope="class")
def movie_bag(database, env_file):
    """Return a Movie-bag under gunicorn."""
    port = free_port()
    server = GunicornServer(
        env_file.parent,
        PORT=port,
        PUBLIC_URL=f"http://127.0.0.1:{port}",
        ENV_FILE_LOCATION=env_file,
        MONGODB_URI=database,
        BCRYPT_LOG_ROUNDS=4,
        RATELIMIT_ENABLED=False,
        JWT_ACCESS_TOKEN_EXPIRES=TOKEN_SECONDS,
        JWT_LEEWAY=0,
    )
    yield server
    server.kill()


@pytest.fixture
def pair(movie_bag, documents):
    """Return the tokens of an admin, who may make API keys."""
    create_user(EMAIL, ADMIN)
    return movie_bag.post("/api/auth/login", **ADA | {"email": EMAIL}).json()


def send(method, url, token, **body):
    headers = {"Authorization": f"Bearer {token}"}
    return requests.request(method, url, json=body or None, headers=headers, timeout=10)


@pytest.fixture
def start_service(movie_bag, pair):
    """Return a function that starts the example and returns its URL."""
    processes = []
    body = {"name": "Reviews", "scopes": ["introspect"]}
    key = send("POST", f"{movie_bag.url}/api/keys", pair["token"], **body).json()["key"]

    def start(lifespan=300):
        port = free_port()
        env = environment(MOVIE_BAG_URL=movie_bag.url, MOVIE_BAG_API_KEY=key)
        process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH.format(port=port, lifespan=lifespan)],
            cwd=HOME / "examples/other_service",
            env=env,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        processes.append(process)
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: is_served(url))
        return url

    yield start
    for process in processes:
        process.kill()
        process.wait()


def is_served(url):
    try:
        return requests.get(url, timeout=5).status_code == 404
    except requests.ConnectionError:
        return False


def served(movie_bag, route):
    """Return how many requests to a route Movie-bag has logged."""
    return len(re.findall(rf"{re.escape(route)} \d+ ", movie_bag.log.read_text()))


class Client(threading.Thread):
    """Refreshes all the time, and shows each token to the other service until it expires."""

    def __init__(self, movie_bag, service, pair):
        super().__init__(daemon=True)
        self.movie_bag, self.service, self.pair = movie_bag, service, pair
        self.statuses, self.kids, self.tokens = Counter(), [], []
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            refreshing = f"{self.movie_bag.url}/api/auth/refresh"
            self.pair = send("POST", refreshing, self.pair["refresh_token"]).json()
            self.kids.append(decode_parts(self.pair["token"])[0]["kid"])
            self.tokens = [it for it in [*self.tokens, self.pair["token"]] if seconds_left(it) > 0]
            for token in self.tokens:
                response = send("GET", f"{self.service}/reviews", token)
                if seconds_left(token) > 0:  # else it expired on the way
                    self.statuses[response.status_code] += 1
            self.stopping.wait(0.1)


def seconds_left(token):
    return decode_parts(token)[1]["exp"] - time.time()


class TestOtherService:
    def test_keys_are_read_once(self, movie_bag, start_service, pair):
        service = start_service()
        before = served(movie_bag, "/.well-known/jwks.json")
        for _ in range(5):
            pair = send("POST", f"{movie_bag.url}/api/auth/refresh", pair["refresh_token"]).json()
            for _ in range(4):
                assert send("GET", f"{service}/reviews", pair["token"]).status_code == 200
        assert served(movie_bag, "/.well-known/jwks.json") - before == 1
        assert served(movie_bag, "/api/auth/introspect") == 0

    def test_logout_counts_at_once_where_it_must(self, movie_bag, start_service, pair):
        service, token = start_service(), pair["token"]
        pair = send("POST", f"{movie_bag.url}/api/auth/refresh", pair["refresh_token"]).json()
        token = pair["token"]
        assert send("POST", f"{service}/payments", token).json()["paid"]
        assert send("DELETE", f"{movie_bag.url}/api/auth/logout", token).status_code == 200
        refused = send("POST", f"{service}/payments", token)
        assert (refused.status_code, refused.json()["error"]) == (401, "ExpiredTokenError")
        assert send("GET", f"{service}/reviews", token).status_code == 200
        wait_until(lambda: seconds_left(token) <= 0)
        assert send("GET", f"{service}/reviews", token).status_code == 401

    @pytest.mark.slow
    def test_rotation_refuses_no_token(self, movie_bag, start_service, pair, env_file):
        client = Client(movie_bag, start_service(KEPT_SECONDS), pair)
        client.start()
        waits = (KEPT_SECONDS, TOKEN_SECONDS, KEPT_SECONDS)
        for keys, seconds in zip(rotation(movie_bag), waits, strict=True):
            reload(movie_bag, env_file, keys)
            until = time.monotonic() + seconds
            wait_until(lambda until=until: time.monotonic() > until)
            count = len(client.kids)
            wait_until(lambda count=count: len(client.kids) > count)
        client.stopping.set()
        client.join()
        published = requests.get(f"{movie_bag.url}/.well-known/jwks.json", timeout=10).json()
        (new_kid,) = (key["kid"] for key in published["keys"])
        assert client.statuses.keys() == {200}
        assert [*dict.fromkeys(client.kids)] == [kid_of(EC_KEY), new_kid]


def rotation(movie_bag):
    """Return the three settings that `flask keys rotate` prints."""
    command = [sys.executable, "-m", "flask", "--app", "app", "keys", "rotate"]
    printed = subprocess.run(
        command,
        cwd=HOME,
        env=environment(**movie_bag.settings),
        capture_output=True,
        text=True,
        check=True,
    )
    return re.findall(r"^ *JWT_PRIVATE_KEYS=(.+)$", printed.stdout, re.MULTILINE)


def reload(movie_bag, env_file, keys):
    """Replace the workers by those with other keys, and wait until the last of before has ended."""
    before = movie_bag.log.read_text().count("Worker exiting")
    env_file.write_text(f"JWT_PRIVATE_KEYS={keys}\n")
    os.kill(movie_bag.process.pid, signal.SIGHUP)
    wait_until(lambda: movie_bag.log.read_text().count("Worker exiting") == before + 2)
