"""The shell commands of an operator: `flask --app app …`.

The import of movies: test_movie_import.py. The upgrade of stored documents: test_upgrade.py.
"""

import logging
import re
import subprocess
import sys
import time

import pytest
from mongoengine.connection import get_db
from pymongo.collection import Collection

from commands import paging
from config import load_settings
from database import compatibility
from database import db as database
from database.documents import DOCUMENTS
from database.models import ADMIN, Job, User
from database.passkeys import Challenge, Passkey
from database.sent_mail import SentMail
from infra import audit_log
from infra.pseudonym import pseudonym
from services import event_service, user_service
from services.event_service import Event
from services.mail_kinds import ACCOUNT_DELETED, PASSWORD_CHANGED, RESET_PASSWORD, TOTP_REMOVED
from services.mail_queue import SEND_EMAIL
from services.token_service import CONFIRM, PWD_RESET
from tests.support.assertions import assert_error
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.concurrency import run_simultaneously, wait_until
from tests.support.email_client import scope_in
from tests.support.emails import subject_of
from tests.support.factor_client import begin_login, code_of, finish_login, start_totp
from tests.support.processes import HOME, environment, free_port
from tests.support.settings import PRODUCTION_SETTINGS
from tests.support.shell import error_line, output
from tests.support.smtp_server import token_in
from tests.support.stored_user import read_stored_user, restore_user
from tests.support.tokens import KEY, OTHER_KEY, link_token
from tests.support.users import create_user

COMMANDS = {
    "": {"user", "sessions", "mail", "webhooks", "movies", "db", "secret", "pseudonym"},
    "user": {"create", "list", "promote", "demote", "verify", "reset", "delete"},
    "sessions": {"revoke"},
    "mail": {"list", "show", "delete", "retry", "purge"},
    "webhooks": {"list", "delete", "retry", "purge"},
    "movies": {"import"},
    "db": {"check", "upgrade"},
    "secret": {"rotate"},
}
DAY = 24 * 3600


@pytest.fixture
def flask_process(database, documents, tmp_path):
    """Return a function that runs a command as an operator does, with DATA_DIR in tmp_path."""

    def run(*words, typed="", **changed):
        settings = {"MONGODB_URI": database, "DATA_DIR": tmp_path / "data", "BCRYPT_LOG_ROUNDS": 4}
        return subprocess.run(
            [sys.executable, "-m", "flask", "--app", "app", *words],
            cwd=HOME,
            env=environment(**settings | changed) | {"FLASK_SKIP_DOTENV": "1"},
            input=typed,
            capture_output=True,
            text=True,
            timeout=30,
            start_new_session=True,  # with no terminal, a prompt reads stdin
        )

    return run


def make_admin(app, email):
    with app.app_context():
        user_service.set_role(User.get_by_email(email), ADMIN)


def is_admin(api, **account):
    response = api.get("/api/users", token=api.log_in(**account).json()["token"])
    return response.status_code == 200


class TestHelp:
    @pytest.mark.parametrize("group", COMMANDS, ids=lambda group: group or "flask")
    def test_every_command_has_a_help_text(self, shell, group):
        text = output(shell(*group.split(), "--help"))
        commands = re.findall(r"^  (\w+) {2,}\S", text.partition("Commands:")[2], re.MULTILINE)
        assert COMMANDS[group] <= set(commands)


