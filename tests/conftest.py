"""What every test may ask for: a database, an application behind HTTP, a mailbox, a clock."""

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import time_machine
import waitress
from flask import Flask
from hypothesis import settings as hypothesis_settings
from pymongo import MongoClient

from tests import described
from tests.smtp import Mailbox, smtp_server, token_in

os.environ["ENV_FILE_LOCATION"] = os.devnull  # nobody's own .env decides what a test sees
GIVEN_MONGODB_URI = os.environ.pop("MONGODB_URI", None)

from app import create_app  # noqa: E402
from database.conformance import THREADS, USER, simultaneous_updates  # noqa: E402
from database.db import initialize_db  # noqa: E402
from database.embedded import EmbeddedDatabase  # noqa: E402
from database.models import DOCUMENTS, User  # noqa: E402
from services.outbox import Outbox  # noqa: E402
from tests.servers import Running  # noqa: E402

# Every run tries the same examples, which many tests of one machine slow down at times.
# `pytest --hypothesis-profile=hour` looks for new ones, for about that long.
hypothesis_settings.register_profile("ci", derandomize=True, deadline=None, max_examples=100)
hypothesis_settings.register_profile("hour", deadline=None, max_examples=3_000, print_blob=True)
hypothesis_settings.load_profile("ci")

ADA = {"email": "ada@example.com", "password": "correct horse battery"}
NEW_PASSWORD = "staple horse correct"


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URI of a database that is the tests' own, on MONGODB_URI if that is set."""
    name = f"movie-bag-test-{secrets.token_hex(4)}"
    if GIVEN_MONGODB_URI:
        given = urlsplit(GIVEN_MONGODB_URI)
        query = given.query
        if given.username and "authSource" not in query:  # it was the database that we replace
            query += f"&authSource={given.path.strip('/') or 'admin'}"
        yield given._replace(path=f"/{name}", query=query.strip("&")).geturl()
        User._get_db().client.drop_database(name)
    else:
        embedded = EmbeddedDatabase(tmp_path_factory.mktemp("embedded"))
        yield urlsplit(embedded.start())._replace(path=f"/{name}").geturl()
        embedded.stop()


@pytest.fixture
def documents(database: str) -> Iterator[None]:
    """Connect to the database, for a look at what is stored, and leave it empty."""
    app = Flask(__name__)
    app.config.update(MONGODB_URI=database, MONGODB_TIMEOUT=5)
    initialize_db(app)
    yield
    for document in DOCUMENTS:
        document.objects.delete()


@pytest.fixture
def atomic(database: str, documents: None) -> None:
    """Skip where processes that update at once undo each other: no claim of theirs can hold."""
    with MongoClient(database, maxPoolSize=THREADS) as client:
        tried = client.get_default_database()["atomic"]
        tried.insert_one(dict(USER))
        met = simultaneous_updates(tried)
        tried.drop()
    if not met:
        pytest.skip(f"Not so: {simultaneous_updates.__doc__}")


@pytest.fixture
def mailbox() -> Mailbox:
    """Return what the SMTP server of the test has received."""
    return Mailbox()


@pytest.fixture
def smtp(mailbox: Mailbox) -> Iterator[int]:
    """Return the port of an SMTP server in good health."""
    with smtp_server(mailbox) as port:
        yield port


@pytest.fixture
def settings(database: str, smtp: int, tmp_path: Path) -> dict[str, Any]:
    """Return settings for create_app: quick hashes, no limits, all else as in production."""
    return {
        "APP_ENV": "production",
        "MONGODB_URI": database,
        "DATA_DIR": str(tmp_path / "data"),
        "JWT_SECRET_KEY": "a key for tests of more than 32 bytes",
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": smtp,
        "PUBLIC_URL": "https://movie-bag.example",
        "BCRYPT_LOG_ROUNDS": 4,
        "RATELIMIT_ENABLED": False,
    }


