"""A start logs which settings are others than at the last one (OWASP ASVS 5.0, 16.3.4)."""

import hashlib

import pytest
from mongoengine.connection import get_db

from database.started_settings import COLLECTION
from infra import audit_log
from tests.support.concurrency import run_simultaneously
from tests.support.tokens import KEY

NEW_KEY = hashlib.sha256(b"another key").hexdigest()


@pytest.fixture
def starts(make_app, caplog):
    """Return a function that starts an application, and returns the lines about its settings."""
    caplog.set_level("INFO", audit_log.__name__)

    def start(**changed):
        caplog.clear()
        make_app(**changed)
        return [line for line in caplog.messages if "settings_changed" in line]

    return start


def line_of(names):
    return [f"event=settings_changed ip=shell names={names}"]


class TestStart:
    def test_first_one_changes_nothing(self, starts):
        assert starts() == []

    def test_changed_settings_are_named_once(self, starts):
        starts()
        changed = {"EVENT_DAYS": 30, "MAIL_PASSWORD": "a secret password"}
        assert starts(**changed) == line_of("EVENT_DAYS,MAIL_PASSWORD")
        assert starts(**changed) == []
        assert starts() == line_of("EVENT_DAYS,MAIL_PASSWORD")

    def test_one_of_several_processes_names_them(self, starts, make_app, caplog):
        starts()
        run_simultaneously(4, lambda _: make_app(EVENT_DAYS=30))
        assert [it for it in caplog.messages if "settings_changed" in it] == line_of("EVENT_DAYS")

    def test_what_differs_between_machines_is_no_change(self, starts, tmp_path):
        starts()
        assert starts(PORT=5001, HOST="0.0.0.0", DATA_DIR=str(tmp_path / "other")) == []

    def test_setting_of_a_new_version_is_no_change(self, starts):
        starts()
        get_db()[COLLECTION].update_one({}, {"$unset": {"digests.EVENT_DAYS": 1}})
        assert starts() == []

    @pytest.mark.parametrize("keys", [f"{NEW_KEY},{KEY}", NEW_KEY], ids=["rotated", "replaced"])
    def test_new_key_is_the_only_change(self, starts, keys):
        starts()
        assert starts(JWT_SECRET_KEY=keys) == line_of("JWT_SECRET_KEY")
        assert starts(JWT_SECRET_KEY=keys) == []

    def test_rotated_key_hides_no_other_change(self, starts):
        starts()
        changed = starts(JWT_SECRET_KEY=f"{NEW_KEY},{KEY}", EVENT_DAYS=30)
        assert changed == line_of("EVENT_DAYS,JWT_SECRET_KEY")

    def test_value_is_neither_stored_nor_logged(self, starts, caplog):
        starts()
        starts(MAIL_USERNAME="postmaster", PASSWORD_WORDS="cinema")
        stored = str(get_db()[COLLECTION].find_one())
        for text in (stored, caplog.text):
            assert "PASSWORD_WORDS" in text
            assert "postmaster" not in text
            assert "cinema" not in text

    def test_command_is_no_start(self, starts, make_app, caplog):
        starts()
        app = make_app()
        before = get_db()[COLLECTION].find_one()
        app.config["EVENT_DAYS"] = 30
        assert app.test_cli_runner().invoke(args=["user", "list"]).exit_code == 0
        assert get_db()[COLLECTION].find_one() == before