class TestDatabaseConnection:
    """Commands open the database when they run."""

    @pytest.mark.parametrize("words", ["--help", "user --help", "secret"])
    def test_command_without_database_creates_nothing(self, flask_process, tmp_path, words):
        output(flask_process(*words.split(), MONGODB_URI=None))
        assert not (tmp_path / "data").exists()

    def test_flask_shell_has_the_database(self, flask_process):
        User(email=ADA["email"], password="-").save()
        code = "from database.models import User; print('emails:', *User.objects.scalar('email'))"
        assert f"emails: {ADA['email']}" in output(flask_process("shell", typed=code))

    def test_unreachable_database_is_reported_in_a_sentence(self, flask_process):
        unreachable = f"127.0.0.1:{free_port()}"
        settings = {"MONGODB_URI": f"mongodb://{unreachable}", "MONGODB_TIMEOUT": 1}
        commands = [("db", "check"), ("user", "list")]
        for ended in run_simultaneously(2, lambda i: flask_process(*commands[i], **settings)):
            assert ended.returncode == 1
            assert unreachable in ended.stdout + ended.stderr
            assert "Traceback" not in ended.stderr
            assert ended.stderr.splitlines()[-1].startswith("Error: ")

    def test_missing_settings_are_reported(self, flask_process):
        ended = flask_process("user", "list", APP_ENV="production", MONGODB_URI=None)
        first, *lines = ended.stderr.splitlines()
        assert (ended.returncode, first) == (1, "Error: These settings can't be used:")
        required = sorted(PRODUCTION_SETTINGS.keys() - {"APP_ENV"})
        assert lines == [f"  {name}: Is needed in production." for name in required]


class TestUserCreate:
    def test_created_user_can_log_in(self, api, shell):
        options = ("--password", ADA["password"], "--name", "Ada L", "--admin")
        printed = output(shell("user", "create", "ADA@example.com", *options))
        user = User.objects.get()
        assert printed == str(user.id)
        assert (user.email, user.name, user.role) == (ADA["email"], "Ada L", ADMIN)
        assert is_admin(api)

    def test_password_is_prompted_for_and_not_shown(self, api, flask_process):
        ended = flask_process("user", "create", ADA["email"], typed=f"{ADA['password']}\n" * 2)
        assert output(ended).endswith(str(User.objects.get().id))
        assert ADA["password"] not in ended.stdout + ended.stderr
        assert not is_admin(api)

    @pytest.mark.parametrize(
        ("email", "password", "reason"),
        [
            (EVE["email"], "password1", r"This is a very common password\..*"),
            ("nobody", ADA["password"], r"Not a valid email address\."),
            ("ADA@example.com", ADA["password"], "User with given email address already exists"),
        ],
        ids=["weak", "no email", "existing"],
    )
    def test_rules_of_signup_apply(self, api, shell, email, password, reason):
        api.sign_up()
        ended = shell("user", "create", email, "--password", password)
        assert re.fullmatch(reason, error_line(ended))
        assert User.objects.count() == 1


class TestUserList:
    def test_all_users_are_listed(self, app, api, shell):
        for email in (EVE["email"], ADA["email"]):
            api.sign_up(email=email)
        make_admin(app, ADA["email"])
        lines = output(shell("user", "list")).splitlines()
        listed = [("user", EVE["email"]), ("admin", ADA["email"])]
        for line, (role, email) in zip(lines, listed, strict=True):
            user_id = str(User.get_by_email(email).id)
            expected = rf"{user_id} +{role} +active +\d{{4}}-\d\d-\d\dT[\d:]+Z +{email}"
            assert re.fullmatch(expected, line)

    def test_long_list_is_read_by_the_page(self, shell, monkeypatch):
        """No command reads more than a page, and the list is printed meanwhile."""
        monkeypatch.setattr(paging, "BATCH_SIZE", 10)
        sizes = []
        list_page = user_service.list_page

        def note(*args, **options):
            page, cursor = list_page(*args, **options)
            sizes.append(len(page))
            return page, cursor

        monkeypatch.setattr(user_service, "list_page", note)
        emails = [create_user(f"u{number}@b.example").email for number in range(35)]
        lines = output(shell("user", "list")).splitlines()
        assert [line.split()[-1] for line in lines] == emails
        assert sizes == [10, 10, 10, 5]


class TestUserPromote:
    def test_user_becomes_admin_and_sessions_are_revoked(self, api, ada, shell):
        output(shell("user", "promote", ADA["email"]))
        assert api.verify(ada["token"]).status_code == 401
        assert is_admin(api)

    def test_promoting_the_only_admin_changes_nothing(self, app, api, ada, shell):
        make_admin(app, ADA["email"])
        token = api.log_in().json()["token"]
        output(shell("user", "promote", ADA["email"]))
        assert api.get("/api/users", token=token).status_code == 200

    def test_email_is_normalised(self, api, shell):
        api.sign_up(email="ada@bücher.example")
        output(shell("user", "promote", " ADA@Bücher.example"))
        assert is_admin(api, email="ada@bücher.example")


