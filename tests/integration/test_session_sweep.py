"""Expired sessions of users who don't log in any more are deleted by the worker."""

import time

import pytest

from database import session_sweep as stored_sweep
from database.models import User
from database.session_sweep import find_due, remove_sessions
from services import expiry_service
from tests.support.client import ADA
from tests.support.users import create_session, create_user

NOW = 1_800_000_000  # a whole number: sums of floats are not exact
IDLE = 2592000


@pytest.fixture
def clock(clock):
    """Return the stopped clock of the test, at a whole second."""
    clock.move_to(NOW)
    return clock


@pytest.fixture
def sweep(app):
    """Return a function that deletes what has expired, as the worker does."""

    def sweep():
        with app.app_context():
            expiry_service.delete_expired()

    return sweep


@pytest.fixture
def user(api, clock):
    """Return a user with one session; the time is stopped."""
    user = create_user(ADA["email"])
    create_session(api.app, user)
    return user


def sessions(user):
    """Return how many sessions a user has, and in how many seconds one may expire."""
    user.reload()
    due = user.sweep_at
    return len(user.sessions), None if due is None else round(due - time.time())


class TestSweep:
    def test_session_is_deleted_once_it_has_expired(self, user, sweep, clock):
        clock.shift(IDLE - 1)
        sweep()
        assert sessions(user) == (1, 1)
        clock.shift(1)
        sweep()
        assert sessions(user) == (0, None)

    def test_session_is_deleted_at_its_greatest_age(self, app, clock, sweep):
        app.config["JWT_SESSION_MAX_AGE"] = 1000
        user = create_user(ADA["email"])
        create_session(app, user)
        clock.shift(999)
        sweep()
        assert sessions(user) == (1, 1)
        clock.shift(1)
        sweep()
        assert sessions(user) == (0, None)

    def test_active_session_stays_and_is_looked_at_later(self, app, user, sweep, clock):
        clock.shift(IDLE - 60)
        create_session(app, user)
        clock.shift(60)
        sweep()
        assert sessions(user) == (1, IDLE - 60)

    def test_refreshed_session_is_looked_at_later(self, api, user, sweep, clock):
        pair = create_session(api.app, user)
        clock.shift(IDLE - 60)
        assert api.refresh(pair["refresh_token"]).status_code == 200
        clock.shift(60)
        sweep()
        assert sessions(user) == (1, IDLE - 60)

    def test_revoked_sessions_leave_nothing_to_look_at(self, api, user, sweep, clock):
        User.revoke_all_sessions(user.id)
        clock.shift(IDLE)
        sweep()
        assert sessions(user) == (0, None)

    def test_many_users_are_read_by_the_batch(self, app, clock, sweep, monkeypatch):
        monkeypatch.setattr(stored_sweep, "BATCH_SIZE", 2)
        users = [create_user(f"user{number}@example.com") for number in range(5)]
        for user in users:
            create_session(app, user)
        clock.shift(IDLE)
        sweep()
        assert [sessions(user) for user in users] == [(0, None)] * 5

    def test_one_sweep_is_bounded(self, app, clock, sweep, monkeypatch):
        for name in ("BATCH_SIZE", "MAX_BATCHES"):
            monkeypatch.setattr(stored_sweep, name, 2)
        for number in range(5):
            create_session(app, create_user(f"user{number}@example.com"))
        clock.shift(IDLE)
        left = []
        for _ in range(2):
            sweep()
            left.append(User.objects(sweep_at__lte=time.time()).count())
        assert left == [1, 0]


class TestRaces:
    """What happens between the read of a user and the update is not undone."""

    @pytest.fixture
    def due(self, user, clock):
        """Return the user as the sweep reads them, once the session has expired."""
        clock.shift(IDLE)
        return next(find_due())

    def test_login_meanwhile_keeps_its_session(self, app, user, due, sweep):
        create_session(app, user)
        remove_sessions(due, due["sessions"], None)
        assert sessions(user)[0] == 1
        sweep()
        assert sessions(user) == (1, IDLE)

    def test_first_login_meanwhile_is_looked_at_later(self, app, user, clock, sweep):
        User.revoke_all_sessions(user.id)
        clock.shift(IDLE)
        due = next(find_due())
        create_session(app, user)
        remove_sessions(due, [], None)
        assert sessions(user) == (1, 0)
        sweep()
        assert sessions(user) == (1, IDLE)

    def test_use_meanwhile_keeps_the_session(self, user, due):
        (session_id,) = due["sessions"]
        path = f"set__sessions__{session_id}__last_used_at"
        User.objects(id=user.id).update(**{path: time.time()})
        remove_sessions(due, due["sessions"], None)
        assert sessions(user)[0] == 1
        assert user.sweep_at is not None

    def test_deletion_meanwhile_stores_nothing(self, user, due):
        user.delete()
        remove_sessions(due, due["sessions"], None)
        assert User.objects.count() == 0
