"""The upgrade of documents that an earlier version stored."""

import subprocess
import sys

import pytest
from mongoengine.connection import get_db

from app import create_app
from database import db as database_db
from database.emails import ReservedEmail
from database.migrations import MIGRATIONS, VERSIONS, stored_version, upgrade
from database.models import Job, User
from database.sent_mail import SentMail
from services import movie_service, session_sweep, user_service
from services.token_service import CONFIRM
from setting_sources import SettingsError
from tests.support.assertions import assert_error
from tests.support.client import ADA, EVE
from tests.support.email_owners import change_email, link_token
from tests.support.emails import recipients
from tests.support.factor_client import enrol
from tests.support.old_documents import (
    MOVIES,
    NOW,
    old_job,
    old_mails,
    old_user,
    remove_old_documents,
    store_old_documents,
)
from tests.support.processes import HOME, environment
from tests.support.smtp_server import token_in
from tests.support.tokens import decode_parts, sign


@pytest.fixture
def old(documents):
    """Store documents of version 0; return the mails by description."""
    mails = old_mails()
    store_old_documents(get_db(), mails)
    yield mails
    remove_old_documents(get_db())


def stored_documents():
    """Return all that is stored, without the time of the upgrade."""
    database = get_db()
    return {
        name: sorted(map(repr, database[name].find()))
        for name in database.list_collection_names()
        if name != VERSIONS
    }


class TestUpgrade:
    def test_movies_are_ordered_by_name_and_searched(self, old):
        upgrade()
        assert [movie["name"] for movie in movie_service.find(10)] == sorted(MOVIES)
        assert [movie["name"] for movie in movie_service.find(10, q="SS")] == ["Ödipussi", "ß"]
        assert get_db()["movie"].find_one({"key": {"$exists": True}}) is None

    def test_old_indexes_are_gone(self, old):
        upgrade()
        indexes = get_db()["movie"].index_information()
        assert not [name for name in indexes if "key" in name]

    def test_mails_become_jobs_with_their_ids(self, old):
        upgrade()
        jobs = {job.id: job for job in Job.objects}
        assert jobs.keys() == {mail["_id"] for mail in old.values()} - {old["sent"]["_id"]}
        reset = jobs[old["waiting reset"]["_id"]]
        assert (reset.kind, reset.state, reset.run_at) == ("send_email", Job.QUEUED, NOW + 0.3)
        assert reset.arguments == {"mail": "reset_password", "email": ADA["email"]}
        notice = jobs[old["waiting notice"]["_id"]]
        assert notice.arguments == {"mail": "password_changed", "email": ADA["email"]}
        failed = jobs[old["failed"]["_id"]]
        assert (failed.state, failed.attempts, failed.last_error) == (Job.FAILED, 1, "SMTP 550")
        deletion = jobs[old["deletion"]["_id"]]
        assert (deletion.kind, deletion.arguments) == ("delete_movies", {"user_id": "0" * 24})

    def test_sent_mail_becomes_a_copy(self, old):
        upgrade()
        copy = SentMail.objects.get()
        assert (copy.id, copy.text, copy.html) == (old["sent"]["_id"], "text", "<p>html</p>")
        assert copy.arguments == {"mail": "reset_password", "email": ADA["email"]}
        assert "mail" not in get_db().list_collection_names()

    def test_it_happens_once(self, old):
        assert stored_version() == 0
        assert upgrade() == len(MIGRATIONS)
        after = stored_documents()
        assert upgrade() == 0
        assert stored_documents() == after

    def test_repeated_migration_changes_nothing(self, old):
        upgrade()
        after = stored_documents()
        get_db()[VERSIONS].update_one({}, {"$set": {"version": 0}})
        upgrade()
        assert stored_documents() == after

    def test_empty_database_is_current(self, documents):
        get_db()[VERSIONS].drop()
        assert stored_version() == len(MIGRATIONS)