class TestUserDemote:
    def test_admin_becomes_user_and_sessions_are_revoked(self, app, api, shell):
        for account in (ADA, EVE):
            api.sign_up(**account)
            make_admin(app, account["email"])
        token = api.log_in().json()["token"]
        output(shell("user", "demote", ADA["email"]))
        assert api.verify(token).status_code == 401
        assert not is_admin(api)


class TestUserVerify:
    EMAILS = (ADA["email"], EVE["email"], "zoe@example.com")

    @pytest.fixture
    def users(self, app):
        """Create three users: the email of the last one is verified already."""
        users = [create_user(email) for email in self.EMAILS]
        users[-1].modify(verified_at=5.0)
        return users

    @staticmethod
    def verified():
        return [user.email for user in User.objects.order_by("id") if user.is_verified]

    def test_emails_are_verified(self, shell, users, caplog):
        caplog.set_level("INFO", audit_log.__name__)
        assert output(shell("user", "verify", " ADA@example.com", EVE["email"])) == "2 verified"
        assert self.verified() == [*self.EMAILS]
        events = [line for line in caplog.messages if line.startswith("event=")]
        assert events == [f"event=email_confirmed user={user.id} ip=shell" for user in users[:2]]

    def test_other_emails_stay_as_they_are(self, shell, users):
        assert output(shell("user", "verify", ADA["email"])) == "1 verified"
        assert self.verified() == [ADA["email"], "zoe@example.com"]

    def test_verified_email_is_not_verified_again(self, shell, users):
        assert output(shell("user", "verify", "zoe@example.com")) == "0 verified"
        assert User.objects.get(email="zoe@example.com").verified_at == 5.0

    def test_all_emails_are_verified(self, shell, users):
        assert output(shell("user", "verify", "--all")) == "2 verified"
        assert self.verified() == [*self.EMAILS]
        assert User.objects.get(email="zoe@example.com").verified_at == 5.0
        assert output(shell("user", "verify", "--all")) == "0 verified"

    def test_unknown_emails_are_named_and_others_verified(self, shell, users):
        unknown = ["x@example.com", "y@example.com"]
        ended = shell("user", "verify", unknown[0], ADA["email"], unknown[1])
        assert (ended.exit_code, ended.stdout) == (1, "1 verified\n")
        assert ended.stderr.endswith(f"Error: No user has the email {', '.join(unknown)}\n")
        assert self.verified() == [ADA["email"], "zoe@example.com"]

    def test_text_that_is_no_email_verifies_nobody(self, shell, users):
        assert "Not a valid email" in error_line(shell("user", "verify", ADA["email"], "ada"))
        assert self.verified() == ["zoe@example.com"]

    @pytest.mark.parametrize("words", [[], [ADA["email"], "--all"]], ids=" ".join)
    def test_emails_and_all_exclude_each_other(self, shell, users, words):
        ended = shell("user", "verify", *words)
        assert ended.exit_code == 2
        assert "Name some emails, or give --all." in ended.stderr
        assert self.verified() == ["zoe@example.com"]

    def test_mailed_link_is_void_afterwards(self, app, api, shell, users):
        token = link_token(app, users[0], CONFIRM)
        output(shell("user", "verify", ADA["email"]))
        response = api.post("/api/auth/email/confirm", json={"confirm_token": token})
        assert_error(response, 401, "UsedTokenError")

    @pytest.mark.parametrize("mode", ["off", "optional", "required"])
    def test_created_user_is_verified_and_gets_no_mail(self, make_app, mode):
        runner = make_app(EMAIL_VERIFICATION=mode).test_cli_runner()
        words = ["user", "create", ADA["email"], "--password", ADA["password"]]
        output(runner.invoke(args=words))
        assert self.verified() == [ADA["email"]]
        assert Job.objects.first() is None


