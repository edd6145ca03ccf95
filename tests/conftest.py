"""What every test may ask for: a database, an application behind HTTP, a mailbox, a clock."""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from flask import Flask
from hypothesis import settings as hypothesis_settings
from mongoengine.connection import get_db
from pymongo import MongoClient

os.environ["ENV_FILE_LOCATION"] = os.devnull  # a developer's own .env must not change a test
GIVEN_MONGODB_URI = os.environ.pop("MONGODB_URI", None)
pytest.register_assert_rewrite("tests.support")

from app import create_app  # noqa: E402
from database import started_settings  # noqa: E402
from database.compatibility import THREADS, USER, simultaneous_updates  # noqa: E402
from database.db import initialize_db  # noqa: E402
from database.documents import DOCUMENTS  # noqa: E402
from database.embedded.server import EmbeddedDatabase  # noqa: E402
from database.migrations import stored_version  # noqa: E402
from database.models import ADMIN, Job  # noqa: E402
from infra import audit_log  # noqa: E402
from jobs.worker import Worker  # noqa: E402
from tests.support.authenticator import Passkey  # noqa: E402
from tests.support.client import EVE, ApiClient  # noqa: E402
from tests.support.email_client import SendQueued, change_email, send_queued, verify_all  # noqa: E402
from tests.support.factor_client import STEP, Factor, enrol  # noqa: E402
from tests.support.interleaving import Interruption, interruption  # noqa: E402
from tests.support.passkeys import add_passkey  # noqa: E402
from tests.support.processes import Server  # noqa: E402
from tests.support.settings import SECRETS_KEY  # noqa: E402
from tests.support.shared_work import share_work  # noqa: E402
from tests.support.smtp_server import Mailbox, smtp_server, token_in  # noqa: E402
from tests.support.tokens import KEY  # noqa: E402
from tests.support.users import create_session, create_user  # noqa: E402
from tests.support.webhooks import WebhookReceiver  # noqa: E402

share_work()

# Every run tries the same examples, without a deadline because machines are noisy.
# `pytest --hypothesis-profile=hour` looks for new ones for about that long.
hypothesis_settings.register_profile("ci", derandomize=True, deadline=None, max_examples=100)
hypothesis_settings.register_profile("hour", deadline=None, max_examples=3_000, print_blob=True)
hypothesis_settings.load_profile("ci")


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URI of a database that is the tests' own, on MONGODB_URI if that is set."""
    name = f"movie-bag-test-{secrets.token_hex(4)}"
    if GIVEN_MONGODB_URI:
        given = urlsplit(GIVEN_MONGODB_URI)
        query = given.query
        if given.username and "authSource" not in query:  # it was the database that we replace
            query += f"&authSource={given.path.strip('/') or 'admin'}"
        uri = given._replace(path=f"/{name}", query=query.strip("&")).geturl()
        yield uri
        with MongoClient(uri) as client:
            client.drop_database(name)
    else:
        embedded = EmbeddedDatabase(tmp_path_factory.mktemp("embedded"))
        yield urlsplit(embedded.start())._replace(path=f"/{name}").geturl()
        embedded.stop()


@pytest.fixture
def documents(database: str) -> Iterator[None]:
    """Connect to the database, to look at what is stored, and leave it empty."""
    app = Flask(__name__)
    app.config.update(MONGODB_URI=database, MONGODB_TIMEOUT=5)
    initialize_db(app)
    stored_version()  # stores the latest, before a test stores documents
    yield
    for document in DOCUMENTS:
        document.objects.delete()
    get_db()[started_settings.COLLECTION].delete_many({})


@pytest.fixture
def atomic(database: str, documents: None) -> None:
    """Skip on a server where simultaneous updates on one condition both happen."""
    with MongoClient(database, maxPoolSize=THREADS) as client:
        collection = client.get_default_database()["atomic"]
        collection.insert_one(dict(USER))
        is_atomic = simultaneous_updates(collection)
        collection.drop()
    if not is_atomic:
        pytest.skip(f"This server fails: {simultaneous_updates.__doc__}")


@pytest.fixture
def mailbox() -> Mailbox:
    """Return what the SMTP server of the test has received."""
    return Mailbox()


@pytest.fixture
def smtp(mailbox: Mailbox) -> Iterator[int]:
    """Return the port of an SMTP server that accepts everything."""
    with smtp_server(mailbox) as port:
        yield port


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    """Return a receiver of webhooks that listens."""
    receiver = WebhookReceiver()
    with receiver.run():
        yield receiver


@pytest.fixture
def settings(database: str, smtp: int, tmp_path: Path) -> dict[str, Any]:
    """Return settings for create_app: quick hashes, no limits, all else as in production."""
    return {
        "APP_ENV": "production",
        "MONGODB_URI": database,
        "DATA_DIR": str(tmp_path / "data"),
        "JWT_SECRET_KEY": KEY,
        "SECRETS_KEY": SECRETS_KEY,
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": smtp,
        "PUBLIC_URL": "https://movie-bag.example",
        "BCRYPT_LOG_ROUNDS": 4,
        "RATELIMIT_ENABLED": False,
        "EMAIL_VERIFICATION": "off",
    }


