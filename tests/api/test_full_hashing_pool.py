"""While the hashing pool is full: 503 at once for what needs a hash, service for all else."""

import pytest

from infra import password_hashing
from tests.support.assertions import assert_error
from tests.support.client import ADA, NEW_PASSWORD
from tests.support.full_pool import MAX_SECONDS, fill_pool

CURRENT = {"current_password": ADA["password"]}


@pytest.fixture
def fill(monkeypatch):
    """Return fill_pool; a request that waited for the pool would find it full for minutes."""
    monkeypatch.setattr(password_hashing, "WAIT_SECONDS", 10 * MAX_SECONDS)
    filled = []

    def fill():
        filled.append(fill_pool())
        return filled[-1]

    yield fill
    for tasks in filled:
        tasks.release()


class TestFullHashingPool:
    def test_request_that_needs_a_hash_is_refused_at_once(self, api, ada, mailed_token, fill):
        user_id = api.verify(ada["token"]).json()["id"]
        tasks = fill()
        change = CURRENT | {"password": NEW_PASSWORD}
        responses = [
            api.log_in(),
            api.log_in(email="eve@example.com"),
            api.sign_up(email="eve@example.com"),
            api.reset(mailed_token),
            api.put("/api/auth/password", json=change, token=ada["token"]),
            api.delete("/api/users/me", json=CURRENT, token=ada["token"]),
            api.delete(f"/api/users/{user_id}", json=CURRENT, token=ada["token"]),
        ]
        # No place became free meanwhile: nobody waited for one.
        assert len(tasks.begun) == password_hashing.CORES
        for response in responses:
            assert_error(response, 503, "ServiceUnavailableError")
            assert int(response.headers["Retry-After"]) >= 1
        tasks.release()
        assert api.verify(ada["token"]).status_code == 200
        assert api.log_in().status_code == 200
        assert api.reset(mailed_token).status_code == 200

    def test_request_without_a_hash_is_served(self, api, ada, fill):
        fill()
        assert api.get("/api/movies").status_code == 200
        assert api.forgot().status_code == 200
        assert api.refresh(ada["refresh_token"]).status_code == 200