@pytest.fixture
def make_app(settings: dict[str, Any], documents: None) -> Iterator[Callable[..., Flask]]:
    """Return create_app with the settings of the test; what it made ends with the test."""
    made = []

    def make(**changed: Any) -> Flask:
        made.append(create_app({**settings, **changed}))
        return made[-1]

    yield make
    for app in made:
        app.extensions["outbox"].stop()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    """Return the application of the test."""
    return make_app()


@pytest.fixture
def still_outbox(app: Flask) -> Outbox:
    """Return the outbox of the application, whose thread has ended: the test drains it."""
    outbox: Outbox = app.extensions["outbox"]
    outbox.start()
    outbox.stop()
    outbox._stopping.clear()
    return outbox


class Api(requests.Session):
    """A JSON client of whichever application is being served."""

    def __init__(self) -> None:
        super().__init__()
        self.app: Any = None
        self.server = waitress.create_server(
            self._serve, port=0, threads=32, clear_untrusted_proxy_headers=False
        )
        self.url = f"http://127.0.0.1:{self.server.effective_port}"
        threading.Thread(target=self.server.run, daemon=True).start()

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Any:
        return self.app(environ, start_response)

    def request(self, method: str, url: str, *, token: str | None = None, **more: Any) -> Any:
        """Send a request; token goes as a bearer token."""
        if token is not None:
            more["headers"] = {"Authorization": f"Bearer {token}"} | more.get("headers", {})
        answer = requests.request(method, self.url + url, timeout=60, **more)
        described.hold(self.app, answer)
        return answer

    def sign_up(self, **fields: str) -> requests.Response:
        return self.post("/api/auth/signup", json=ADA | fields)

    def log_in(self, **fields: str) -> requests.Response:
        return self.post("/api/auth/login", json=ADA | fields)

    def refresh(self, token: str) -> requests.Response:
        return self.post("/api/auth/refresh", token=token)

    def whoami(self, token: str) -> requests.Response:
        return self.get("/api/auth/verify", token=token)

    def forgot(self, email: str = ADA["email"]) -> requests.Response:
        return self.post("/api/auth/forgot", json={"email": email})

    def reset(self, token: str, password: str = NEW_PASSWORD) -> requests.Response:
        return self.post("/api/auth/reset", json={"reset_token": token, "password": password})


@pytest.fixture(scope="session")
def http() -> Api:
    """Return the one HTTP server of the session; `api` says what it serves."""
    return Api()


@pytest.fixture
def api(http: Api, app: Flask) -> Api:
    """Return a client of the test's application."""
    http.app = app
    return http


@pytest.fixture
def ada(api: Api) -> dict[str, Any]:
    """Sign Ada up and log her in; return her tokens."""
    assert api.sign_up().status_code == 200
    return api.log_in().json()


@pytest.fixture
def reset_link(api: Api, ada: dict[str, Any], mailbox: Mailbox) -> str:
    """Return a reset token of Ada's, from a real mail."""
    api.forgot()
    return token_in(mailbox.wait_for(1)[0])


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """Hold the time; `clock.shift(seconds)` moves it."""
    with time_machine.travel(time.time(), tick=False) as traveller:
        yield traveller


@pytest.fixture
def run(tmp_path: Path, database: str, documents: None) -> Iterator[Callable[..., Running]]:
    """Start `run.py` on the database of the tests, or with MONGODB_URI=None on its own."""
    started = []

    def start(**changed: Any) -> Running:
        settings = {"MONGODB_URI": database, "BCRYPT_LOG_ROUNDS": 4, "APP_ENV": "development"}
        settings["RATELIMIT_ENABLED"] = False
        started.append(Running(tmp_path, **settings | changed))
        return started[-1]

    yield start
    for running in started:
        running.kill()


def at_once(count: int, call: Callable[[int], Any]) -> list[Any]:
    """Call from count threads that begin together; return what they returned."""
    barrier, results = threading.Barrier(count), [None] * count

    def work(index: int) -> None:
        barrier.wait()
        results[index] = call(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def wait_until(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """Return what condition returns once that is true; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (outcome := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)
    return outcome
