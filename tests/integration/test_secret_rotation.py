"""The keys of stored secrets: their rotation at the shell, and the start with one missing."""

import signal
import subprocess
import sys

import pytest

from app import create_app
from database import stored_secrets
from database.models import User
from infra.secret_box import decrypt, encrypt, key_id
from services import secret_service
from setting_sources import SettingsError
from tests.support.processes import HOME, environment
from tests.support.settings import SECRETS_KEY
from tests.support.tokens import KEY, OTHER_KEY

OLD, NEW = KEY, OTHER_KEY
SECRET = "JBSWY3DPEHPK3PXP"
# Rotates, and kills itself after so many writes.
SCRIPT = """
import os, signal, sys
from flask import Flask
from pymongo import monitoring
from config import load_settings
from database import stored_secrets
from database.startup import open_database
from services import secret_service

class Failpoint(monitoring.CommandListener):
    left = int(sys.argv[1])
    def started(self, event): pass
    def failed(self, event): pass
    def succeeded(self, event):
        if event.command_name == "update":
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

stored_secrets.BATCH_SIZE = 2
app = Flask("rotation")
app.config.update(load_settings())
monitoring.register(Failpoint())
open_database(app)
secret_service.encrypt_again(app.config["SECRETS_KEYS"])
"""


def enrolled_factors(number, secret):
    totp = {"secret": secret, "step": number, "version": 0, "created_at": 1.0}
    return {"totp": totp, "recovery_codes": {"a": 1.0}}


def enrol(number, key):
    """Store a user whose second factor is encrypted under a key."""
    factors = enrolled_factors(number, encrypt(f"{SECRET}{number}", [key]))
    User(email=f"{number}@example.com", password="-", factors=factors).save()


def secrets_of(*keys):
    """Return the secrets of all users in the clear."""
    totps = [user.factors["totp"] for user in User.objects.order_by("email")]
    return [decrypt(totp["secret"], keys) for totp in totps]


def key_ids():
    return {user.factors["totp"]["secret"]["key"] for user in User.objects}


@pytest.fixture
def run_rotation(make_app):
    """Return a function that runs the command with keys."""

    def run(*keys, words=()):
        app = make_app(SECRETS_KEY=",".join(keys))
        return app.test_cli_runner().invoke(args=["secret", "rotate", *words])

    return run


@pytest.fixture
def shell(settings):
    """Return a function that runs a command in a process of its own."""

    def run(words, **changed):
        command = [sys.executable, "-m", "flask", "--app", "app", *words.split()]
        env = environment(**settings | changed)
        return subprocess.run(command, cwd=HOME, env=env, capture_output=True, text=True)

    return run


@pytest.fixture
def three(documents):
    """Store three users under the old key; return their secrets."""
    for number in range(3):
        enrol(number, OLD)
    return [f"{SECRET}{number}" for number in range(3)]


class TestRotate:
    def test_every_secret_is_encrypted_under_the_first_key(self, three, run_rotation):
        enrol(3, NEW)
        User(email="password@example.com", password="-").save()
        ended = run_rotation(NEW, OLD)
        assert (ended.exit_code, ended.stdout) == (0, "3 encrypted again\n")
        User.objects(email="password@example.com").delete()
        assert secrets_of(NEW) == [*three, f"{SECRET}3"]
        assert key_ids() == {key_id(NEW)}

    def test_other_factors_stay_as_they_are(self, three, run_rotation):
        run_rotation(NEW, OLD)
        for number, user in enumerate(User.objects.order_by("email")):
            secret = user.factors["totp"]["secret"]
            assert user.factors == enrolled_factors(number, secret)

    def test_repeated_rotation_changes_nothing(self, three, run_rotation):
        run_rotation(NEW, OLD)
        stored = [user.factors for user in User.objects]
        assert run_rotation(NEW, OLD).stdout == "0 encrypted again\n"
        assert [user.factors for user in User.objects] == stored

    @pytest.mark.parametrize("keys", [[NEW], [NEW, NEW], []], ids=["one", "twice", "none"])
    def test_nothing_is_stored(self, documents, run_rotation, keys):
        assert run_rotation(*keys).stdout == "0 encrypted again\n"

    @pytest.mark.parametrize("size", [1, 2, 3])
    def test_batches_of_any_size_are_worked_through(self, three, run_rotation, monkeypatch, size):
        monkeypatch.setattr(stored_secrets, "BATCH_SIZE", size)
        assert run_rotation(NEW, OLD).stdout == "3 encrypted again\n"
        assert secrets_of(NEW) == three

    def test_secrets_of_several_old_keys_are_found(self, three, run_rotation):
        enrol(3, SECRETS_KEY)
        assert run_rotation(NEW, OLD, SECRETS_KEY).stdout == "4 encrypted again\n"
        assert key_ids() == {key_id(NEW)}

    def test_changed_secret_is_counted_and_stays(self, three, run_rotation, monkeypatch):
        monkeypatch.setattr(stored_secrets, "BATCH_SIZE", 1)
        changed = User.objects.first()
        changed.factors["totp"]["secret"]["text"] = "changed"
        changed.save()
        ended = run_rotation(NEW, OLD)
        assert (ended.exit_code, ended.stdout) == (1, "2 encrypted again\n")
        assert "1 can't be decrypted" in ended.stderr
        assert changed.reload().factors["totp"]["secret"]["key"] == key_id(OLD)

    def test_secret_that_is_replaced_meanwhile_stays(self, three):
        user = User.objects.first()
        read = stored_secrets.find_batch(key_id(OLD), [])[user.id]
        user.factors["totp"]["secret"] = replaced = encrypt("another", [OLD])
        user.save()
        changes = {user.id: (read, encrypt(SECRET, [NEW]))}
        assert stored_secrets.replace(changes) == 0
        assert user.reload().factors["totp"]["secret"] == replaced


