"""`flask --app app user import|export`: users of other systems, and back."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from datetime import datetime
from urllib.parse import urlsplit

import pytest
from mongoengine.connection import get_db
from pymongo import MongoClient

from commands.line_import import MAX_LINE_BYTES
from database.emails import ReservedEmail
from database.hash_kinds import HashKind
from database.models import ADMIN, User
from infra.password_hashing import FOREIGN
from services import expiry_service, user_import_service
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.hashes import (
    FIREBASE_HASH,
    FIREBASE_KEY,
    FIREBASE_SALT,
    REAL_HASHES,
    ComputedUnits,
)
from tests.support.processes import HOME, environment
from tests.support.shell import output
from tests.support.users import create_user

# The command, which is killed after it has stored so many batches.
KILLED_FLASK = """
import os, runpy, signal, sys
from pymongo import monitoring

class Failpoint(monitoring.CommandListener):
    left, inserts = int(sys.argv.pop(1)), set()
    def started(self, event):
        if event.command.get("insert") == "user":
            self.inserts.add(event.request_id)
    def succeeded(self, event):
        self.left -= event.request_id in self.inserts
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    failed = succeeded

monitoring.register(Failpoint())
runpy.run_module("flask", run_name="__main__")
"""
FLASK = [sys.executable, "-m", "flask", "--app", "app"]
PBKDF2 = "pbkdf2_sha256$1000$salt$" + "A" * 43 + "="
KINDS = ("pbkdf2 of Werkzeug", "scrypt of Werkzeug", "phpass of phpBB", "bcrypt of Java")
EMAIL = {"email": ADA["email"]}
# All but the first are refused.
LINES = (
    EMAIL | {"email": "good@example.com"},
    "no json",
    "[" * 100_000,
    "[]",
    {"name": "No email"},
    EMAIL | {"emial": "x"},
    EMAIL | {"password": "x"},
    EMAIL | {"hash": "md5$x"},
    EMAIL | {"hash": 5},
    EMAIL | {"hash": "$2b$15$" + "." * 53},
    EMAIL | {"hash": PBKDF2.replace("1000", "1000001")},
    EMAIL | {"hash": "pbkdf2_sha256$1$\ud800$AAAA"},
    EMAIL | {"hash": "movie-bag:" + "z" * 60},
    EMAIL | {"hash": "movie-bag:$2b$05$" + "." * 53},
    EMAIL | {"hash": PBKDF2, "salt": "QQ=="},
    EMAIL | {"created_at": "2999-01-01"},
    EMAIL | {"created_at": "yesterday"},
    EMAIL | {"verified": "yes"},
    EMAIL | {"role": "root"},
    EMAIL | {"name": "<b>"},
    EMAIL | {"name": "\x1b[2J"},
    EMAIL | {"\x1b[2J": 1},
)


@pytest.fixture
def import_lines(shell, tmp_path):
    """Return a function that imports lines, texts or objects, and returns the ended command."""

    def run(*lines, options=()):
        path = tmp_path / "users.jsonl"
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_text("\n".join(texts))
        return shell("user", "import", str(path), *options)

    return run


def reasons(ended):
    """Return the reason of each line that was refused, by number."""
    lines = [line for line in ended.stderr.splitlines() if line.startswith("line ")]
    pairs = [line.removeprefix("line ").split(": ", 1) for line in lines]
    return {int(number): reason for number, reason in pairs}


class TestImport:
    def test_all_fields_of_a_line_are_stored(self, api, import_lines):
        line = {
            "email": " Ada@Bücher.example",
            "name": "Ada Lovelace",
            "hash": PBKDF2,
            "verified": True,
            "created_at": "2019-07-01T12:00:00+02:00",
            "locale": "pt-BR",
            "role": ADMIN,
            "disabled": False,
        }
        ended = import_lines(line)
        assert ended.stdout.startswith("1 added, 0 skipped, 0 invalid\n")
        user = User.objects.get()
        assert (user.email, user.name) == ("ada@xn--bcher-kva.example", "Ada Lovelace")
        assert user.password == FOREIGN + PBKDF2
        assert user.created_at == 1561975200
        assert (user.locale, user.role, user.is_verified) == ("pt_BR", ADMIN, True)
        assert user.name_keys == ["ada lovelace", "lovelace"]
        assert not user.is_disabled
        assert not user.has_totp

    def test_email_alone_is_enough_and_a_link_sets_the_password(self, api, import_lines, mails):
        output(import_lines({"email": ADA["email"]}))
        user = User.objects.get()
        assert (user.is_verified, user.role, user.password) == (False, "user", "")
        assert abs(user.created_at - time.time()) < 60
        assert api.log_in().status_code == api.log_in(password="-").status_code == 401
        api.forgot()
        assert [mail["To"] for mail in mails()] == [ADA["email"]]

    def test_disabled_user_stays_disabled(self, api, import_lines):
        password, text = REAL_HASHES["bcrypt of Java"]
        output(import_lines({"email": ADA["email"], "hash": text, "disabled": True}))
        assert api.log_in(password=password).json()["error"] == "AccountDisabledError"
        assert api.log_in(password="wrong").json()["error"] == "UnauthorizedError"

    def test_existing_users_stay_as_they_are(self, api, ada, import_lines):
        before = User.objects.get().to_mongo()
        line = {"email": ADA["email"].upper(), "hash": PBKDF2, "role": ADMIN, "name": "Other"}
        assert import_lines(line, line).stdout.startswith("0 added, 2 skipped, 0 invalid\n")
        assert User.objects.get().to_mongo() == before
        assert api.verify(ada["token"]).status_code == 200

    def test_reserved_email_is_not_given_away(self, import_lines):
        owner = create_user(EVE["email"])
        until = time.time() + 60
        ReservedEmail(email=ADA["email"], user_id=str(owner.id), until=until).save()
        assert import_lines({"email": ADA["email"]}).stdout == "0 added, 1 skipped, 0 invalid\n"
        ReservedEmail.objects.update(until=time.time() - 60)
        assert import_lines({"email": ADA["email"]}).stdout == "1 added, 0 skipped, 0 invalid\n"

    def test_email_that_is_reserved_meanwhile_is_withdrawn(self, import_lines, monkeypatch):
        insert = user_import_service.user_import.insert_missing

        def insert_and_reserve(*given):
            inserted = insert(*given)
            ReservedEmail(email=ADA["email"], user_id="0" * 24, until=time.time() + 60).save()
            return inserted

        monkeypatch.setattr(user_import_service.user_import, "insert_missing", insert_and_reserve)
        lines = {"email": ADA["email"]}, {"email": EVE["email"]}
        assert import_lines(*lines).stdout == "1 added, 1 skipped, 0 invalid\n"
        assert [user.email for user in User.objects] == [EVE["email"]]

    def test_refused_lines_are_named_and_others_stored(self, import_lines):
        ended = import_lines(*LINES)
        assert ended.stdout == "1 added, 0 skipped, 21 invalid\n"
        found = reasons(ended)
        assert [*found] == [*range(2, 23)]
        assert found[5] == "email: Missing data for required field."
        assert found[6] == "emial: Unknown field."
        assert found[8] == "hash: Not a hash of a known kind."
        assert found[10] == found[11] == "hash: The hash costs too much to verify."
        assert "more rounds than BCRYPT_LOG_ROUNDS" in found[14]
        assert found[22] == r"'\x1b[2J: Unknown field.'"
        assert [user.email for user in User.objects] == ["good@example.com"]
        assert HashKind.costs() == {}

    def test_long_line_is_not_read_as_a_whole(self, import_lines):
        long = '{"email":"%s"}' % ("a" * 3 * MAX_LINE_BYTES)
        ended = import_lines(long, {"email": ADA["email"]}, long)
        assert ended.stdout == "1 added, 0 skipped, 2 invalid\n"
        assert reasons(ended) == {1: "It can't be read.", 3: "It can't be read."}

    def test_import_is_recorded(self, import_lines, count_events):
        output(import_lines({"email": ADA["email"]}))
        output(import_lines({"email": ADA["email"]}))
        assert count_events("users_imported") == 1


class TestLogin:
    @pytest.mark.parametrize("name", KINDS)
    def test_first_login_replaces_the_hash(self, api, import_lines, name):
        password, text = REAL_HASHES[name]
        output(import_lines({"email": ADA["email"], "hash": text}))
        assert api.log_in(password=f"{password}x").status_code == 401
        assert User.objects.get().password == FOREIGN + text
        assert api.log_in(password=password).status_code == 200
        user = User.objects.get()
        assert user.password.startswith("$2b$04$")
        assert user.foreign_kind is None
        assert api.log_in(password=password).status_code == 200
        assert api.log_in(password=f"{password}x").status_code == 401

    def test_options_are_the_parameters_of_a_firebase_project(self, api, import_lines):
        options = ("--firebase-signer-key", FIREBASE_KEY, "--firebase-salt-separator", "Bw==")
        line = {"email": ADA["email"], "hash": FIREBASE_HASH, "salt": FIREBASE_SALT}
        ended = import_lines(line, {"email": EVE["email"], "hash": PBKDF2}, options=options)
        assert ended.stdout.startswith("1 added, 0 skipped, 1 invalid\n")
        assert reasons(ended)[2] == "hash: A salt belongs to hashes of Firebase, and only to these."
        assert api.log_in(password="user1password").status_code == 200

    @pytest.mark.parametrize("option", ["--firebase-signer-key", "--firebase-salt-separator"])
    def test_parameter_that_is_no_base64_is_refused(self, import_lines, option):
        options = {"--firebase-signer-key": FIREBASE_KEY, option: "no base64!"}
        given = [word for pair in options.items() for word in pair]
        ended = import_lines({"email": ADA["email"]}, options=given)
        assert (ended.exit_code, ended.stdout) == (2, "")
        assert "are base64" in ended.stderr

    def test_change_and_reset_of_the_password_end_a_foreign_hash(self, api, import_lines, mails):
        output(import_lines({"email": ADA["email"], "hash": PBKDF2}))
        api.forgot()
        (mail,) = mails()
        text = mail.get_body(("plain",)).get_content()
        token = text.split("/reset/")[1].split()[0]
        assert api.reset(token).status_code == 200
        assert User.objects.get().foreign_kind is None
        assert api.log_in(password=NEW_PASSWORD).status_code == 200


class TestEqualTime:
    """While foreign hashes are stored, a login computes the same for everybody."""

    def test_login_computes_the_same_for_everybody(self, api, import_lines, monkeypatch):
        create_user(EVE["email"])
        hashes = (PBKDF2, PBKDF2.replace("1000", "3000"), REAL_HASHES["phpass of phpBB"][1])
        emails = [f"u{number}@example.com" for number in range(len(hashes))]
        pairs = zip(emails, hashes, strict=True)
        ended = import_lines(*({"email": email, "hash": it} for email, it in pairs))
        assert "every login takes 0.0" in ended.stdout
        assert HashKind.costs() == {"pbkdf2_sha256": 3000, "phpass": 2049}
        units, computed = ComputedUnits(monkeypatch), {}
        for email in ("nobody@example.com", EVE["email"], *emails):
            units.clear()
            assert api.log_in(email=email, password="wrong").status_code == 401
            computed[email] = dict(units)
        expected = {"bcrypt": 16, "pbkdf2": 3000, "blocks of MD5": 2049}
        assert computed == dict.fromkeys(computed, expected)

    def test_costs_are_known_before_the_first_user_is_stored(self, import_lines, monkeypatch):
        known = []
        insert = user_import_service.user_import.insert_new

        def note_and_insert(users):
            known.append(HashKind.costs())
            return insert(users)

        monkeypatch.setattr(user_import_service.user_import, "insert_new", note_and_insert)
        output(import_lines({"email": ADA["email"], "hash": PBKDF2}))
        assert known == [{"pbkdf2_sha256": 1000}]

    def test_costs_are_gone_once_no_user_has_such_a_hash(self, app, api, import_lines):
        password, text = REAL_HASHES["bcrypt of Java"]
        lines = {"email": ADA["email"], "hash": text}, {"email": EVE["email"], "hash": PBKDF2}
        output(import_lines(*lines))
        api.log_in(password=password)
        with app.app_context():
            expiry_service.delete_expired()
        assert HashKind.costs() == {"pbkdf2_sha256": 1000}
        User.objects(email=EVE["email"]).delete()
        with app.app_context():
            expiry_service.delete_expired()
        assert HashKind.costs() == {}

    def test_ninth_kind_is_refused(self, import_lines):
        texts = [f"scrypt${2**number}$salt$8$1$AAAA" for number in range(4, 13)]
        users = [{"email": f"u{n}@example.com", "hash": it} for n, it in enumerate(texts)]
        ended = import_lines(*users)
        assert ended.stdout.startswith("8 added, 0 skipped, 1 invalid\n")
        assert reasons(ended) == {9: "hash: There are 8 kinds of hashes already."}
        assert import_lines(users[0]).stdout.startswith("0 added, 1 skipped")


class TestInterruption:
    def test_killed_import_is_run_again(self, import_lines, settings, tmp_path):
        lines = [
            {"email": f"u{number}@example.com", "hash": PBKDF2, "created_at": "2020-01-01"}
            for number in range(600)
        ]
        assert import_lines(*lines).stdout.startswith("600 added, ")
        uninterrupted = self.stored()
        User.objects.delete()
        HashKind.objects.delete()
        command = [sys.executable, "-c", KILLED_FLASK, "1", "--app", "app", "user", "import"]
        variables = environment(**settings)
        killed = subprocess.run([*command, tmp_path / "users.jsonl"], cwd=HOME, env=variables)
        assert killed.returncode == -signal.SIGKILL
        assert User.objects.count() == 500
        assert HashKind.costs() == {"pbkdf2_sha256": 1000}
        assert import_lines(*lines).stdout.startswith("100 added, 500 skipped, 0 invalid\n")
        assert self.stored() == uninterrupted

    @staticmethod
    def stored():
        return [*get_db()["user"].find({}, {"_id": False}).sort("email")]

    def test_pipe_is_refused_because_it_is_read_twice(self, shell, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        ended = shell("user", "import", str(tmp_path / "pipe"))
        assert (ended.exit_code, ended.stdout) == (2, "")
        assert "Must be a file that can be read twice." in ended.stderr


class TestExport:
    @pytest.fixture
    def other_flask(self, database, settings):
        """Return a function that runs a command on another database; returns what it prints."""
        uri = urlsplit(database)._replace(path=f"/other-{secrets.token_hex(4)}").geturl()

        def run(*words):
            variables = environment(**settings | {"MONGODB_URI": uri})
            return output(
                subprocess.run(
                    [*FLASK, *words], cwd=HOME, env=variables, capture_output=True, text=True
                )
            )

        yield run
        with MongoClient(uri) as client:
            client.drop_database(client.get_default_database().name)

    @pytest.fixture
    def users(self, factor, import_lines):
        """Store users of every kind: with factors, with a foreign hash, invited."""
        imported = {"email": EVE["email"], "hash": PBKDF2, "disabled": True, "name": "Eve Ö"}
        output(import_lines(imported | {"created_at": "2020-01-01T00:00:00Z", "locale": "de"}))
        User(
            email="zoe@example.com", password="", role=ADMIN, invited_at=1.7e9, created_at=1.7e9
        ).save()

    def test_export_is_imported_as_it_is(self, shell, users, other_flask, tmp_path):
        exported = output(shell("user", "export"))
        (tmp_path / "exported").write_text(exported)
        printed = other_flask("user", "import", str(tmp_path / "exported"))
        assert printed.startswith("3 added, 0 skipped, 0 invalid")
        assert other_flask("user", "export") == exported

    def test_line_has_what_an_import_takes_and_nothing_else(self, shell, users):
        ada, eve, zoe = map(json.loads, output(shell("user", "export")).splitlines())
        created_at = ada.pop("created_at")
        assert datetime.fromisoformat(created_at).timestamp() == int(
            User.objects.get(email=ADA["email"]).created_at
        )
        stored = User.objects.get(email=ADA["email"]).password
        common = {"verified": True, "role": "user", "disabled": False, "invited": False}
        assert ada == {
            "email": ADA["email"],
            "locale": "en",
            "hash": f"movie-bag:{stored}",
            **common,
        }
        assert eve == {
            **{"email": EVE["email"], "name": "Eve Ö", "locale": "de", "hash": PBKDF2},
            **{"created_at": "2020-01-01T00:00:00Z"},
            **{"verified": False, "role": "user", "disabled": True, "invited": False},
        }
        assert zoe.keys() == {"email", "created_at", "verified", "role", "disabled", "invited"}
        assert zoe["invited"]

    def test_export_is_recorded(self, shell, count_events):
        output(shell("user", "export"))
        assert count_events("users_exported") == 1
