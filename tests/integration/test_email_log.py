"""email.log when it can't be written: no part of an email stays, and it is written later."""

import resource
import sys

import pytest

from database.models import Job
from jobs.backoff import MAX_DELAY_SECONDS
from jobs.queue import SEND_DELAY
from tests.support.client import ADA
from tests.support.concurrency import wait_until

FULL_AT = 20_300
LINE = f"{'x' * 79}\n"
SUBJECT = "\nSubject: "


@pytest.mark.skipif(sys.platform != "linux", reason="limits another process")
class TestFullDisk:
    @pytest.fixture
    def server(self, run):
        """Start `run.py`; there is a user, and many emails were written before."""
        server = run(EMAIL_VERIFICATION="off")
        assert server.post("/api/auth/signup", **ADA).status_code == 200
        (server.data_dir / "email.log").write_text(LINE * 250)
        return server

    def limit(self, server, size):
        """Let the files of the server grow to so many bytes, as a disk of that size does."""
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def warnings(self, server):
        return [line for line in server.log.read_text().splitlines() if " Job " in line]

    def test_email_is_written_as_a_whole_when_there_is_room(self, server):
        email_log = server.data_dir / "email.log"
        self.limit(server, FULL_AT)
        assert server.post("/api/auth/forgot", email=ADA["email"]).status_code == 200
        (warning,) = wait_until(lambda: self.warnings(server))
        assert "File too large" in warning
        assert "; next attempt in " in warning
        assert ADA["email"] not in warning
        assert "Traceback" not in server.log.read_text()
        assert email_log.read_text() == LINE * 250
        self.limit(server, resource.RLIM_INFINITY)
        wait_until(lambda: email_log.read_text().rpartition(LINE)[2].count(SUBJECT) == 1)
        assert len(self.warnings(server)) == 1


class TestMissingFolder:
    def test_email_is_written_when_it_is_back(
        self, make_app, http, documents, clock, caplog, tmp_path
    ):
        http.app = app = make_app(APP_ENV="development", MAIL_SERVER=None)
        worker = app.extensions["worker"]
        http.sign_up()
        worker.stop()
        worker._stopping.clear()
        data_dir, away = tmp_path / "data", tmp_path / "away"
        data_dir.rename(away)
        with app.app_context():
            http.forgot()
            clock.shift(SEND_DELAY)
            worker.run_due_jobs()
            assert "FileNotFoundError" in Job.objects.get().last_error
            away.rename(data_dir)
            clock.shift(MAX_DELAY_SECONDS)
            worker.run_due_jobs()
        assert Job.objects.first() is None
        assert (data_dir / "email.log").read_text().count(SUBJECT) == 1
        (warning,) = [line for line in caplog.messages if line.startswith("Job ")]
        assert "FileNotFoundError" in warning
        assert "; next attempt in " in warning
        assert ADA["email"] not in warning
        assert not any(record.exc_info for record in caplog.records)
