"""A worker's memory while everything is used, for ten minutes, or for MEMORY_MINUTES."""

import os
import statistics
import time
from pathlib import Path

import pytest

from database.models import ADMIN
from tests.support.processes import OWN, GunicornServer, free_port, megabytes
from tests.support.prometheus import scrape
from tests.support.settings import SECRETS_KEY
from tests.support.smtp_server import Mailbox
from tests.support.tokens import KEY
from tests.support.users import create_user
from tests.support.visitors import Visitor
from tests.support.webhooks import SECRET

pytestmark = pytest.mark.slow

MINUTES = float(os.environ.get("MEMORY_MINUTES", "10"))
LOCALES = ["en", "de", "pt-br"]
# Of a visitor, between a response and the next request: together they send 8 per second.
PAUSE = 0.4
SECONDS_BETWEEN_SAMPLES = 5
MAX_MEGABYTES = 75
MAX_GROWTH = 2  # in the second half


@pytest.fixture
def metrics_port():
    return free_port()


@pytest.fixture
def server(database, documents, smtp, receiver, tmp_path, metrics_port):
    """Serve as in production, with every feature; only the hashes are quick."""
    server = GunicornServer(
        tmp_path,
        APP_ENV="production",
        MONGODB_URI=database,
        JWT_SECRET_KEY=KEY,
        SECRETS_KEY=SECRETS_KEY,
        MAIL_SERVER="127.0.0.1",
        MAIL_PORT=smtp,
        PUBLIC_URL="https://movie-bag.example",
        BCRYPT_LOG_ROUNDS=4,
        TRUSTED_PROXIES=1,
        METRICS_PORT=metrics_port,
        WEBHOOK_URLS=receiver.url,
        WEBHOOK_SECRET=SECRET,
    )
    yield server
    server.kill()


@pytest.fixture
def visitors(server, mailbox: Mailbox):
    """Let a visitor of each language, and its admin, use the server until the end of the test."""
    visitors = [Visitor(server.url, mailbox, locale, PAUSE) for locale in LOCALES]
    for visitor in visitors:
        create_user(visitor.admin["email"], ADMIN)
        visitor.start()
    yield visitors
    for visitor in visitors:
        visitor.api.ended.set()
        visitor.join()


def growth(sizes):
    """Return by how much the median of the last tenth exceeds that of the tenth in the middle."""
    tenth = max(len(sizes) // 10, 1)
    middle = sizes[len(sizes) // 2 :][:tenth]
    return statistics.median(sizes[-tenth:]) - statistics.median(middle)


def test_memory_is_bounded_and_does_not_grow(server, visitors, receiver, metrics_port):
    samples = {pid: [] for pid in server.workers()}
    end = time.monotonic() + MINUTES * 60
    while time.monotonic() < end and all(visitor.is_alive() for visitor in visitors):
        time.sleep(SECONDS_BETWEEN_SAMPLES)
        for pid, sizes in samples.items():
            sizes.append(megabytes(pid, OWN))  # what is shared depends on others
        scrape(metrics_port)
        receiver.received.clear()
    assert [visitor.error for visitor in visitors] == [""] * len(visitors)
    rounds = [visitor.rounds for visitor in visitors]
    print(f"{rounds} rounds; MB of the workers: {list(samples.values())}")
    print(*(Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in samples))
    assert min(rounds) > 0
    assert max(map(max, samples.values())) <= MAX_MEGABYTES
    assert max(map(growth, samples.values())) <= MAX_GROWTH
