"""`flask --app app check`: each check passes and fails, and the exit status says so."""

import subprocess
import sys

import pytest
from mongoengine.connection import get_db

from database import db
from database.documents import DOCUMENTS
from database.migrations import VERSIONS
from database.passkeys import Challenge
from services import expiry_service
from services.check_service import CHECKS
from tests.support.client import ADA
from tests.support.processes import HOME, environment, free_port
from tests.support.settings import SECRETS_KEY
from tests.support.tokens import KEY, OTHER_KEY
from tests.support.users import create_user

COMMAND = [sys.executable, "-m", "flask", "--app", "app", "check"]
CLOSED_PORT = free_port()
PASSWORD = "hush-of-the-mail-server"


@pytest.fixture
def run(make_app):
    """Return a function that runs the checks with other settings; returns the lines by check."""
    for document in DOCUMENTS:
        document.ensure_indexes()

    def check(status, change=lambda config: None, **changed):
        app = make_app(**{"RATELIMIT_ENABLED": True} | changed)
        change(app.config)
        ended = app.test_cli_runner().invoke(args=["check"])
        assert ended.exit_code == status, ended.output
        lines = [line.split(maxsplit=1) for line in ended.stdout.splitlines()]
        found = {text.partition(": ")[0]: (word, text) for word, text in lines}
        assert found.keys() == CHECKS.keys()
        for secret in (KEY, OTHER_KEY, SECRETS_KEY, PASSWORD, "abc"):
            assert secret not in ended.stdout + ended.stderr
        return found

    return check


@pytest.fixture
def outdated(documents):
    """Return a function that stores that documents are of an earlier version."""
    yield lambda _: get_db()[VERSIONS].update_one({}, {"$set": {"version": 2}})
    get_db()[VERSIONS].drop()