class TestUserReset:
    """The help of an operator for users who have lost what they log in with."""

    def test_link_is_mailed_and_factors_stay(self, api, factor, shell, mails):
        output(shell("user", "reset", "ADA@example.com"))
        (mail,) = mails()
        assert (mail["To"], scope_in(mail)) == (ADA["email"], PWD_RESET)
        assert api.verify(factor.token).status_code == 200
        assert api.reset(token_in(mail)).json()["factors"]["totp"]
        assert begin_login(api, password=NEW_PASSWORD)

    def test_every_factor_is_removed_and_all_sessions_end(
        self, app, api, passkey, factor, shell, mails
    ):
        mfa_token = begin_login(api)
        output(shell("user", "reset", ADA["email"], "--factors"))
        assert_error(api.verify(factor.token), 401, "SessionEndedError")
        response = finish_login(api, mfa_token, code=code_of(factor.secret))
        assert_error(response, 401, "UsedTokenError")
        sent = {scope_in(mail): mail for mail in mails()}
        assert sent[None]["Subject"] == subject_of(app, TOTP_REMOVED)
        factors = api.reset(token_in(sent[PWD_RESET])).json()["factors"]
        assert factors == {"totp": False, "passkeys": 0, "recovery_codes_left": 0}
        assert api.log_in(password=NEW_PASSWORD).status_code == 200

    def test_factor_that_is_being_added_is_dropped(self, api, verified, shell):
        start_totp(api, verified["token"])
        output(shell("user", "reset", ADA["email"], "--factors"))
        assert "pending_totp" not in User.objects.get().factors

    def test_factors_of_others_stay(self, api, factor, eve, shell):
        output(shell("user", "reset", EVE["email"], "--factors"))
        assert_error(api.verify(eve["token"]), 401, "SessionEndedError")
        assert begin_login(api)

    def test_it_is_recorded(self, factor, shell, count_events):
        output(shell("user", "reset", ADA["email"]))
        assert count_events("factors_reset") == 0
        output(shell("user", "reset", ADA["email"], "--factors"))
        assert count_events("factors_reset") == 1


class TestUserDelete:
    def test_confirmed_deletion_deletes_everything(self, api, ada, flask_process):
        store_job(ADA["email"], Job.FAILED)
        output(flask_process("user", "delete", "--yes", ADA["email"]))
        assert api.verify(ada["token"]).status_code == api.log_in().status_code == 401
        assert User.objects.count() == 0
        jobs = Job.objects(kind=SEND_EMAIL)
        assert {job.arguments["mail"] for job in jobs} <= {ACCOUNT_DELETED}  # if not sent yet

    def test_deletion_that_is_not_confirmed_changes_nothing(self, api, ada, shell):
        store_job(ADA["email"], Job.FAILED)
        assert shell("user", "delete", ADA["email"], typed="n\n").exit_code == 1
        assert api.verify(ada["token"]).status_code == api.log_in().status_code == 200
        assert User.objects.count() == Job.objects.count() == 1

    def test_deletion_can_be_confirmed_at_the_prompt(self, api, ada, shell):
        output(shell("user", "delete", ADA["email"], typed="y\n"))
        assert User.objects.count() == 0


class TestRefusedUserCommands:
    @pytest.mark.parametrize("command", ["demote", "delete --yes"])
    def test_last_admin_stays(self, app, api, ada, shell, command):
        make_admin(app, ADA["email"])
        token = api.log_in().json()["token"]
        reason = error_line(shell("user", *command.split(), ADA["email"]))
        assert reason == "The last admin can't be deleted, demoted or disabled"
        assert api.get("/api/users", token=token).status_code == 200

    @pytest.mark.parametrize(
        "command", ["promote", "demote", "reset", "reset --factors", "delete --yes"]
    )
    def test_unknown_email_is_refused(self, api, ada, shell, command):
        reason = error_line(shell("user", *command.split(), EVE["email"]))
        assert reason == "User with given email address doesn't exist"
        assert api.verify(ada["token"]).status_code == 200


