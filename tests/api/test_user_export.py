"""GET /api/users/me/export: all that is stored of the user, and nothing that logs in."""

import pytest
from mongoengine.connection import get_db

from database.documents import BELONGS_TO_USER
from database.emails import ReservedEmail
from database.events import StoredEvent
from database.models import Job, Movie, Session, User
from database.passkeys import Challenge, Passkey
from database.sent_mail import SentMail
from services import user_export_service
from services.mail_kinds import RESET_PASSWORD
from tests.support.api_keys import KEY_ID, store_key
from tests.support.assertions import assert_error
from tests.support.client import EVE
from tests.support.passkeys import creation_options
from tests.support.tokens import FORMER_CHANGE, PENDING_CHANGE, store_changes

PATH = "/api/users/me/export"
MOVIE = {"name": "Heat", "casts": ["Al Pacino"], "genres": ["Crime"]}

# Each field that is stored of a user: where it is in an export, or why it is not there. A new field
# must be decided: what a person may want to know is exported, what logs in never is.
SECRET, DIGEST, COUNTER = "a secret", "a digest", "a counter, or part of how it works"
DECIDED = {
    User: {
        "id": "user.id",
        "email": "user.email",
        "email_version": COUNTER,
        "verified_at": "user.verified",
        "confirmed_token": DIGEST,
        "pending_change": "pending_email",
        "former_emails": "former_emails",
        "password": SECRET,
        "password_version": COUNTER,
        "name": "user.name",
        "locale": "user.locale",
        "factors": "factors",
        "role": "user.role",
        "created_at": "user.created_at",
        "logins": COUNTER,
        "sessions": "sessions",
        "disabled_at": "user.disabled",
        "invited_at": "user.invited",
        "name_keys": COUNTER,
        "devices": "devices",
        "sweep_at": COUNTER,
        "foreign_kind": COUNTER,
        "api_keys": "api_keys",
    },
    Session: {
        "generation": COUNTER,
        "created_at": "sessions.created_at",
        "last_used_at": "sessions.last_used_at",
        "user_agent": "sessions.user_agent",
        "ip": "sessions.ip",
        "rotated": COUNTER,
        "refreshed_by": COUNTER,
        "without_grace": COUNTER,
        "auth_time": COUNTER,
        "amr": COUNTER,
        "uses_cookie": COUNTER,
    },
    Passkey: {
        "id": "passkeys.id",
        "user_id": "user.id",
        "credential_id": SECRET,
        "public_key": SECRET,
        "sign_count": COUNTER,
        "transports": COUNTER,
        "backed_up": "passkeys.backed_up",
        "name": "passkeys.name",
        "created_at": "passkeys.created_at",
        "last_used_at": "passkeys.last_used_at",
        "version": COUNTER,
    },
}
# Of other documents, what is exported as a whole, and what is not at all.
EXPORTED = {
    Movie: "movies",
    Job: "emails",
    SentMail: "emails",
    StoredEvent: "events",
    ReservedEmail: "former_emails",
}
WITHHELD = {Challenge: SECRET}


@pytest.fixture
def token(api, passkey, factor):
    """Return an access token of Ada, of whom everything is stored that can be."""
    api.patch("/api/users/me", token=factor.token, json={"name": "Ada Lovelace"})
    api.post("/api/movies", token=factor.token, json=MOVIE)
    api.forgot()
    creation_options(api, factor.token)
    store_changes(User.objects.get())
    store_key(User.objects.get())
    return factor.token


def export(api, token):
    response = api.get(PATH, token=token)
    assert response.status_code == 200, response.text
    return response


def values(data, path):
    """Return what is at a dotted path, where a list has it in each of its items."""
    for key in path.split("."):
        items = data if isinstance(data, list) else [data]
        data = [item[key] for item in items]
        data = data[0] if len(data) == 1 else data
    return data


def secrets(value):
    """Yield each text of 16 characters and more within a value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from secrets(key)
            yield from secrets(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from secrets(inner)
    elif isinstance(value, str) and len(value) >= 16:
        yield value


class TestContent:
    def test_each_field_that_is_stored_is_decided(self):
        for document, fields in DECIDED.items():
            assert fields.keys() == {*document._fields}, document
        of_user = {it.document for it in BELONGS_TO_USER}
        assert of_user == DECIDED.keys() - {User, Session} | EXPORTED.keys() | WITHHELD.keys()

    def test_what_is_decided_is_exported_and_nothing_else(self, api, token):
        exported = export(api, token).json()
        paths = {path for fields in DECIDED.values() for path in fields.values() if "." in path}
        for path in paths - {"passkeys.last_used_at"}:
            assert values(exported, path) is not None, path
        parts = {path.partition(".")[0] for path in paths}
        parts |= {"pending_email", "former_emails", "factors", "devices", "api_keys"}
        parts |= {*EXPORTED.values()}
        assert exported.keys() == parts
        assert all(exported.values())
        assert exported["pending_email"] == PENDING_CHANGE["email"]
        assert [it["email"] for it in exported["former_emails"]] == [FORMER_CHANGE["email"]]
        assert {it["mail"] for it in exported["emails"]} >= {RESET_PASSWORD}
        assert [it["name"] for it in exported["movies"]] == [MOVIE["name"]]

    def test_no_hash_secret_code_or_key_is_exported(self, api, token):
        text = export(api, token).text
        user = get_db()["user"].find_one()
        (passkey,), (challenge,) = (
            [*get_db()[name].find({}, {"_id": False, "user_id": False, "name": False})]
            for name in ("passkey", "challenge")
        )
        stored = [
            user["password"],
            user["factors"],
            user["api_keys"][KEY_ID]["digest"],
            passkey,
            challenge,
        ]
        found = list(secrets(stored))
        assert len(found) > 12  # ten recovery codes, among others
        assert [secret for secret in found if secret in text] == []

    def test_of_many_movies_and_events_the_newest_are_exported(self, api, token, monkeypatch):
        monkeypatch.setattr(user_export_service, "MAX_EXPORTED", 1)
        api.post("/api/movies", token=token, json=MOVIE | {"name": "Ronin"})
        exported = export(api, token).json()
        assert [it["name"] for it in exported["movies"]] == ["Ronin"]
        assert [it["event"] for it in exported["events"]] == ["data_exported"]

    def test_nothing_of_others_is_exported(self, api, token, eve):
        api.post("/api/movies", token=eve["token"], json=MOVIE | {"name": "Ronin"})
        text = export(api, token).text
        assert "Ronin" not in text
        assert EVE["email"] not in text
        assert str(User.objects.get(email=EVE["email"]).id) not in text


class TestAccess:
    def test_session_must_be_recent(self, clock, api, ada):
        clock.shift(599)
        assert export(api, ada["token"]).headers["Cache-Control"] == "no-store"
        clock.shift(2)
        assert_error(api.get(PATH, token=ada["token"]), 401, "ReauthenticationRequiredError")

    def test_export_is_recorded(self, api, ada, count_events):
        export(api, ada["token"])
        assert count_events("data_exported") == 1
        events = api.get("/api/users/me/events", token=ada["token"]).json()
        assert events[0]["event"] == "data_exported"