class TestInterruption:
    def test_killed_rotation_is_completed(self, three, run_rotation, settings):
        env = environment(**settings | {"SECRETS_KEY": f"{NEW},{OLD}"})
        killed = subprocess.run([sys.executable, "-c", SCRIPT, "1"], cwd=HOME, env=env)
        assert killed.returncode == -signal.SIGKILL
        assert key_ids() == {key_id(NEW), key_id(OLD)}
        assert secrets_of(NEW, OLD) == three
        assert run_rotation(NEW, OLD).stdout == "1 encrypted again\n"
        assert secrets_of(NEW) == three


class TestMissingKey:
    MESSAGE = (
        "SECRETS_KEY: The key that encrypts the second factor of 3 users is missing: append it."
        " If it is lost: `flask --app app secret rotate --remove-lost` turns it off for them."
    )

    @pytest.mark.parametrize("keys", ["", NEW], ids=["unset", "another"])
    def test_production_does_not_start(self, three, settings, keys):
        with pytest.raises(SettingsError) as refused:
            create_app(settings | {"SECRETS_KEY": keys})
        assert self.MESSAGE in str(refused.value)

    def test_many_users_are_not_counted(self, three, settings, monkeypatch):
        monkeypatch.setattr(secret_service, "COUNTED_USERS", 2)
        with pytest.raises(SettingsError, match="of 2 users or more is missing"):
            create_app(settings | {"SECRETS_KEY": NEW})

    def test_development_does_not_start(self, three, settings):
        with pytest.raises(SettingsError, match="of 3 users is missing"):
            create_app(settings | {"APP_ENV": "development", "SECRETS_KEY": None})

    @pytest.mark.parametrize(
        "words", ["secret rotate", "db check", "db upgrade", "user list", "mail list"]
    )
    def test_command_says_the_same(self, three, shell, words):
        ended = shell(words, SECRETS_KEY=NEW)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert self.MESSAGE in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_secret_is_generated_all_the_same(self, three, shell):
        ended = shell("secret", SECRETS_KEY=NEW)
        assert (ended.returncode, len(ended.stdout)) == (0, 44)

    def test_start_after_a_rotation_needs_the_new_key_alone(self, three, run_rotation, make_app):
        run_rotation(NEW, OLD)
        make_app(SECRETS_KEY=NEW)

    def test_start_before_a_rotation_needs_both(self, three, make_app):
        make_app(SECRETS_KEY=f"{NEW},{OLD}")


class TestRemoveLost:
    def test_second_factor_of_these_users_is_turned_off(self, three, shell, make_app):
        enrol(3, NEW)
        ended = shell("secret rotate --remove-lost", SECRETS_KEY=NEW)
        assert (ended.returncode, ended.stdout) == (0, "3 turned off\n0 encrypted again\n")
        *without, other = User.objects.order_by("email")
        assert [user.factors for user in without] == [{"totp": {}, "recovery_codes": {}}] * 3
        assert decrypt(other.factors["totp"]["secret"], [NEW]) == f"{SECRET}3"
        make_app(SECRETS_KEY=NEW)

    def test_nothing_is_turned_off_if_no_key_is_missing(self, three, run_rotation):
        ended = run_rotation(NEW, OLD, words=["--remove-lost"])
        assert ended.stdout == "0 turned off\n3 encrypted again\n"
        assert secrets_of(NEW) == three