def store_job(email, state, last_error=None, mail=RESET_PASSWORD, kind=SEND_EMAIL):
    """Store a job that is not due for an hour."""
    now = time.time()
    times = {"created_at": now, "run_at": now + 3600}
    arguments = {"mail": mail, "email": email} if kind == SEND_EMAIL else {"user_id": "0" * 24}
    return Job(kind=kind, arguments=arguments, state=state, last_error=last_error, **times).save()


class TestSessionsRevoke:
    def test_user_is_logged_out_everywhere(self, api, ada, eve, shell):
        other = api.log_in().json()
        output(shell("sessions", "revoke", " ADA@example.com"))
        for tokens in (ada, other):
            assert_error(api.refresh(tokens["refresh_token"]), 401, "SessionEndedError")
        assert api.verify(eve["token"]).status_code == 200
        assert api.log_in().status_code == 200

    def test_all_users_are_logged_out(self, api, ada, eve, shell, caplog):
        api.sign_up(email="zoe@example.com")
        caplog.set_level("INFO", audit_log.__name__)
        output(shell("sessions", "revoke", "--all"))
        assert "event=sessions_revoked ip=shell" in caplog.messages
        for tokens in (ada, eve):
            assert_error(api.verify(tokens["token"]), 401, "SessionEndedError")
            assert_error(api.refresh(tokens["refresh_token"]), 401, "SessionEndedError")
        assert api.log_in().status_code == 200

    def test_restored_sessions_are_revoked(self, api, ada, shell):
        backup = read_stored_user()
        new = api.refresh(ada["refresh_token"]).json()
        restore_user(backup)
        assert api.verify(ada["token"]).status_code == 200
        output(shell("sessions", "revoke", "--all"))
        for token in (ada["refresh_token"], new["refresh_token"]):
            assert_error(api.refresh(token), 401, "SessionEndedError")

    @pytest.mark.parametrize("words", [[], ["ada@example.com", "--all"]], ids=" ".join)
    def test_email_and_all_exclude_each_other(self, api, ada, shell, words):
        ended = shell("sessions", "revoke", *words)
        assert ended.exit_code == 2
        assert "Give an email, or --all." in ended.stderr
        assert api.verify(ada["token"]).status_code == 200

    def test_unknown_email_is_an_error(self, shell):
        reason = error_line(shell("sessions", "revoke", "unknown@example.com"))
        assert reason == "User with given email address doesn't exist"


class TestMailList:
    def test_queued_and_failed_emails_are_listed(self, shell):
        stored = [
            ("a@b.example", Job.QUEUED, "", RESET_PASSWORD),
            ("c@d.example", Job.QUEUED, "SMTP 451", PASSWORD_CHANGED),
            ("e@f.example", Job.FAILED, "SMTP 550", RESET_PASSWORD),
        ]
        ids = [
            str(store_job(email, state, error or None, mail).id)
            for email, state, error, mail in stored
        ]
        store_job("", Job.QUEUED, kind="delete_movies")
        lines = output(shell("mail", "list")).splitlines()
        for line, job_id, (email, state, error, mail) in zip(lines, ids, stored, strict=True):
            columns = rf"{job_id} +{state} +0 +\d{{4}}-\d\d-\d\dT[\d:]+Z +{mail} +{email} *{error}"
            assert re.fullmatch(columns, line)

    @pytest.fixture
    def stored(self):
        """Store emails, one of them a notice that carries its recipient; return their ids."""
        jobs = [
            store_job("a@b.example", Job.QUEUED),
            store_job("c@d.example", Job.QUEUED),
            store_job("a@b.example", Job.FAILED, "SMTP 550"),
        ]
        times = {"created_at": 0, "run_at": 1e12}
        notice = {"mail": ACCOUNT_DELETED, "to": "a@b.example", "name": "Ada"}
        jobs.append(Job(kind=SEND_EMAIL, arguments=notice, **times).save())
        return [str(job.id) for job in jobs]

    @pytest.mark.parametrize(
        ("options", "listed"),
        [
            ("", [0, 1, 2, 3]),
            ("--state queued", [0, 1, 3]),
            ("--state failed", [2]),
            ("--email A@B.example", [0, 2, 3]),
            ("--email c@d.example --state failed", []),
            ("--email x@y.example", []),
        ],
    )
    def test_list_can_be_filtered(self, shell, stored, options, listed):
        lines = output(shell("mail", "list", *options.split())).splitlines()
        assert [line.split()[0] for line in lines] == [stored[index] for index in listed]

    @pytest.mark.parametrize("options", ["--state sent", "--email nonsense"])
    def test_invalid_filter_is_refused(self, shell, options):
        ended = shell("mail", "list", *options.split())
        assert ended.exit_code != 0
        assert ended.stdout == ""

    def test_long_list_is_read_by_the_batch(self, shell, monkeypatch):
        """No command reads more than a batch, and the list is printed meanwhile."""
        monkeypatch.setattr(database, "BATCH_SIZE", 10)
        limits = []
        find = Collection.find

        def note(collection, *args, **options):
            if collection.name == "job":
                limits.append(options.get("limit"))
            return find(collection, *args, **options)

        monkeypatch.setattr(Collection, "find", note)
        for number in range(35):
            store_job(f"u{number}@b.example", Job.QUEUED)
        limits.clear()
        assert len(output(shell("mail", "list")).splitlines()) == 35
        assert limits.count(10) == 5
        assert set(limits) == {10}


