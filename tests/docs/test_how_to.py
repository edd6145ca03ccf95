"""docs/how-to: the change of each page is applied to a copy of the repository and tested."""

import json
import re
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from textwrap import indent

import pytest
from dotenv import dotenv_values
from werkzeug.security import generate_password_hash

from config import load_settings
from database.models import User
from infra import breached_passwords
from infra.standard_webhooks import sign
from private_keys import read_private_keys
from tests.support.client import ADA
from tests.support.documentation import run_commands
from tests.support.hashes import FIREBASE_HASH, FIREBASE_KEY, FIREBASE_SALT, REAL_HASHES
from tests.support.javascript import functions
from tests.support.markdown import code_blocks
from tests.support.processes import HOME, environment
from tests.support.repository_copy import BIN, RepositoryCopy, changed_paths
from tests.support.users import create_user

FOLDER = HOME / "docs" / "how-to"
PAGES = sorted(FOLDER.glob("*.md"))
# pytest's exit status: a test failed, or a module could not be imported.
FAILED = (1, 2)
OTHER_SECRET = f"whsec_{'A' * 32}"


def blocks(page, language):
    return [block for block in code_blocks(page) if block.language == language]


def is_of_tests(block):
    """Return whether a diff changes tests alone."""
    return all(path.startswith("tests/") for path in changed_paths(block))


CHANGES = [page for page in PAGES if blocks(page, "diff")]
# Pages without a change; a test of its own runs the block of each.
OTHERS = {
    "add-a-language",
    "help-a-user",
    "front-end",
    "import-users",
    "receive-webhooks",
    "refuse-breached-passwords",
    "swap-the-database",
    "swap-the-mail-server",
    "use-cookies",  # tests/resilience/test_cookies_in_browser.py
    "trust-its-tokens",
    "write-a-client",  # tests/resilience/test_clients.py
}
EACH_CHANGE = pytest.mark.parametrize("page", CHANGES, ids=[page.stem for page in CHANGES])


@pytest.fixture
def copy(tmp_path, database):
    return RepositoryCopy(tmp_path, database)


@EACH_CHANGE
def test_tests_of_the_page_pass_with_its_change_alone(copy, page):
    diffs, (command,) = blocks(page, "diff"), blocks(page, "sh")
    tests = [block for block in diffs if is_of_tests(block)]
    product = [block for block in diffs if block not in tests]
    for block in tests:
        copy.apply(page, block)
    if product:
        status, output = copy.run(f"{command.source.strip()} -x")
        assert status in FAILED, output
    for block in product:
        copy.apply(page, block)
    status, output = copy.run(command.source)
    assert status == 0, output
    assert copy.findings(set().union(*map(changed_paths, diffs))) == []


def test_every_page_with_commands_is_run():
    languages = {page: {block.language for block in code_blocks(page)} for page in PAGES}
    with_commands = {page for page in PAGES if languages[page] & {"sh", "python", "js", "ts"}}
    assert {page.stem for page in with_commands.difference(CHANGES)} == OTHERS


def settings_of(page, number):
    """Return the settings of an `ini` block of a page, by the number of the block."""
    return dotenv_values(stream=StringIO(blocks(page, "ini")[number].source), interpolate=False)


def run_block(page, settings, replaced):
    """Run the `sh` block of a page with these settings; return its output."""
    (block,) = blocks(page, "sh")
    assert all(written in block.source for written in replaced)
    replaced = {".venv/bin": str(BIN), **replaced}
    return run_commands(block.source, replaced, environment(**settings))


def test_check_of_a_database_runs_as_written(database, documents, tmp_path):
    page, written = FOLDER / "swap-the-database.md", "mongodb://db.example.com/movie-bag"
    output = run_block(page, {"DATA_DIR": tmp_path}, {written: database})
    assert output.endswith("This database is compatible.\n")