class TestIndexUsers:
    """The upgrade of a database of version 2, in which users are not found by their names."""

    @pytest.fixture
    def users(self, documents, monkeypatch):
        """Store users of version 2, of whom a batch has two; one has been indexed already."""
        get_db()[VERSIONS].update_one({}, {"$set": {"version": 2}})
        monkeypatch.setattr(database_db, "BATCH_SIZE", 2)
        session = {"a" * 16: {"generation": 0, "created_at": 1.6e9, "last_used_at": 1.6e9}}
        given = [
            {"name": "Ada Lovelace", "sessions": session},
            {"name": None},
            {},
            {"name": "Éva", "sessions": session, "sweep_at": NOW},
            {"sessions": session},
        ]
        stored = [
            old_user() | {"email": f"u{number}@example.com"} | fields
            for number, fields in enumerate(given)
        ]
        get_db()["user"].insert_many(stored)
        yield get_db()["user"]
        get_db()[VERSIONS].drop()

    INDEXED = (
        {"name_keys": ["ada lovelace", "lovelace"], "sweep_at": 0.0},
        {},
        {},
        {"name_keys": ["éva"], "sweep_at": NOW},
        {"sweep_at": 0.0},
    )

    @staticmethod
    def indexed(users):
        fields = {"_id": False, "name_keys": True, "sweep_at": True}
        return tuple(users.find({}, fields).sort("_id"))

    def test_users_are_found_by_name_and_nothing_else_changes(self, users):
        before = [*users.find().sort("_id")]
        assert upgrade() == 1
        pairs = zip(before, self.INDEXED, strict=True)
        assert [*users.find().sort("_id")] == [{**user, **fields} for user, fields in pairs]
        assert stored_version() == len(MIGRATIONS) == 3
        (found,), _ = user_service.list_page(10, q="LOVE")
        assert found.name == "Ada Lovelace"

    def test_interrupted_upgrade_is_completed(self, users):
        def interrupt(_):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            upgrade(on_progress=interrupt)
        assert self.indexed(users)[0] == self.INDEXED[0]
        assert self.indexed(users)[4] == {}
        assert stored_version() == 2
        assert upgrade() == 1
        assert self.indexed(users) == self.INDEXED

    def test_what_earlier_processes_store_is_indexed_again(self, users):
        upgrade()
        users.insert_one(old_user() | {"email": "late@example.com", "name": "Zoë"})
        assert (upgrade(), upgrade(again=True)) == (0, 1)
        (found,), _ = user_service.list_page(10, q="zoë")
        assert found.email == "late@example.com"
        assert stored_version() == len(MIGRATIONS)

    def test_expired_sessions_of_before_are_swept(self, users, make_app):
        upgrade()
        with make_app().app_context():
            session_sweep.delete_expired()
        assert not any(user["sessions"] for user in users.find())


