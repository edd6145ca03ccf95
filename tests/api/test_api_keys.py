"""API keys: made by admins, shown once, stored hashed, and gone with what made them possible."""

import re
import time
import zlib

import pytest
from mongoengine.connection import get_db

from database import api_keys
from database.models import ADMIN, USER, User
from infra.api_keys import ALPHABET, generate, owner_of
from services import api_key_service, email_change_service, password_service, user_service
from services.api_key_service import INTROSPECT, MAX_KEYS
from services.errors import ConflictError
from tests.support.api_keys import KEY, ask, create_key
from tests.support.assertions import assert_error, case
from tests.support.client import NEW_PASSWORD
from tests.support.factor_client import RECENT_SECONDS
from tests.support.operators import disable, enable
from tests.support.tokens import FORMER_CHANGE, store_changes
from tests.support.users import create_session, create_user

ROOT = "root@example.com"
FIELDS = {"id", "name", "scopes", "created_at", "expires_at", "last_used_at"}
MINUTE = 60


@pytest.fixture
def key(api, operator):
    """Return an API key of the operator."""
    return create_key(api, operator)


def list_keys(api, operator):
    response = api.get("/api/keys", token=operator["token"])
    assert response.status_code == 200, response.text
    return response.json()


def is_accepted(api, key):
    """Return whether a key opens what it is for."""
    response = ask(api, key["key"], "no token")
    assert response.status_code in (200, 401), response.text
    return response.status_code == 200


class TestCreateKey:
    def test_response_has_the_key_and_where_it_is(self, api, operator):
        response = api.post("/api/keys", token=operator["token"], json=KEY)
        created = response.json()
        assert created.keys() == FIELDS | {"key"}
        assert KEY.items() <= created.items()
        assert (created["expires_at"], created["last_used_at"]) == (None, None)
        url = f"https://movie-bag.example/api/keys/{created['id']}"
        assert response.headers["Location"] == url
        assert response.headers["Cache-Control"] == "no-store"

    def test_key_is_in_one_response(self, api, operator, key):
        described = {name: key[name] for name in FIELDS}
        assert list_keys(api, operator) == [described]
        response = api.get(f"/api/keys/{key['id']}", token=operator["token"])
        assert response.json() == described
        assert key["key"] not in response.text

    def test_key_is_stored_as_a_digest(self, key):
        text = str([*get_db()["user"].find()])
        assert "digest" in text
        assert key["key"] not in text
        assert key["key"][27:] not in text

    def test_key_needs_an_admin(self, api, ada):
        assert_error(api.post("/api/keys", token=ada["token"], json=KEY), 403, "ForbiddenError")
        assert_error(api.get("/api/keys", token=ada["token"]), 403, "ForbiddenError")
        assert User.objects.get().api_keys == {}

    def test_key_needs_a_recent_session(self, api, operator, clock):
        clock.shift(RECENT_SECONDS)
        response = api.post("/api/keys", token=operator["token"], json={})
        assert_error(response, 401, "ReauthenticationRequiredError")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"name": " "},
            {"name": "x" * 101},
            {"scopes": []},
            {"scopes": ["access"]},
            {"scopes": ["introspect", "introspect"]},
            {"scopes": "introspect"},
            {"scopes": [{"$ne": ""}]},
            {"expires_at": "tomorrow"},
            {"expires_at": "2030-01-01T00:00:00"},
            {"expires_at": "2020-01-01T00:00:00Z"},
            {"expires_at": "0001-01-01T00:00:00+23:59"},
            {"expires_at": "9999-12-31T23:59:59-23:59"},
            {"expires_at": "2" * 41},
            {"expires_at": 1900000000},
            {"expires_at": None},
            {"user": "x"},
        ],
        ids=str,
    )
    def test_wrong_field_is_named(self, api, operator, wrong):
        response = api.post("/api/keys", token=operator["token"], json=KEY | wrong)
        assert assert_error(response, 400, "SchemaValidationError").keys() == wrong.keys()

    def test_number_of_keys_is_limited(self, api, operator):
        for _ in range(MAX_KEYS):
            key = create_key(api, operator)
        response = api.post("/api/keys", token=operator["token"], json=KEY)
        assert_error(response, 409, "ConflictError")
        api.delete(f"/api/keys/{key['id']}", token=operator["token"])
        assert create_key(api, operator)

    @pytest.mark.parametrize(
        "change", [{"inc__password_version": 1}, {"set__role": USER}, {"set__disabled_at": 1.0}]
    )
    def test_key_of_a_user_who_changed_meanwhile_is_refused(self, app, change):
        admin = create_user(ROOT, ADMIN)
        User.objects.update(**change)
        with app.app_context(), pytest.raises(ConflictError):
            api_key_service.create(admin, **KEY)
        assert User.objects.get().api_keys == {}