def test_emails_go_to_the_mail_server_of_the_page(run, mailbox, smtp):
    page = FOLDER / "swap-the-mail-server.md"
    settings = settings_of(page, 0)
    assert settings == {"MAIL_SERVER": "localhost", "MAIL_PORT": "1025"}
    server = run(**settings | {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": smtp})
    server.post("/api/auth/signup", **ADA)
    server.post("/api/auth/forgot", email=ADA["email"])
    assert mailbox.wait_for(1)[0]["To"] == ADA["email"]
    assert run_block(page, server.settings, {}).endswith("0 queued again\n")


def test_service_of_the_page_is_the_example(database, documents, tmp_path):
    page = FOLDER / "trust-its-tokens.md"
    for block in blocks(page, "python"):
        text = (HOME / block.title).read_text()
        assert any(indent(block.source, blanks) in text for blanks in ("", " " * 4)), block.line
    settings = {"MONGODB_URI": database, "DATA_DIR": tmp_path}
    (path,) = re.findall(r"JWT_PRIVATE_KEYS=(.+)", run_block(page, settings, {}))
    assert [key.algorithm for key in read_private_keys(path)] == ["ES256"]


def test_user_is_helped_as_written(database, documents, tmp_path):
    user = create_user(ADA["email"])
    user.modify(set__factors__totp={"step": 0})
    run_block(FOLDER / "help-a-user.md", {"MONGODB_URI": database, "DATA_DIR": tmp_path}, {})
    assert user.reload().has_totp is False


# Users as each system writes them, whose hashes are of known passwords.
SYSTEMS = {
    "django": [
        {
            "model": "auth.user",
            "fields": {
                "email": "Ada@example.com",
                "first_name": "Ada",
                "last_name": "",
                "password": generate_password_hash("password", "pbkdf2:sha256:1000"),
                "date_joined": "2019-07-01T12:00:00.123Z",
                "is_active": True,
            },
        }
    ],
    "wordpress": [
        {
            "user_email": "ada@example.com",
            "display_name": "Ada",
            "user_pass": REAL_HASHES["phpass of WordPress"][1],
            "user_registered": "2019-07-01 12:00:00",
        }
    ],
    "firebase": {
        "users": [
            {
                "email": "ada@example.com",
                "emailVerified": True,
                "passwordHash": FIREBASE_HASH,
                "salt": FIREBASE_SALT,
                "displayName": "Ada",
                "createdAt": "1561982400000",
            }
        ]
    },
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_users_of_a_system_are_converted_and_imported(app, tmp_path, system):
    (block,) = blocks(FOLDER / "import-users.md", "python")
    (tmp_path / "convert.py").write_text(block.source)
    (tmp_path / "users.json").write_text(json.dumps(SYSTEMS[system]))
    command = [sys.executable, "convert.py", system, "users.json"]
    lines = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout
    (tmp_path / "users.jsonl").write_bytes(lines)
    options = ["--firebase-signer-key", FIREBASE_KEY] if system == "firebase" else []
    words = ["user", "import", str(tmp_path / "users.jsonl"), *options]
    ended = app.test_cli_runner().invoke(args=words)
    assert ended.stdout.startswith("1 added, 0 skipped, 0 invalid"), ended.stderr
    user = User.objects.get()
    assert (user.email, user.name, int(user.created_at)) == (ADA["email"], "Ada", 1561982400)
    assert user.is_verified == (system == "firebase")


def test_import_of_the_page_runs_and_what_is_left_is_counted(database, documents, tmp_path):
    page = FOLDER / "import-users.md"
    (example,), (command, count) = blocks(page, "json"), blocks(page, "sh")
    (tmp_path / "users.jsonl").write_text(example.source)
    env = environment(MONGODB_URI=database, DATA_DIR=tmp_path)
    replaced = {".venv/bin": str(BIN), "users.jsonl": str(tmp_path / "users.jsonl")}
    output = run_commands(command.source, replaced, env)
    assert output.startswith("1 added, 0 skipped, 0 invalid\nWhile hashes of other systems are")
    assert "1 left" in run_commands(count.source, replaced, env)


def test_list_of_the_page_is_built_and_its_settings_are_read(database, documents, tmp_path):
    page = FOLDER / "refuse-breached-passwords.md"
    (tmp_path / "stolen.txt").write_text("correct horse\n")
    replaced = {f" {it}": f" {tmp_path}/{Path(it).name}" for it in ("stolen.txt", "data/stolen")}
    output = run_block(page, {"MONGODB_URI": database, "DATA_DIR": tmp_path}, replaced)
    assert output == f"1 passwords in {tmp_path}/stolen\n"
    assert breached_passwords.contains(str(tmp_path / "stolen"), "correct horse")


class TestReceiverOfWebhooks:
    PAGE = FOLDER / "receive-webhooks.md"
    BODY = b'{"type": "user.created", "timestamp": "-", "data": {"user": "6b07"}}'

    @pytest.fixture
    def send(self, monkeypatch):
        """Return a function that sends a webhook to the receiver of the page."""
        secret = settings_of(self.PAGE, 0)["WEBHOOK_SECRET"]
        monkeypatch.setenv("WEBHOOK_SECRET", secret)
        (block,) = blocks(self.PAGE, "python")
        names = {"__name__": "receiver"}
        exec(compile(block.source, "receiver.py", "exec"), names)
        client = names["app"].test_client()

        def send(secrets=(secret,), seconds_ago=0, body=self.BODY, **headers):
            signed = sign(secrets, "6b08", int(time.time()) - seconds_ago, self.BODY)
            signed |= {"Content-Type": "application/json"} | headers
            return client.post("/webhooks", data=body, headers=signed).status_code

        return send

    def test_it_handles_a_webhook_once(self, send, capsys):
        assert [send(), send()] == [204, 204]
        assert capsys.readouterr().out == "user.created 6b07\n"

    def test_it_accepts_one_of_two_signatures(self, send):
        secret = settings_of(self.PAGE, 0)["WEBHOOK_SECRET"]
        assert send(secrets=(OTHER_SECRET, secret)) == 204

    @pytest.mark.parametrize(
        "wrong",
        [
            {"secrets": (OTHER_SECRET,)},
            {"secrets": ()},
            {"seconds_ago": 301},
            {"seconds_ago": -301},
            {"body": BODY + b" "},
            {"webhook-id": "6b09"},
            {"webhook-timestamp": "\u00b2"},
        ],
        ids=["other", "none", "old", "ahead", "body", "id", "timestamp"],
    )
    def test_it_refuses_others(self, send, capsys, wrong):
        assert send(**wrong) == 401
        assert capsys.readouterr().out == ""

    def test_commands_of_the_page_run(self, database, documents, tmp_path):
        generate, manage = blocks(self.PAGE, "sh")
        env = environment(MONGODB_URI=database, DATA_DIR=tmp_path)
        secret = run_commands(generate.source, {}, env).strip()
        settings = load_settings({"WEBHOOK_SECRET": secret})
        assert settings["WEBHOOK_SECRETS"] == [secret]
        assert run_commands(manage.source, {".venv/bin": str(BIN)}, env) == "0 queued again\n"


def test_language_of_the_page_is_added_and_shown(copy):
    page = FOLDER / "add-a-language.md"
    add, check, show = blocks(page, "sh")
    assert copy.run(add.source)[0] == 0
    catalog = copy.folder / "translations" / "fr" / "LC_MESSAGES" / "messages.po"
    text = catalog.read_text()
    for entry in blocks(page, "po")[0].source.strip().split("\n\n"):
        untranslated = re.sub('msgstr ".*"', 'msgstr ""', entry)
        assert untranslated in text
        text = text.replace(untranslated, entry)
    catalog.write_text(text)
    output = copy.run(check.source)[1]
    assert "fr lacks a translation of: Your password is set" in output
    assert "fr lacks a translation of: Choose a new password" not in output
    locales = settings_of(page, 0)["MAIL_LOCALES"]
    status, output = copy.run(f"export MAIL_LOCALES={locales}; {show.source}")
    assert status == 0, output
    assert "Subject: Réinitialisez votre mot de passe Movie-bag\n\nBonjour Ada,\n" in output
    assert "open this link within 10 minutes" in output


def test_code_of_the_front_end_is_that_of_the_demo():
    quotes = blocks(FOLDER / "front-end.md", "js")
    assert quotes
    for quote in quotes:
        quoted = list(functions(quote.source))
        assert set(quoted) <= set(functions((HOME / quote.title).read_text())), quote.line
        assert quote.source == "\n\n".join(f"{it.above}\n{it.text}" for it in quoted) + "\n"


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_tests_that_are_named_exist(page):
    sources = "".join(path.read_text() for path in (HOME / "tests").rglob("*.py"))
    named = re.findall(r"`(test_\w+|Test\w+)`", page.read_text())
    defined = sources + "".join(block.source for block in blocks(page, "diff"))
    assert [name for name in named if not re.search(rf"(def|class) {name}\b", defined)] == []
