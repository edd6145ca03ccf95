"""Many logins hold up no other request, however long their hashes take.

How much each slows the other down is a figure of the machine: `make bench` measures it.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.support.processes import GunicornServer, Server

pytestmark = [pytest.mark.slow, pytest.mark.alone]

LOGINS = 50
# A hash takes two seconds of a core, in which hundreds of lists are served.
ROUNDS = 15
LISTS = 20


@pytest.fixture(params=[Server, GunicornServer], ids=["run.py", "gunicorn"])
def server(request, database, documents, tmp_path):
    """Serve with slow hashes and without limits."""
    settings = {"MONGODB_URI": database, "BCRYPT_LOG_ROUNDS": ROUNDS, "RATELIMIT_ENABLED": False}
    server = request.param(tmp_path, **settings)
    yield server
    server.kill()


def log_in(server):
    fields = {"email": "unknown@example.com", "password": "a wrong one"}
    return requests.post(f"{server.url}/api/auth/login", json=fields, timeout=60).status_code


def test_requests_without_a_hash_wait_for_none(server):
    with ThreadPoolExecutor(LOGINS) as pool:
        logins, lists = [pool.submit(log_in, server) for _ in range(LOGINS)], 0
        while not any(login.done() for login in logins):
            assert requests.get(f"{server.url}/api/movies", timeout=60).status_code == 200
            lists += 1
    assert lists > LISTS
    # More than can be queued are refused, unless the machine has many cores.
    assert {401} <= {login.result() for login in logins} <= {401, 503}