class TestMailShow:
    def test_email_is_shown_without_a_valid_link(self, api, shell):
        api.sign_up(name="Ada L")
        User.objects.update(set__verified_at=0.0)
        job = store_job(ADA["email"], Job.QUEUED, "SMTP 451 busy")
        printed = output(shell("mail", "show", str(job.id)))
        for text in (str(job.id), ADA["email"], RESET_PASSWORD, "queued", "SMTP 451 busy"):
            assert text in printed
        assert f"Message-ID: <{job.id}@movie-bag.com>" in printed
        assert "\nSubject: " in printed
        assert "Ada L" in printed
        assert "\nhttps://movie-bag.example/reset/...\n" in printed
        assert "eyJ" not in printed

    def test_email_without_a_user_is_not_sent(self, shell):
        job = store_job("a@b.example", Job.FAILED, "SMTP 550")
        assert "no user has this email" in output(shell("mail", "show", str(job.id)))

    def test_email_of_a_later_version_is_shown(self, shell):
        job = store_job("a@b.example", Job.QUEUED, mail="later")
        assert "This version has no such email" in output(shell("mail", "show", str(job.id)))

    @pytest.mark.parametrize("mail_id", ["0" * 24, "nonsense"])
    def test_unknown_email_is_refused(self, shell, mail_id):
        reason = error_line(shell("mail", "show", mail_id))
        assert reason == f"No queued or failed email has the id {mail_id}"

    def test_other_jobs_are_not_shown(self, shell):
        job = store_job("", Job.QUEUED, kind="delete_movies")
        assert shell("mail", "show", str(job.id)).exit_code == 1


class TestMailDelete:
    def test_emails_are_deleted_by_id(self, shell):
        jobs = [store_job("a@b.example", state) for state in (Job.QUEUED, Job.FAILED, Job.QUEUED)]
        ids = [str(job.id) for job in jobs]
        assert output(shell("mail", "delete", *ids[:2])) == "2 deleted"
        assert [str(job.id) for job in Job.objects] == ids[2:]

    def test_unknown_ids_are_named(self, shell):
        job, other = store_job("a@b.example", Job.QUEUED), store_job("", Job.QUEUED, kind="other")
        ended = shell("mail", "delete", str(job.id), str(other.id), "nonsense")
        assert (ended.exit_code, ended.stdout) == (1, "1 deleted\n")
        reason = f"No queued or failed email has the id {other.id}, nonsense"
        assert ended.stderr.splitlines()[-1] == f"Error: {reason}"
        assert Job.objects.get().id == other.id