class TestTextOfAKey:
    """GitHub's format: a prefix and a checksum, so that scanners find a key that leaked."""

    def test_key_has_prefix_owner_and_checksum(self):
        text = generate("a" * 24)
        assert re.fullmatch(r"mb_a{24}[0-9A-Za-z]{32}[0-9A-Za-z]{6}", text)
        number = 0
        for digit in text[-6:]:
            number = number * 62 + ALPHABET.index(digit)
        assert number == zlib.crc32(text[:-6].encode())

    def test_keys_differ(self):
        assert len({generate("a" * 24) for _ in range(100)}) == 100

    def test_wrong_text_is_refused_unread(self, api, key, monkeypatch):
        text = key["key"]
        other = "B" if text[40] == "A" else "A"
        wrong = [
            *("", "mb_", text[:-1], text + "0", text.upper(), text.replace("mb_", "")),
            text[:40] + other + text[41:],
            text.replace("mb_", "mb-"),
        ]
        assert [owner_of(it) for it in wrong] == [None] * len(wrong)
        monkeypatch.delattr(User, "get_by_id")  # nobody looks for an owner
        for it in wrong:
            with case(text=it):
                assert ask(api, it.strip("\n") or "x", "x").status_code == 401


class TestUseOfAKey:
    def test_missing_or_wrong_key_is_refused(self, api, operator, key):
        assert_error(ask(api, None, "x"), 401, "MissingTokenError")
        unknown = generate(str(User.objects.get().id))
        for wrong in (unknown, generate("a" * 24), operator["token"], operator["refresh_token"]):
            response = ask(api, wrong, "x")
            assert_error(response, 401, "BadTokenError")
            assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]

    def test_key_of_another_scope_is_forbidden(self, api, key, count_events):
        User.objects.update(**{f"set__api_keys__{key['id']}__scopes": ["another"]})
        assert_error(ask(api, key["key"], "x"), 403, "ForbiddenError")
        assert count_events("access_denied") == 1

    def test_key_opens_nothing_else(self, api, key):
        for path in ("/api/auth/verify", "/api/users/me", "/api/keys", "/api/users"):
            assert_error(api.get(path, token=key["key"]), 401, "BadTokenError")

    def test_expired_key_is_refused(self, api, operator, clock):
        key = create_key(api, operator, expires_at="2099-01-01T00:00:00+01:00")
        assert key["expires_at"] == "2098-12-31T23:00:00Z"
        expires_at = User.objects.get().api_keys[key["id"]]["expires_at"]
        clock.shift(expires_at - time.time() - 1)
        assert is_accepted(api, key)
        clock.shift(1.5)
        assert_error(ask(api, key["key"], "x"), 401, "ExpiredTokenError")

    def test_last_use_is_stored_once_a_minute(self, api, operator, key, clock):
        def last_used():
            return User.objects.get().api_keys[key["id"]]["last_used_at"]

        first = time.time()
        assert is_accepted(api, key)
        clock.shift(MINUTE - 1)
        assert is_accepted(api, key)
        assert last_used() == pytest.approx(first)
        clock.shift(1)
        assert is_accepted(api, key)
        assert last_used() == pytest.approx(first + MINUTE)

    def test_use_of_a_removed_key_is_not_stored(self, app, operator, key):
        user = User.objects.get()
        stored = user.api_keys[key["id"]]
        assert api_keys.remove_key(user, key["id"])
        api_keys.note_use(user, key["id"], stored, 1.0)
        assert User.objects.get().api_keys == {}