class TestCheck:
    def test_every_check_passes_with_a_line_each(self, run):
        found = run(0)
        assert {word for word, _ in found.values()} == {"ok"}
        assert found["settings"][1] == "settings: APP_ENV is production"
        assert found["mail"][1] == "mail: connected and logged in"
        assert found["limits"][1] == "limits: of this process"

    def test_misspelt_setting_is_named(self, run, monkeypatch):
        monkeypatch.setenv("MAIL_SERVR", PASSWORD)
        reason = "There is no setting MAIL_SERVR: MAIL_SERVER is meant?"
        self.assert_fails(run(1), "settings", reason)

    @pytest.mark.parametrize(
        ("name", "keys", "reason"),
        [
            ("JWT_SECRET_KEY", ["abc"], "JWT_SECRET_KEY: Needs at least 32 bytes in production."),
            ("JWT_SECRET_KEY", [KEY, "password" * 8], "JWT_SECRET_KEY: Key 2 can be guessed"),
            ("SECRETS_KEY", ["password" * 8], "SECRETS_KEY: Key 1 can be guessed"),
        ],
        ids=["short", "second", "of secrets"],
    )
    def test_key_that_can_be_guessed_is_named(self, run, name, keys, reason):
        found = run(1, lambda config: config.update({f"{name}S": keys}))
        self.assert_fails(found, "keys", reason)

    def test_missing_key_of_a_stored_secret_is_counted(self, run):
        secret = {"key": "of another key", "text": "-"}

        def store_secret(_):
            create_user(ADA["email"]).modify(set__factors__totp={"step": 0, "secret": secret})

        reason = "SECRETS_KEY: The key that encrypts the second factor of 1 user"
        self.assert_fails(run(1, store_secret), "keys", reason)

    def test_missing_index_is_named(self, run):
        get_db()["challenge"].drop_index("expires_at_1")
        found = run(1)
        Challenge.ensure_indexes()
        self.assert_fails(found, "indexes", "missing, so run")
        assert found["indexes"][1].endswith(": challenge (expires_at)")

    def test_collection_that_does_not_exist_lacks_no_index(self, run):
        get_db()["challenge"].drop()
        found = run(0)
        Challenge.ensure_indexes()
        assert found["indexes"] == ("ok", "indexes: complete")

    def test_sweep_of_a_new_database_lacks_no_index(self, run, app, monkeypatch):
        monkeypatch.setattr(db, "_indexed", set())
        for name in ("challenge", "stored_event"):
            get_db()[name].drop()
        with app.app_context():
            expiry_service.delete_expired()
        assert run(0)["indexes"] == ("ok", "indexes: complete")

    def test_due_upgrade_is_named_with_its_command(self, run, outdated):
        found = run(1, outdated)
        self.assert_fails(found, "migrations", "an upgrade is due: flask --app app db upgrade")

    @pytest.mark.parametrize(("seconds", "status"), [(9, 0), (19, 1), (-11, 1)])
    def test_clocks_may_differ_by_the_leeway(self, run, clock, seconds, status):
        clock.shift(seconds)
        found = run(status, JWT_LEEWAY=10)
        if status:
            self.assert_fails(
                found, "clock", f"that of the database is {'-' if seconds > 0 else '+'}1"
            )

    @pytest.mark.parametrize(
        ("changed", "reason"),
        [
            ({"RATELIMIT_ENABLED": False}, "RATELIMIT_ENABLED is off"),
            (
                {"RATELIMIT_STORAGE_URI": f"redis://:{PASSWORD}@127.0.0.1:{CLOSED_PORT}"},
                "RATELIMIT_STORAGE_URI does not answer",
            ),
        ],
        ids=["off", "away"],
    )
    def test_limits_that_do_not_count_are_named(self, run, changed, reason):
        self.assert_fails(run(1, **changed), "limits", reason)

    @pytest.mark.parametrize(
        ("changed", "reason"),
        [
            ({"MAIL_PORT": CLOSED_PORT}, "ConnectionRefusedError"),
            (
                {"MAIL_USERNAME": "ada", "MAIL_PASSWORD": PASSWORD},
                "LoginError",
            ),
            ({"MAIL_USE_TLS": True}, "SSLCertVerificationError"),
        ],
        ids=["away", "login", "TLS"],
    )
    def test_mail_server_that_refuses_is_named(self, run, mailbox, changed, reason):
        mailbox.replies["AUTH"] = "535 no"
        found = run(1, **changed)
        self.assert_fails(found, "mail", f"the mail server refuses a connection: {reason}")

    @pytest.mark.embedded
    def test_check_creates_no_database(self, tmp_path):
        variables = environment(DATA_DIR=tmp_path / "data") | {"FLASK_SKIP_DOTENV": "1"}
        ended = subprocess.run(COMMAND, cwd=HOME, env=variables, capture_output=True, text=True)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert f"Error: There is no database in {tmp_path}/data yet" in ended.stderr
        assert not (tmp_path / "data").exists()

    def test_database_that_is_away_fails_and_others_go_on(self, settings):
        uri = f"mongodb://ada:{PASSWORD}@127.0.0.1:{CLOSED_PORT}/movie-bag"
        changed = {"MONGODB_URI": uri, "MONGODB_TIMEOUT": 1, "RATELIMIT_ENABLED": True}
        ended = subprocess.run(
            COMMAND, cwd=HOME, env=environment(**settings | changed), capture_output=True, text=True
        )
        words = {line.split()[1][:-1]: line.split()[0] for line in ended.stdout.splitlines()}
        of_database = {"keys", "database", "indexes", "migrations", "clock"}
        assert words == {it: "FAILED" if it in of_database else "ok" for it in CHECKS}
        assert ended.returncode == 1
        assert PASSWORD not in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr

    @staticmethod
    def assert_fails(found, name, beginning):
        """Assert that one check failed, and why."""
        assert [it for it, (word, _) in found.items() if word == "FAILED"] == [name]
        assert found[name][1].startswith(f"{name}: {beginning}")