class TestPseudonym:
    def test_pseudonym_is_that_of_the_log(self, app, shell, caplog):
        caplog.set_level(logging.INFO)
        printed = output(shell("pseudonym", " ADA@example.com"))
        with app.app_context():
            event_service.record(Event.LOGIN_FAILED, email=ADA["email"])
        assert f"email={printed}" in caplog.text

    def test_each_key_has_a_pseudonym(self, make_app):
        keys = [KEY, OTHER_KEY]
        app = make_app(JWT_SECRET_KEY=",".join(keys))
        printed = output(app.test_cli_runner().invoke(args=["pseudonym", ADA["email"]]))
        assert printed.split() == [pseudonym(ADA["email"], key) for key in keys]

    def test_key_of_development_is_read_and_not_created(self, flask_process, tmp_path):
        ended = flask_process("pseudonym", ADA["email"])
        assert ended.returncode == 1
        assert "There is no signing key yet" in ended.stderr
        assert not (tmp_path / "data").exists()
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "jwt_secret").write_text("k" * 40)
        assert output(flask_process("pseudonym", ADA["email"])) == pseudonym(ADA["email"], "k" * 40)

    def test_invalid_email_is_refused(self, shell):
        assert error_line(shell("pseudonym", "nonsense")) == "Not a valid email address."


class TestMailPurge:
    def test_failed_emails_and_copies_of_sent_ones_are_deleted(self, shell):
        queued = [store_job("a@b.example", Job.QUEUED, error) for error in (None, "SMTP 451")]
        store_job("e@f.example", Job.FAILED, "SMTP 550")
        SentMail(arguments={"mail": RESET_PASSWORD, "email": "a@b.example"}, created_at=0).save()
        assert output(shell("mail", "purge")) == "2 deleted"
        assert [job.id for job in Job.objects] == [job.id for job in queued]
        assert SentMail.objects.count() == 0

    def test_other_failed_jobs_stay(self, shell):
        failed = store_job("", Job.FAILED, kind="delete_movies")
        assert output(shell("mail", "purge")) == "0 deleted"
        assert Job.objects.get().id == failed.id


class TestMailRetry:
    def test_failed_email_is_sent_after_a_retry(self, app, api, ada, mailbox, shell):
        mailbox.reply = lambda recipient: "550 No such user"
        api.forgot()
        wait_until(lambda: Job.objects(state=Job.FAILED).first())
        mailbox.reply = lambda recipient: "250 OK"
        assert output(shell("mail", "retry")) == "1 queued again"
        app.extensions["worker"].wake()
        assert api.reset(token_in(mailbox.wait_for(1)[0])).status_code == 200

    def test_retry_lasts_another_day(self, app, ada, mailbox, shell):
        failed = store_job(ADA["email"], Job.FAILED, "SMTP 451")
        failed.update(set__created_at=time.time() - DAY - 3600, set__attempts=300)
        mailbox.reply = lambda recipient: "452 Full"
        output(shell("mail", "retry"))
        app.extensions["worker"].wake()
        retried = wait_until(lambda: Job.objects(last_error="SMTP 452 Full").first())
        assert retried.state == Job.QUEUED

    def test_other_failed_jobs_stay_failed(self, shell):
        store_job("", Job.FAILED, kind="delete_movies")
        assert output(shell("mail", "retry")) == "0 queued again"
        assert Job.objects.get().state == Job.FAILED


class TestSecret:
    def test_each_secret_is_different_and_valid_in_production(self, shell):
        secrets = [output(shell("secret")) for _ in range(2)]
        assert secrets[0] != secrets[1]
        for secret in secrets:
            assert len(secret.encode()) >= 32
            settings = load_settings(PRODUCTION_SETTINGS | {"JWT_SECRET_KEY": secret})
            assert settings["JWT_SECRET_KEYS"] == [secret]

    def test_command_of_the_message_works_where_the_key_is_refused(self, flask_process):
        weak = PRODUCTION_SETTINGS | {"JWT_SECRET_KEY": "a" * 32}
        refused = flask_process("secret", **weak)
        assert refused.returncode == 1
        assert "APP_ENV=development flask --app app secret" in refused.stderr
        generated = output(flask_process("secret", **weak | {"APP_ENV": "development"}))
        assert load_settings(PRODUCTION_SETTINGS | {"JWT_SECRET_KEY": generated})


