"""The version before goes on while `flask db upgrade` runs, and beside the new version."""

import threading
import time
from itertools import count

import pytest
from bson import ObjectId
from mongoengine.connection import get_db

from database import users
from database.migrations import CURRENT, MIGRATIONS, VERSIONS, stored_version, upgrade
from database.models import User
from services import session_sweep
from tests.support.client import ADA
from tests.support.concurrency import wait_until
from tests.support.old_documents import old_user

USERS = 1200
WRITES = 20
EXPIRED = {"generation": 0, "created_at": 0.0, "last_used_at": 0.0, "user_agent": "curl"}


def session():
    """Return a session as version 2 stored one."""
    now = time.time()
    times = {"created_at": now, "last_used_at": now, "auth_time": int(now)}
    return {**EXPIRED, **times, "amr": ["pwd"]}


def user_of_before(number, **fields):
    return {**old_user(), "email": f"user{number}@example.com", "name": f"User N{number}", **fields}


class EarlierVersion(threading.Thread):
    """What a process of version 2 stores: users who sign up, and log in."""

    def __init__(self, collection):
        super().__init__(daemon=True)
        self._collection = collection
        self._stopping = threading.Event()
        self.signed_up, self.sessions = [], {}

    def run(self):
        for number in count(USERS):
            if self._stopping.is_set():
                return
            user = user_of_before(number)
            self._collection.insert_one(user)
            self.signed_up.append(user["email"])
            self._log_in(f"user{number % USERS}@example.com")

    def _log_in(self, email):
        session_id = str(ObjectId())
        update = {"$set": {f"sessions.{session_id}": session()}, "$inc": {"logins": 1}}
        assert self._collection.update_one({"email": email}, update).modified_count == 1
        self.sessions[session_id] = email

    def stop(self):
        self._stopping.set()
        self.join()


@pytest.fixture
def before(documents):
    """Store users as version 2 did, each with an expired session; return their collection."""
    User.ensure_indexes()
    collection = get_db()["user"]
    sessions = {"sessions": {"0" * 24: EXPIRED}}
    collection.insert_many([user_of_before(number, **sessions) for number in range(USERS)])
    get_db()[VERSIONS].update_one(CURRENT, {"$set": {"version": 2}})
    yield collection
    get_db()[VERSIONS].update_one(CURRENT, {"$set": {"version": len(MIGRATIONS)}})


@pytest.fixture
def beside(before):
    """Upgrade while the earlier version stores users and sessions, and let it go on for a while."""
    earlier = EarlierVersion(before)
    earlier.start()
    wait_until(lambda: earlier.signed_up)
    upgrade()
    upgraded = len(earlier.signed_up)
    wait_until(lambda: len(earlier.signed_up) > upgraded + WRITES)
    earlier.stop()
    return earlier


@pytest.mark.slow
def test_nothing_is_lost_and_both_serve(beside, before, make_app, api):
    assert stored_version() == len(MIGRATIONS)
    assert before.count_documents({}) == USERS + len(beside.signed_up)
    for session_id, email in beside.sessions.items():
        assert before.find_one({"email": email, f"sessions.{session_id}": {"$exists": True}})
    found = users.find_page({"q": "n17"}, 1000, None)
    assert {user.email for user in found} >= {f"user{n}@example.com" for n in (17, 170, 179)}
    api.app = make_app()
    for email in (beside.signed_up[0], beside.signed_up[-1]):
        assert api.log_in(email=email).status_code == 200
    with api.app.app_context():
        session_sweep.delete_expired()
    assert before.find_one({f"sessions.{'0' * 24}": {"$exists": True}}) is None
    assert len(beside.sessions) <= sum(len(user["sessions"]) for user in before.find())


def test_earlier_version_ignores_what_is_added(before):
    before.insert_one(user_of_before(-1, email=ADA["email"]))
    upgrade()
    added = before.find_one({"email": ADA["email"]})
    assert added.keys() - user_of_before(-1).keys() == {"_id", "name_keys"}