@pytest.fixture
def interrupted(database: str) -> Iterator[Interruption]:
    """Return what interrupts requests between two of their commands, made before the client."""
    with interruption() as listener:
        yield listener


@pytest.fixture
def make_app(settings: dict[str, Any], documents: None) -> Iterator[Callable[..., Flask]]:
    """Return create_app with the settings of the test; its apps end with the test."""
    apps = []

    def make(**changed: Any) -> Flask:
        apps.append(create_app({**settings, **changed}))
        return apps[-1]

    yield make
    for app in apps:
        app.extensions["workers"].stop()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    """Return the application of the test."""
    return make_app()


@pytest.fixture
def stopped_worker(app: Flask) -> Worker:
    """Return the worker of the application, whose thread has ended: the test runs its jobs."""
    worker: Worker = app.extensions["worker"]
    worker.start()
    worker.stop()
    worker._stopping.clear()
    return worker


@pytest.fixture(scope="session")
def http() -> ApiClient:
    """Return the one HTTP server of the session; `api` sets what it serves."""
    return ApiClient()


@pytest.fixture
def api(http: ApiClient, app: Flask) -> ApiClient:
    """Return a client of the test's application."""
    http.app = app
    return http


@pytest.fixture
def ada(api: ApiClient) -> dict[str, Any]:
    """Sign Ada up and log her in; return her tokens."""
    assert api.sign_up().status_code == 200
    tokens: dict[str, Any] = api.log_in().json()
    return tokens


@pytest.fixture
def eve(api: ApiClient) -> dict[str, Any]:
    """Sign Eve up and log her in; return her tokens."""
    assert api.sign_up(**EVE).status_code == 200
    tokens: dict[str, Any] = api.log_in(**EVE).json()
    return tokens


@pytest.fixture
def operator(app: Flask) -> dict[str, Any]:
    """Return the tokens of an admin, who was created and logged in without HTTP."""
    return create_session(app, create_user("root@example.com", ADMIN))


@pytest.fixture
def mails(http: ApiClient, mailbox: Mailbox) -> SendQueued:
    """Return a function that sends the queued emails, and returns them."""
    return lambda: send_queued(http.app, mailbox)


@pytest.fixture
def mailed_token(api: ApiClient, ada: dict[str, Any], mails: SendQueued) -> str:
    """Return a reset token of Ada's, from a real email; no email is queued."""
    api.forgot()
    return token_in(mails()[0])


@pytest.fixture
def verified(ada: dict[str, Any], mails: SendQueued) -> dict[str, Any]:
    """Return the tokens of Ada, whose email is verified; no email is queued."""
    verify_all()
    mails()
    return ada


@pytest.fixture
def passkey(api: ApiClient, verified: dict[str, Any], mails: SendQueued) -> Passkey:
    """Return the passkey of Ada; her login is recent, and no email is queued."""
    passkey = add_passkey(api, verified["token"])
    mails()
    return passkey


@pytest.fixture
def eves_passkey(api: ApiClient, eve: dict[str, Any]) -> Passkey:
    """Return the passkey of Eve, whose email is verified."""
    verify_all()
    return add_passkey(api, eve["token"])


@pytest.fixture
def change_token(api: ApiClient, verified: dict[str, Any], mails: SendQueued) -> str:
    """Return the token of a change of Ada's email that waits."""
    change_email(api, verified["token"])
    return token_in(mails()[0])


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """Stop the time; `clock.shift(seconds)` moves it."""
    with time_machine.travel(time.time(), tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def clock_before_all_else(request: pytest.FixtureRequest) -> None:
    """Stop the time, if the test does, before a user or a token exists that could be older."""
    if "clock" in request.fixturenames:
        request.getfixturevalue("clock")


@pytest.fixture
def count_events(caplog: pytest.LogCaptureFixture) -> Callable[[str], int]:
    """Return a function that counts the lines of the security log with an event."""
    caplog.set_level("INFO", audit_log.__name__)
    return lambda event: sum(f"event={event} " in line for line in caplog.messages)


@pytest.fixture
def factor(api: ApiClient, clock: time_machine.Traveller, verified: dict[str, Any]) -> Factor:
    """Return Ada's second factor, of which the app shows an unused code; no email is queued.

    The time is stopped, and no worker sends emails.
    """
    factor = enrol(api, verified)
    Job.objects.delete()
    clock.shift(STEP)
    return factor


@pytest.fixture
def run(tmp_path: Path, database: str, documents: None) -> Iterator[Callable[..., Server]]:
    """Start `run.py` on the database of the tests, or with MONGODB_URI=None on its own."""
    servers = []

    def start(**changed: Any) -> Server:
        settings = {"MONGODB_URI": database, "BCRYPT_LOG_ROUNDS": 4, "APP_ENV": "development"}
        settings["RATELIMIT_ENABLED"] = False
        servers.append(Server(tmp_path, **settings | changed))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()