class TestDbCheck:
    def test_compatible_database_passes_and_stays_as_it_was(self, flask_process):
        before = set(get_db().list_collection_names())
        assert output(flask_process("db", "check")) == "This database is compatible."
        created = set(get_db().list_collection_names()) - before
        # The collections of the product get their indexes.
        assert created <= {document._get_collection_name() for document in DOCUMENTS}

    def test_indexes_of_passkeys_are_created(self, flask_process):
        for document in (Passkey, Challenge):
            document.drop_collection()
        output(flask_process("db", "check"))
        passkeys, challenges = (
            get_db()[name].index_information() for name in ("passkey", "challenge")
        )
        assert passkeys.keys() == {"_id_", "credential_id_1", "user_id_1"}
        assert passkeys["credential_id_1"]["unique"]
        assert challenges.keys() == {"_id_", "user_id_1", "expires_at_1"}

    def test_failed_check_is_printed(self, shell, monkeypatch):
        def documents_sing(documents):
            """Documents sing."""
            return False

        checks = (*compatibility.CHECKS, documents_sing)
        monkeypatch.setattr(compatibility, "CHECKS", checks)
        ended = shell("db", "check")
        assert (ended.exit_code, ended.stdout) == (1, "Failed: Documents sing.\n")
        assert ended.stderr.endswith("\nError: This database is incompatible.\n")


class TestWhichDatabase:
    """Each command says which database it works on; one that only reads creates none."""

    READING = ("user list", "mail list", "mail retry", "mail purge", "db check", "db upgrade")
    CHANGING = ("user promote", "user demote", "user delete --yes")

    @pytest.mark.parametrize("command", ["user list", "mail list", "db check"])
    def test_environment_and_database_are_printed(self, flask_process, database, command):
        ended = flask_process(*command.split())
        output(ended)
        where = database.partition("?")[0]
        assert ended.stderr.startswith(f"APP_ENV is development, the database is {where}\n")

    def test_no_credentials_are_printed(self, flask_process, database):
        uri = database.replace("mongodb://", "mongodb://ada:hush%40@")
        ended = flask_process("user", "list", MONGODB_URI=uri)
        where = database.partition("?")[0]
        assert ended.stderr.startswith(f"APP_ENV is development, the database is {where}\n")
        assert "hush" not in ended.stdout + ended.stderr

    def test_production_is_printed(self, flask_process, database):
        settings = PRODUCTION_SETTINGS | {"MONGODB_URI": database}
        ended = flask_process("user", "list", **settings)
        assert "APP_ENV is production, the database is mongodb://127.0.0.1:" in ended.stderr

    @pytest.mark.embedded
    @pytest.mark.parametrize("command", [*READING, *(f"{it} a@b.example" for it in CHANGING)])
    def test_command_that_needs_a_database_creates_none(self, flask_process, tmp_path, command):
        ended = flask_process(*command.split(), MONGODB_URI=None)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert f"the database is embedded in {tmp_path}/data\n" in ended.stderr
        assert "Error: There is no database in" in ended.stderr
        assert "Start the server first, or set APP_ENV and MONGODB_URI" in ended.stderr
        assert not (tmp_path / "data").exists()

    @pytest.mark.embedded
    def test_created_database_is_named_and_read(self, flask_process, tmp_path):
        words = ("user", "create", ADA["email"], "--admin", "--password", ADA["password"])
        created = flask_process(*words, MONGODB_URI=None)
        assert {"database", "jwt_secret"} <= {path.name for path in (tmp_path / "data").iterdir()}
        assert f"embedded in {tmp_path}/data\n" in created.stderr
        assert ADA["email"] in output(flask_process("user", "list", MONGODB_URI=None))
