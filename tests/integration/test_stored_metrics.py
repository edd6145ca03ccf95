"""The metrics of what is stored: migrations that are due, hashes that a login replaces."""

import pytest
from flask import Flask
from mongoengine.connection import disconnect, get_db
from pymongo.errors import OperationFailure

from database.db import initialize_db
from database.events import StoredEvent
from database.hash_kinds import HashKind
from database.migrations import CURRENT, MIGRATIONS, VERSIONS
from database.models import User
from infra import metrics
from services import stored_gauges
from services.stored_gauges import MIGRATIONS_DUE, OLD_HASHES, StoredGauges
from tests.support.client import ADA, EVE
from tests.support.processes import free_port
from tests.support.prometheus import scrape
from tests.support.users import hash_of_password


def samples(gauges):
    """Return the value of each gauge that is there, by name and labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in gauges.collect()
        for sample in family.samples
    }


def store_user(email, password, **fields):
    User(email=email, password=password, **fields).save()


@pytest.fixture
def version(documents):
    """Return a function that stores a version of the documents, until the test ends."""
    yield lambda number: get_db()[VERSIONS].update_one(CURRENT, {"$set": {"version": number}})
    get_db()[VERSIONS].update_one(CURRENT, {"$set": {"version": len(MIGRATIONS)}})


class TestMigrations:
    @pytest.mark.parametrize(("stored", "due"), [(0, 0), (-2, 2), (1, 0)])
    def test_those_that_are_due_are_counted(self, version, stored, due):
        version(len(MIGRATIONS) + stored)
        assert samples(StoredGauges(4))[MIGRATIONS_DUE,] == due


class TestOldHashes:
    def test_hashes_are_counted_by_rounds_and_kind(self, documents):
        for number, rounds in enumerate((4, 4, 5, 6, 10)):
            store_user(
                f"user{number}@example.com", hash_of_password().replace("$04$", f"${rounds:02}$")
            )
        store_user("invited@example.com", "")
        HashKind.note("phpass 13", 1)
        store_user(ADA["email"], "foreign:$P$B", foreign_kind="phpass 13")
        found = samples(StoredGauges(6))
        assert found.pop((MIGRATIONS_DUE,)) == 0
        assert found == {
            (OLD_HASHES, "own", "4"): 2,
            (OLD_HASHES, "own", "5"): 1,
            (OLD_HASHES, "phpass 13", ""): 1,
        }

    def test_they_are_counted_now_and_then(self, documents, monkeypatch):
        gauges = StoredGauges(5)
        samples(gauges)
        store_user(ADA["email"], hash_of_password())
        assert samples(gauges)[OLD_HASHES, "own", "4"] == 0
        monkeypatch.setattr(stored_gauges, "COUNT_SECONDS", 0.0)
        assert samples(gauges)[OLD_HASHES, "own", "4"] == 1

    def test_login_replaces_one(self, make_app, api):
        api.app = make_app(BCRYPT_LOG_ROUNDS=4)
        api.sign_up()
        api.sign_up(**EVE)
        api.app = make_app(BCRYPT_LOG_ROUNDS=5)
        api.log_in()
        assert samples(StoredGauges(5))[OLD_HASHES, "own", "4"] == 1


def test_scrape_has_them(run):
    port = free_port()
    run(METRICS_PORT=port, BCRYPT_LOG_ROUNDS=5)
    store_user(ADA["email"], hash_of_password())
    value = scrape(port)
    assert value(MIGRATIONS_DUE) == 0
    assert value(OLD_HASHES, kind="own", cost="4") == 1


def test_away_database_leaves_them_out():
    disconnect()  # mongoengine refuses another URI than that of an earlier test
    app = Flask(__name__)
    app.config.update(MONGODB_URI="mongodb://127.0.0.1:9/x", MONGODB_TIMEOUT=1)
    initialize_db(app)
    found = samples(StoredGauges(12))
    disconnect()
    assert found == {}


def test_event_that_is_not_stored_is_counted(api, ada, monkeypatch):
    def refuse(*args, **options):
        raise OperationFailure("No space left on device", 14031)

    before = metrics.UNAVAILABLE.labels(metrics.DATABASE)._value.get()
    monkeypatch.setattr(StoredEvent, "insert", refuse)
    assert api.log_in().status_code == 200
    assert metrics.UNAVAILABLE.labels(metrics.DATABASE)._value.get() == before + 1