class TestRemoveKey:
    def test_removed_key_is_refused(self, api, operator, key):
        other, path = create_key(api, operator), f"/api/keys/{key['id']}"
        assert is_accepted(api, key)
        response = api.delete(path, token=operator["token"])
        assert response.json() == {"message": "The key is removed"}
        assert not is_accepted(api, key)
        assert is_accepted(api, other)
        for method in (api.get, api.delete):
            assert_error(method(path, token=operator["token"]), 404, "KeyNotExistsError")

    @pytest.mark.parametrize("key_id", ["x", "$set", "a.b", "a" * 16, "%00"])
    def test_unknown_key_is_not_found(self, api, operator, key, key_id):
        for method in (api.get, api.delete):
            response = method(f"/api/keys/{key_id}", token=operator["token"])
            assert_error(response, 404, "KeyNotExistsError")
        assert is_accepted(api, key)

    def test_key_of_another_admin_is_not_found(self, api, app, key):
        other = create_session(app, create_user("b@example.com", ADMIN))
        assert list_keys(api, other) == []
        response = api.delete(f"/api/keys/{key['id']}", token=other["token"])
        assert_error(response, 404, "KeyNotExistsError")
        assert is_accepted(api, key)

    def test_events_are_recorded(self, api, operator, count_events):
        key = create_key(api, operator)
        api.delete(f"/api/keys/{key['id']}", token=operator["token"])
        assert count_events("api_key_created") == count_events("api_key_removed") == 1


class TestWhatEndsAKey:
    """What takes an account back, or its role away, takes the keys away in the same update."""

    @pytest.fixture
    def root(self, api, operator):
        create_user("another@example.com", ADMIN)
        return User.objects.get(email=ROOT)

    @pytest.mark.parametrize("how", ["reset", "undo", "disable", "demote", "delete"])
    def test_change_removes_every_key(self, api, app, root, key, how):
        store_changes(root)
        claims = {"change": FORMER_CHANGE["id"], "scope": "undo"}
        changes = {
            "reset": lambda: password_service.reset_password(root, NEW_PASSWORD),
            "undo": lambda: email_change_service.undo(root, claims),
            "disable": lambda: user_service.set_disabled(root, True),
            "demote": lambda: user_service.set_role(root, USER),
            "delete": lambda: user_service.delete(root),
        }
        with app.app_context():
            changes[how]()
        assert not is_accepted(api, key)
        assert [user.api_keys for user in User.objects] == [{}] * len(User.objects)

    def test_key_stays_void_after_enabling(self, api, app, root, key):
        other = create_session(app, User.objects.get(email="another@example.com"))
        disable(api, other, ROOT)
        enable(api, other, ROOT)
        assert not is_accepted(api, key)

    def test_change_of_the_password_keeps_it(self, api, operator, key):
        body = {"current_password": "correct horse battery", "password": NEW_PASSWORD}
        assert api.put("/api/auth/password", token=operator["token"], json=body).status_code == 200
        assert is_accepted(api, key)

    def test_logout_keeps_it(self, api, operator, key):
        assert api.log_out(operator["token"]).status_code == 200
        assert is_accepted(api, key)

    def test_role_is_read_at_each_use(self, api, key):
        User.objects.update(set__role=USER)
        assert_error(ask(api, key["key"], "x"), 403, "ForbiddenError")

    def test_disabled_is_read_at_each_use(self, api, key):
        User.objects.update(set__disabled_at=1.0)
        assert_error(ask(api, key["key"], "x"), 401, "BadTokenError")

    def test_scope_is_the_only_one(self):
        assert api_key_service.SCOPES == (INTROSPECT,)
