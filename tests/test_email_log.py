"""email.log when it can't be written: the mail waits, no part of it stays, it goes out later."""

import resource
import sys

import pytest

from tests.conftest import ADA, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits another process")
FULL_AT = 20_300
LINE = f"{'x' * 79}\n"


def limit(server, size):
    """Let the server's files grow to so many bytes, as a disk of that size does."""
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def complaints(server):
    return [line for line in server.log.read_text().splitlines() if " Mail " in line]


@pytest.fixture
def server(run):
    """Start `run.py`; there is a user, and many mails were written before."""
    server = run()
    assert server.post("/api/auth/signup", **ADA).status_code == 200
    (server.data_dir / "email.log").write_text(LINE * 250)
    return server


def forgets(server):
    assert server.post("/api/auth/forgot", email=ADA["email"]).status_code == 200
    (line,) = wait_until(lambda: complaints(server))
    assert "; again in " in line
    assert ADA["email"] not in line
    assert "Traceback" not in server.log.read_text()
    return line


def mails_of(server):
    before, _, mails = (server.data_dir / "email.log").read_text().rpartition(LINE)
    return mails.count("Subject: Reset your Movie-bag password\n")


def test_on_a_full_disk_a_mail_waits_and_leaves_no_part_of_it_behind(server):
    limit(server, FULL_AT)
    assert "File too large" in forgets(server)
    assert (server.data_dir / "email.log").read_text() == LINE * 250
    limit(server, resource.RLIM_INFINITY)
    wait_until(lambda: mails_of(server) == 1)
    assert len(complaints(server)) == 1


def test_a_mail_waits_while_there_is_no_data_dir(server):
    away = server.data_dir.with_name("away")
    server.data_dir.rename(away)
    assert "FileNotFoundError" in forgets(server)
    away.rename(server.data_dir)
    wait_until(lambda: mails_of(server) == 1)
    assert len(complaints(server)) == 1
