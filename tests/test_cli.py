"""The shell: what an operator does with `flask --app app …`."""

import re
import subprocess
import sys
import time

import pytest

from config import load_settings
from database import conformance
from database.models import Mail, User
from services import user_service
from tests.conftest import ADA, at_once, wait_until
from tests.servers import HOME, environment
from tests.smtp import free_port, token_in
from tests.test_settings import PRODUCTION

COMMANDS = {
    "": {"user", "mail", "db", "secret"},
    "user": {"create", "list", "promote", "demote", "delete"},
    "mail": {"list", "retry", "purge"},
    "db": {"check"},
}
EVE = "eve@example.com"


@pytest.fixture
def shell(database, documents, tmp_path):
    """Run a command on the database of the tests."""

    def run(*words, typed="", **changed):
        settings = {"MONGODB_URI": database, "DATA_DIR": tmp_path, "BCRYPT_LOG_ROUNDS": 4}
        return subprocess.run(
            [sys.executable, "-m", "flask", "--app", "app", *words],
            cwd=HOME,
            env=environment(**settings | changed) | {"FLASK_SKIP_DOTENV": "1"},
            input=typed,
            capture_output=True,
            text=True,
            timeout=30,
            start_new_session=True,  # with no terminal, what is asked for is read from stdin
        )

    return run


def said(ended):
    """Return what a command that succeeded printed."""
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def refusal(ended):
    """Return the reason of a command that was refused: one line on stderr, and nothing else."""
    assert (ended.returncode, ended.stdout) == (1, "")
    return re.fullmatch("Error: (.+)\n", ended.stderr)[1]


def make_admin(app, email):
    with app.app_context():
        user_service.set_role(User.objects.get(email=email), "admin")


def is_admin(api, **who):
    answer = api.get("/api/users", token=api.log_in(**who).json()["token"])
    return answer.status_code == 200


def wish(email, state, last_error):
    now = time.time()
    fields = {"email": email, "state": state, "last_error": last_error}
    return Mail(kind="reset", created_at=now, due_at=now, **fields).save()


@pytest.mark.parametrize("group", COMMANDS, ids=lambda group: group or "flask")
def test_every_command_has_a_help_text(shell, group):
    text = said(shell(*group.split(), "--help"))
    commands = re.findall(r"^  (\w+) {2,}\S", text.partition("Commands:")[2], re.MULTILINE)
    assert COMMANDS[group] <= set(commands)


def test_a_user_who_is_created_logs_in(api, shell):
    words = ("ADA@example.com", "--password", ADA["password"], "--name", "Ada L", "--admin")
    printed = said(shell("user", "create", *words))
    user = User.objects.get()
    assert printed == str(user.id)
    assert (user.email, user.name, user.role) == (ADA["email"], "Ada L", "admin")
    assert is_admin(api)


def test_the_password_is_asked_for_when_it_is_not_given(api, shell):
    ended = shell("user", "create", ADA["email"], typed=f"{ADA['password']}\n" * 2)
    assert said(ended).endswith(str(User.objects.get().id))
    assert ADA["password"] not in ended.stdout + ended.stderr
    assert not is_admin(api)


@pytest.mark.parametrize(
    ("email", "password", "reason"),
    [
        (EVE, "password1", r"This is a very common password\..*"),
        ("nobody", ADA["password"], r"Not a valid email address\."),
        ("ADA@example.com", ADA["password"], "User with given email address already exists"),
    ],
    ids=["weak", "no address", "existing"],
)
def test_who_could_not_sign_up_is_not_created(api, shell, email, password, reason):
    api.sign_up()
    assert re.fullmatch(reason, refusal(shell("user", "create", email, "--password", password)))
    assert User.objects.count() == 1


def test_all_users_are_listed(app, api, shell):
    for email in (EVE, ADA["email"]):
        api.sign_up(email=email)
    make_admin(app, ADA["email"])
    eve, ada = said(shell("user", "list")).splitlines()
    for line, role, email in ((eve, "user", EVE), (ada, "admin", ADA["email"])):
        user_id = str(User.objects.get(email=email).id)
        assert re.fullmatch(rf"{user_id} +{role} +\d{{4}}-\d\d-\d\dT[\d:]+Z +{email}", line)


def test_promoting_makes_an_admin_and_ends_the_sessions(api, ada, shell):
    said(shell("user", "promote", ADA["email"]))
    assert api.whoami(ada["token"]).status_code == 401
    assert is_admin(api)


def test_demoting_makes_a_user_and_ends_the_sessions(app, api, ada, shell):
    api.sign_up(email=EVE)
    for email in (EVE, ADA["email"]):
        make_admin(app, email)
    ada = api.log_in().json()
    said(shell("user", "demote", ADA["email"]))
    assert api.whoami(ada["token"]).status_code == 401
    assert not is_admin(api)


@pytest.mark.parametrize("command", ["demote", "delete --yes"])
def test_the_last_admin_is_neither_demoted_nor_deleted(app, api, ada, shell, command):
    make_admin(app, ADA["email"])
    ada = api.log_in().json()
    reason = refusal(shell("user", *command.split(), ADA["email"]))
    assert reason == "The last admin can't be deleted or demoted"
    assert api.get("/api/users", token=ada["token"]).status_code == 200