class TestStart:
    def test_production_names_the_command(self, old, settings):
        with pytest.raises(SettingsError, match="flask --app app db upgrade"):
            create_app(settings)

    def test_production_starts_after_the_upgrade(self, old, make_app):
        upgrade()
        make_app()

    def test_development_upgrades_itself(self, old, make_app):
        make_app(APP_ENV="development")
        assert stored_version() == len(MIGRATIONS)

    def test_away_database_does_not_stop_the_start(self, settings, caplog):
        uri = "mongodb://127.0.0.1:9/movie-bag"
        command = [sys.executable, "-c", "import app; app.create_app(); print('started')"]
        variables = {**settings, "MONGODB_URI": uri, "MONGODB_TIMEOUT": 1}
        ended = subprocess.run(
            command, cwd=HOME, env=environment(**variables), capture_output=True, text=True
        )
        assert ended.stdout == "started\n", ended.stderr
        assert "Can't check the stored documents" in ended.stderr

    def test_command_upgrades_where_production_refuses(self, old, settings):
        command = [sys.executable, "-m", "flask", "--app", "app", "db", "upgrade"]
        variables = environment(**settings)
        ended = subprocess.run(command, cwd=HOME, env=variables, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        assert "Upgrading to version 2" in ended.stdout
        again = subprocess.run(command, cwd=HOME, env=variables, capture_output=True, text=True)
        assert again.stdout == "Nothing to upgrade.\n"


class TestAfterwards:
    def test_waiting_mails_are_sent_with_their_message_ids(self, old, documents, make_app, mailbox):
        User(email=ADA["email"], password="-").save()
        upgrade()
        make_app().extensions["worker"].start()
        ids = {message["Message-ID"] for message in mailbox.wait_for(2)}
        waiting = (old["waiting reset"]["_id"], old["waiting notice"]["_id"])
        assert ids == {f"<{mail_id}@movie-bag.com>" for mail_id in waiting}

    @pytest.mark.parametrize("name", ["token", "refresh_token"])
    def test_tokens_of_version_0_stay_valid(self, api, ada, name):
        header, claims = decode_parts(ada[name])
        token = sign(header, {**claims, "type": claims["scope"]})
        assert token != ada[name] or claims["type"] == claims["scope"]
        send = api.verify if name == "token" else api.refresh
        assert send(token).status_code == 200


class TestUserOfTheVersionBefore:
    """A user without the fields that verified emails need; no migration adds them."""

    @pytest.fixture
    def user(self, documents):
        get_db()["user"].insert_one(old_user())
        return User.objects.get()

    @pytest.fixture
    def pair(self, api, user):
        return api.log_in().json()

    def test_email_is_unverified(self, api, pair):
        assert api.get("/api/users/me", token=pair["token"]).json()["verified"] is False

    def test_email_is_confirmed_by_a_link_that_is_resent(self, api, user, mailbox):
        api.post("/api/auth/email/resend", json={"email": ADA["email"]})
        body = {"confirm_token": token_in(mailbox.wait_for(1)[0])}
        assert api.post("/api/auth/email/confirm", json=body).status_code == 200
        assert user.reload().is_verified

    def test_unverified_email_is_changed(self, app, user):
        change_email(app, user, "ada@new.example")
        assert (user.reload().email, user.former_emails) == ("ada@new.example", {})

    def test_verified_email_is_changed_and_restored(self, app, api, user):
        body = {"confirm_token": link_token(app, CONFIRM, user)}
        api.post("/api/auth/email/confirm", json=body)
        body = {"undo_token": change_email(app, user.reload(), "ada@new.example")}
        assert api.post("/api/auth/email/undo", json=body).json()["email"] == ADA["email"]
        assert ReservedEmail.find_owner(ADA["email"]) is None

    def test_second_factor_is_off_and_can_be_added(self, api, user, pair):
        factors = api.get("/api/auth/mfa", token=pair["token"]).json()
        assert factors == {"totp": False, "passkeys": 0, "recovery_codes_left": 0}
        user.modify(set__verified_at=1.0)
        enrol(api, pair)
        assert api.log_in().json()["error"] == "SecondFactorRequiredError"

    def test_account_is_deleted(self, api, pair):
        body = {"current_password": ADA["password"]}
        assert api.delete("/api/users/me", token=pair["token"], json=body).status_code == 200
        assert User.objects.first() is None

    def test_queued_mails_are_sent(self, app, user, mailbox):
        address = ADA["email"]
        get_db()["job"].insert_many(
            [
                old_job("password_changed", email=address),
                old_job("role_changed_to_admin", to=address, name="Ada"),
                old_job("account_deleted", to="gone@example.com", name=""),
            ]
        )
        app.extensions["worker"].start()
        assert recipients(mailbox.wait_for(3)) == [address, address, "gone@example.com"]

    def test_failed_mails_are_deleted_with_the_user(self, api, pair):
        to = {"to": ADA["email"], "name": "Ada"}
        jobs = [old_job("password_changed", "failed", email=ADA["email"])]
        get_db()["job"].insert_many([*jobs, old_job("role_changed_to_user", "failed", **to)])
        self.test_account_is_deleted(api, pair)
        assert Job.objects(state=Job.FAILED).first() is None


class TestSessionOfTheVersionBefore:
    """A session without `auth_time` and `amr`; its tokens have its login there, with a fraction."""

    @pytest.fixture
    def login(self, ada):
        """Store the session as the version before did; return when it began."""
        ((session_id, session),) = User.objects.get().sessions.items()
        names = (f"unset__sessions__{session_id}__{name}" for name in ("auth_time", "amr"))
        User.objects.update(**dict.fromkeys(names, 1))
        return session.created_at

    @pytest.fixture
    def pair(self, ada, login):
        """Return its tokens."""
        parts = {name: decode_parts(ada[name]) for name in ("token", "refresh_token")}
        return {
            name: sign(header, claims | {"auth_time": login})
            for name, (header, claims) in parts.items()
        }

    @staticmethod
    def change_without_password(api, token):
        return api.put("/api/auth/email", json={"email": EVE["email"]}, token=token)

    def test_both_tokens_are_valid(self, api, pair, login):
        assert login % 1
        assert api.verify(pair["token"]).status_code == 200
        response = api.refresh(pair["refresh_token"])
        assert response.status_code == 200
        claims = decode_parts(response.json()["token"])[1]
        assert claims["auth_time"] == int(login)

    @pytest.mark.parametrize(("seconds", "status"), [(599, 200), (601, 401)])
    def test_it_is_recent_by_its_login(self, api, pair, login, clock, seconds, status):
        clock.move_to(int(login) + seconds)
        response = self.change_without_password(api, pair["token"])
        assert response.status_code == status
        if status == 401:
            assert_error(response, 401, "ReauthenticationRequiredError")

    def test_it_is_recent_after_reauthentication(self, api, pair, clock):
        clock.shift(700)
        body = {"current_password": ADA["password"]}
        response = api.post("/api/auth/reauthenticate", json=body, token=pair["token"])
        assert response.status_code == 200
        token = response.json()["token"]
        assert self.change_without_password(api, token).status_code == 200
        (session,) = User.objects.get().sessions.values()
        assert session.amr == ["pwd"]

    @pytest.mark.parametrize(("seconds", "status"), [(98, 200), (101, 401)])
    def test_its_age_counts_from_its_login(
        self, make_app, api, pair, login, clock, seconds, status
    ):
        api.app = make_app(JWT_SESSION_MAX_AGE=100)
        clock.move_to(login + seconds)
        assert api.refresh(pair["refresh_token"]).status_code == status
