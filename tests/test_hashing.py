"""Hashing stands in line: who hashes nothing has threads, and who can't wait is told."""

import os
import sys
import threading

import pytest

from services import hashing
from services.errors import ServiceUnavailableError
from tests.conftest import ADA, NEW_PASSWORD, wait_until
from tests.test_bad_input import refused

LINE = hashing.CORES + hashing.WAITING
# A crowd that nobody tells leaves by itself: then a test has failed.
PATIENCE = 15


class Crowd:
    """So many in the line, those who get in; they leave when they are told."""

    def __init__(self, count):
        self.go, self.begun, self.refused = threading.Event(), [], []
        self.threads = [threading.Thread(target=self._stand) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _stand(self):
        try:
            hashing.in_line(self._work)
        except ServiceUnavailableError as error:
            self.refused.append(error)

    def _work(self):
        self.begun.append(threading.current_thread())
        self.go.wait(PATIENCE)

    def leave(self):
        self.go.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def crowd():
    """Put more in the line than it holds."""
    crowd = Crowd(LINE + 5)
    try:
        wait_until(lambda: len(crowd.begun) == hashing.CORES and len(crowd.refused) == 5)
        yield crowd
    finally:
        crowd.leave()


def test_as_many_run_at_once_as_there_are_cores_and_no_more_wait_than_may(crowd):
    assert (len(crowd.begun), len(crowd.refused)) == (hashing.CORES, 5)
    crowd.leave()
    assert (len(crowd.begun), len(crowd.refused)) == (LINE, 5)


def test_while_the_line_is_full_what_hashes_is_refused_at_once(api, ada, reset_link, request):
    user_id = api.whoami(ada["token"]).json()["id"]
    crowd = request.getfixturevalue("crowd")
    current = {"current_password": ADA["password"]}
    change = current | {"password": NEW_PASSWORD}
    answers = [
        api.log_in(),
        api.log_in(email="eve@example.com"),
        api.sign_up(email="eve@example.com"),
        api.reset(reset_link),
        api.put("/api/auth/password", json=change, token=ada["token"]),
        api.delete("/api/users/me", json=current, token=ada["token"]),
        api.delete(f"/api/users/{user_id}", json=current, token=ada["token"]),
    ]
    for answer in answers:
        refused(answer, 503, "ServiceUnavailableError")
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.elapsed.total_seconds() < 1
    crowd.leave()
    assert api.whoami(ada["token"]).status_code == 200
    assert api.log_in().status_code == 200
    assert api.reset(reset_link).status_code == 200


def test_while_the_line_is_full_what_hashes_nothing_is_served(api, ada, crowd):
    assert api.get("/api/movies").status_code == 200
    assert api.forgot().status_code == 200
    assert api.refresh(ada["refresh_token"]).status_code == 200


def test_who_waited_too_long_is_refused_and_nothing_is_done_for_them(monkeypatch):
    monkeypatch.setattr(hashing, "WAIT_SECONDS", 0.05)
    busy, done = Crowd(hashing.CORES), []
    wait_until(lambda: len(busy.begun) == hashing.CORES)
    with pytest.raises(ServiceUnavailableError):
        hashing.in_line(done.append, "hashed")
    busy.leave()
    assert hashing.in_line(len, "next") == 4
    assert done == []


def test_what_fails_in_the_line_fails_for_who_asked_and_leaves_their_place():
    for _ in range(LINE + 1):
        with pytest.raises(ZeroDivisionError):
            hashing.in_line(divmod, 1, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_hashing_steps_back_behind_all_else():
    def priority():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    assert hashing.in_line(priority) == min(priority() + hashing.NICE, 19)