def test_promoting_the_only_admin_again_changes_nothing(app, api, ada, shell):
    make_admin(app, ADA["email"])
    ada = api.log_in().json()
    said(shell("user", "promote", ADA["email"]))
    assert api.get("/api/users", token=ada["token"]).status_code == 200


def test_an_address_is_a_users_however_it_is_written(api, shell):
    api.sign_up(email="ada@bücher.example")
    said(shell("user", "promote", " ADA@Bücher.example"))
    assert is_admin(api, email="ada@bücher.example")


@pytest.mark.parametrize("answer", ["--yes", "n"])
def test_a_user_is_deleted_unless_that_is_not_confirmed(api, ada, shell, answer):
    wish(ADA["email"], Mail.GIVEN_UP, "SMTP 550")
    words, stays = ("--yes",) if answer == "--yes" else (), answer == "n"
    ended = shell("user", "delete", *words, ADA["email"], typed=f"{answer}\n")
    assert ended.returncode == stays
    statuses = {api.whoami(ada["token"]).status_code, api.log_in().status_code}
    assert statuses == {200 if stays else 401}
    assert (User.objects.count(), Mail.objects.count()) == (stays, stays)


def test_an_unknown_address_is_refused(api, ada, shell):
    for command in ("promote", "demote", "delete --yes"):
        reason = refusal(shell("user", *command.split(), EVE))
        assert reason == "User with given email address doesn't exist"
    assert api.whoami(ada["token"]).status_code == 200


def test_the_outbox_is_listed_and_what_was_given_up_is_forgotten(shell):
    facts = [("a@b.ex", "waiting", ""), ("c@d.ex", "waiting", "SMTP 451")]
    facts.append(("e@f.ex", "given_up", "SMTP 550"))
    ids = [str(wish(email, state, error or None).id) for email, state, error in facts]
    lines = said(shell("mail", "list")).splitlines()
    for line, mail_id, (email, state, error) in zip(lines, ids, facts, strict=True):
        assert re.fullmatch(rf"{mail_id} +{state} .* reset +{email} *{error}", line)
    assert said(shell("mail", "purge")) == "1 forgotten"
    assert [str(left.id) for left in Mail.objects] == ids[:2]


def test_what_was_given_up_goes_out_after_a_retry(app, api, ada, mailbox, shell):
    mailbox.reply = lambda recipient: "550 No such user"
    api.forgot()
    wait_until(lambda: Mail.objects(state=Mail.GIVEN_UP).first())
    mailbox.reply = lambda recipient: "250 OK"
    assert said(shell("mail", "retry")) == "1 to be tried again"
    app.extensions["outbox"].wake()
    assert api.reset(token_in(mailbox.wait_for(1)[0])).status_code == 200


def test_a_retry_is_for_another_day(app, api, ada, mailbox, shell):
    given_up = wish(ADA["email"], Mail.GIVEN_UP, "SMTP 451")
    given_up.update(set__created_at=time.time() - 90_000, set__attempts=300)
    mailbox.reply = lambda recipient: "452 Full"
    said(shell("mail", "retry"))
    app.extensions["outbox"].wake()
    retried = wait_until(lambda: Mail.objects(last_error="SMTP 452").first())
    assert retried.state == Mail.WAITING


def test_a_secret_is_another_each_time_and_fit_for_production(shell):
    secrets = [said(ended) for ended in at_once(2, lambda _: shell("secret"))]
    assert secrets[0] != secrets[1]
    for secret in secrets:
        assert len(secret.encode()) >= 32
        assert load_settings(PRODUCTION | {"JWT_SECRET_KEY": secret})["JWT_SECRET_KEYS"] == [secret]


def test_db_check_finds_all_there_and_leaves_nothing_behind(shell):
    assert said(shell("db", "check")) == "All is there."
    assert set(User._get_db().list_collection_names()) <= {"user", "mail", "movie"}


def test_db_check_names_what_is_missing(app, monkeypatch):
    def flying(documents):
        """Documents fly."""
        return False

    monkeypatch.setattr(conformance, "NEEDS", (*conformance.NEEDS, flying))
    ended = app.test_cli_runner().invoke(args=["db", "check"])
    assert ended.exit_code == 1
    assert ended.output == "Not so: Documents fly.\nError: This database is not fit.\n"


def test_a_database_that_is_away_is_told_in_words(shell):
    away, commands = f"127.0.0.1:{free_port()}", [("db", "check"), ("user", "list")]
    settings = {"MONGODB_URI": f"mongodb://{away}", "MONGODB_TIMEOUT": 1}
    for ended in at_once(2, lambda i: shell(*commands[i], **settings)):
        assert ended.returncode == 1
        assert away in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr
        assert ended.stderr.splitlines()[-1].startswith("Error: ")


def test_settings_that_can_not_be_used_are_told_in_words(shell):
    ended = shell("user", "list", APP_ENV="production", MONGODB_URI=None)
    first, *lines = ended.stderr.splitlines()
    assert (ended.returncode, first) == (1, "Error: These settings can't be used:")
    needed = sorted(PRODUCTION.keys() - {"APP_ENV"})
    assert lines == [f"  {name}: Is needed in production." for name in needed]
