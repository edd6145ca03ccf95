"""Requests that need a recent session (contract: "Recent", RFC 9470)."""

import time

import pytest

from database.models import ADMIN, User
from services.session_service import MAX_SESSIONS
from tests.support.assertions import assert_error, case
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.email_client import NEW_EMAIL, change_email, move
from tests.support.endpoints import ENDPOINTS
from tests.support.factor_client import (
    RECENT_SECONDS,
    TOTP_PATH,
    begin_login,
    code_of,
    finish_login,
    log_in_by_code,
    reauthenticate,
    start_totp,
)
from tests.support.stored_user import read_stored_user, restore_user
from tests.support.tokens import decode_parts
from tests.support.users import create_user

NEEDED = "ReauthenticationRequiredError"
RECENT_ONLY = {
    "POST /api/auth/mfa/totp",
    "DELETE /api/auth/mfa/totp",
    "POST /api/auth/mfa/recovery-codes",
    "POST /api/auth/passkeys/options",
    "POST /api/auth/passkeys",
    "DELETE /api/auth/passkeys/<passkey_id>",
    "DELETE /api/auth/sessions",
    "DELETE /api/auth/sessions/<session_id>",
    "PUT /api/auth/email",
    "DELETE /api/users/<user_id>",
    "DELETE /api/users/<user_id>/sessions",
    "GET /api/users/me/export",
    "POST /api/keys",
}
WITH_TOTP = RECENT_ONLY | {"PUT /api/auth/password", "DELETE /api/users/me"}
OTHER_IDS = {
    **dict.fromkeys(("<session_id>", "<key_id>"), "0" * 16),
    **dict.fromkeys(("<user_id>", "<passkey_id>"), "0" * 24),
}
CHANGE = {"current_password": ADA["password"], "password": NEW_PASSWORD}
PASSWORD = {"current_password": ADA["password"]}


def session_id(tokens):
    return decode_parts(tokens["token"])[1]["sid"]


def is_recent(api, token):
    """Return whether the session of a token is recent, by a request that changes little."""
    response = start_totp(api, token)
    assert response.status_code in (200, 401), response.text
    if response.status_code == 401:
        assert_error(response, 401, NEEDED)
    return response.status_code == 200


def become_admin():
    User.objects(email=ADA["email"]).update(set__role=ADMIN)


@pytest.fixture
def clock(clock):
    """Stop the time at a whole second, because auth_time is one."""
    clock.move_to(int(time.time()))
    return clock


@pytest.fixture
def now(clock, verified):
    """Return the tokens of Ada, who has just logged in, and whose email is verified."""
    return verified


class TestChallenge:
    def test_response_says_what_is_needed(self, api, clock, now):
        clock.shift(RECENT_SECONDS)
        response = start_totp(api, now["token"])
        assert_error(response, 401, NEEDED)
        assert response.json()["message"] == "Confirm that it is you to do this"
        challenge = 'Bearer error="insufficient_user_authentication", max_age=600'
        assert response.headers["WWW-Authenticate"] == challenge

    def test_token_itself_stays_valid(self, api, clock, now):
        clock.shift(RECENT_SECONDS)
        assert not is_recent(api, now["token"])
        assert api.verify(now["token"]).status_code == 200
        assert api.refresh(now["refresh_token"]).status_code == 200


class TestLimit:
    @pytest.mark.parametrize(("seconds", "expected"), [(0, True), (599, True), (600, False)])
    def test_login_is_recent_for_600_seconds(self, api, clock, now, seconds, expected):
        clock.shift(seconds)
        assert is_recent(api, now["token"]) == expected

    @pytest.mark.parametrize("max_age", [1, 60, 800])
    def test_setting_says_for_how_long(self, make_app, http, clock, now, max_age):
        http.app = make_app(REAUTHENTICATE_SECONDS=max_age)
        clock.shift(max_age - 1)
        assert is_recent(http, now["token"])
        clock.shift(1)
        response = start_totp(http, now["token"])
        assert_error(response, 401, NEEDED)
        assert response.headers["WWW-Authenticate"].endswith(f"max_age={max_age}")

    def test_session_of_an_earlier_version_began_at_its_login(self, api, clock, now):
        User.objects.update(**{f"unset__sessions__{session_id(now)}__auth_time": 1})
        clock.shift(RECENT_SECONDS - 1)
        assert is_recent(api, now["token"])
        clock.shift(1)
        assert not is_recent(api, now["token"])


class TestWhatCounts:
    """Only a login and a reauthentication move the time from which a session is recent."""

    def refresh(self, api, tokens, mails):
        return api.refresh(tokens["refresh_token"]).json()

    def change_password(self, api, tokens, mails):
        return api.put("/api/auth/password", token=tokens["token"], json=CHANGE).json()

    def change_email(self, api, tokens, mails):
        move(api, mails, tokens["token"], NEW_EMAIL)
        return tokens

    def log_in_elsewhere(self, api, tokens, mails):
        api.log_in()
        return tokens

    @pytest.mark.parametrize("action", [refresh, change_password, change_email, log_in_elsewhere])
    def test_other_request_moves_nothing(self, api, clock, now, mails, action):
        clock.shift(300)
        tokens = action(self, api, now, mails)
        clock.shift(299)
        assert is_recent(api, tokens["token"])
        clock.shift(1)
        assert not is_recent(api, tokens["token"])

    def test_reauthentication_counts_again(self, api, clock, now):
        clock.shift(700)
        tokens = reauthenticate(api, now["token"], **PASSWORD).json()
        clock.shift(599)
        assert is_recent(api, tokens["token"])
        clock.shift(1)
        assert not is_recent(api, tokens["token"])

    def test_login_by_code_counts_from_the_code(self, api, clock, factor):
        mfa_token = begin_login(api)
        clock.shift(200)
        tokens = finish_login(api, mfa_token, code=code_of(factor.secret)).json()
        clock.shift(599)
        assert_error(start_totp(api, tokens["token"]), 409, "ConflictError")
        clock.shift(1)
        assert_error(start_totp(api, tokens["token"]), 401, NEEDED)

    def test_other_session_stays_as_it_was(self, api, clock, now):
        other = api.log_in().json()
        clock.shift(300)
        reauthenticate(api, now["token"], **PASSWORD)
        clock.shift(300)
        assert not is_recent(api, other["token"])

    def test_stored_session_counts_and_not_the_token(self, api, clock, now):
        # A token that was issued before says another time than the session.
        path = f"set__sessions__{session_id(now)}__auth_time"
        said = decode_parts(now["token"])[1]["auth_time"]
        User.objects.update(**{path: said - RECENT_SECONDS})
        assert not is_recent(api, now["token"])
        clock.shift(700)
        User.objects.update(**{path: said + 700})
        assert is_recent(api, now["token"])

    def test_token_in_its_grace_is_as_recent_as_its_session(self, api, clock, now):
        clock.shift(595)
        api.refresh(now["refresh_token"])
        clock.shift(4)
        assert is_recent(api, now["token"])
        clock.shift(1)
        assert not is_recent(api, now["token"])

    @pytest.mark.parametrize("seconds", [0, 9])
    def test_token_in_its_grace_gains_nothing(self, api, clock, now, seconds):
        # A thief of the pair before must not act once the owner has reauthenticated.
        clock.shift(700)
        tokens = api.refresh(now["refresh_token"]).json()
        assert reauthenticate(api, tokens["token"], **PASSWORD).status_code == 200
        clock.shift(seconds)
        for token in (now["token"], tokens["token"]):
            assert_error(start_totp(api, token), 401, "SupersededTokenError")


class TestEveryRoute:
    """The only user is an admin, whose session is not recent."""

    def asked(self, api, token):
        """Return each request that needs a recent session; it gets what fields it must have."""
        become_admin()
        stored, asked = read_stored_user(), set()
        for method, path, body, _ in ENDPOINTS:
            url = path
            for name, other_id in OTHER_IDS.items():
                url = url.replace(name, other_id)
            response = api.request(method, url, token=token, json=body or None)
            if response.status_code == 401 and response.json()["error"] == NEEDED:
                asked.add(f"{method} {path}")
            restore_user(stored)
        return asked

    def test_no_request_needs_more_than_a_recent_session(self, api, now):
        assert self.asked(api, now["token"]) == set()

    def test_critical_requests_need_a_recent_session(self, api, clock, now):
        clock.shift(RECENT_SECONDS)
        assert self.asked(api, now["token"]) == RECENT_ONLY

    def test_second_factor_makes_more_requests_critical(self, api, clock, factor):
        clock.shift(RECENT_SECONDS)
        assert self.asked(api, factor.token) == WITH_TOTP


class TestUsers:
    """Requests of an admin about users."""

    @pytest.fixture
    def admin(self, clock, now):
        """Return the access token of Ada, who is an admin; her session is not recent."""
        become_admin()
        clock.shift(RECENT_SECONDS)
        return now["token"]

    @pytest.fixture
    def path(self, admin):
        """Return the path of another user."""
        return f"/api/users/{create_user(EVE['email']).id}"

    @pytest.mark.parametrize("role", ["admin", "user"])
    def test_change_of_a_role(self, api, admin, path, role):
        response = api.patch(path, token=admin, json={"role": role, "name": "Eve"})
        assert_error(response, 401, NEEDED)
        assert User.objects.get(email=EVE["email"]).name is None
        assert User.objects.get(email=EVE["email"]).role == "user"
        token = reauthenticate(api, admin, **PASSWORD).json()["token"]
        assert api.patch(path, token=token, json={"role": role}).status_code == 200

    def test_change_of_a_name_needs_none(self, api, admin, path):
        assert api.patch(path, token=admin, json={"name": "Eve"}).status_code == 200

    def test_new_admin(self, api, admin):
        response = api.post("/api/users", token=admin, json=EVE | {"role": "admin"})
        assert_error(response, 401, NEEDED)
        assert User.objects(email=EVE["email"]).first() is None
        token = reauthenticate(api, admin, **PASSWORD).json()["token"]
        response = api.post("/api/users", token=token, json=EVE | {"role": "admin"})
        assert response.json()["role"] == "admin"

    @pytest.mark.parametrize("fields", [{}, {"role": "user"}])
    def test_new_user_needs_none(self, api, admin, fields):
        assert api.post("/api/users", token=admin, json=EVE | fields).status_code == 200

    def test_deletion_of_another_user(self, api, admin, path):
        assert_error(api.delete(path, token=admin), 401, NEEDED)
        assert User.objects(email=EVE["email"]).first()
        token = reauthenticate(api, admin, **PASSWORD).json()["token"]
        assert api.delete(path, token=token).status_code == 200

    def test_deletion_of_oneself_takes_the_password(self, api, admin, path):
        User.objects(email=EVE["email"]).update(set__role=ADMIN)
        own = f"/api/users/{User.objects.get(email=ADA['email']).id}"
        assert api.delete(own, token=admin, json=PASSWORD).status_code == 200


class TestSessions:
    """Ada has a session that is not recent, and another one."""

    @pytest.fixture
    def tokens(self, api, clock, now):
        """Return her tokens."""
        clock.shift(RECENT_SECONDS)
        api.log_in()
        return now

    def test_end_of_another_session(self, api, tokens):
        (other,) = (key for key in User.objects.get().sessions if key != session_id(tokens))
        path = f"/api/auth/sessions/{other}"
        assert_error(api.delete(path, token=tokens["token"]), 401, NEEDED)
        token = reauthenticate(api, tokens["token"], **PASSWORD).json()["token"]
        assert api.delete(path, token=token).status_code == 200

    def test_end_of_the_current_session_needs_none(self, api, tokens):
        path = f"/api/auth/sessions/{session_id(tokens)}"
        assert api.delete(path, token=tokens["token"]).status_code == 200

    def test_end_of_all_sessions(self, api, tokens):
        assert_error(api.delete("/api/auth/sessions", token=tokens["token"]), 401, NEEDED)
        assert len(User.objects.get().sessions) == 2
        token = reauthenticate(api, tokens["token"], **PASSWORD).json()["token"]
        assert api.delete("/api/auth/sessions", token=token).status_code == 200

    def test_eviction_needs_none(self, api, tokens):
        for _ in range(MAX_SESSIONS):
            assert api.log_in().status_code == 200


class TestPasswordOrRecentSession:
    """PUT email takes either; of a user with TOTP the latter."""

    def test_recent_session_changes_the_email(self, api, now):
        assert change_email(api, now["token"], password=None).status_code == 200

    def test_password_changes_the_email(self, api, clock, now):
        clock.shift(RECENT_SECONDS)
        assert_error(change_email(api, now["token"], password=None), 401, NEEDED)
        assert change_email(api, now["token"]).status_code == 200

    def test_wrong_password_is_wrong_in_a_recent_session(self, api, now):
        response = change_email(api, now["token"], password="wrong")
        errors = assert_error(response, 400, "SchemaValidationError")
        assert errors.keys() == {"current_password"}
        assert not User.objects.get().pending_change


class TestWithTotp:
    """A user with TOTP needs a recent session, whatever password is given."""

    REQUESTS = [
        ("PUT", "/api/auth/password", CHANGE),
        ("PUT", "/api/auth/email", {"email": NEW_EMAIL, **PASSWORD}),
        ("PUT", "/api/auth/email", {"email": NEW_EMAIL}),
        ("DELETE", "/api/users/me", PASSWORD),
        ("DELETE", "/api/users/{id}", PASSWORD),
    ]

    @pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
    @pytest.mark.parametrize("wrong", [{}, {"current_password": "wrong"}], ids=["right", "wrong"])
    def test_password_is_not_enough(self, api, clock, factor, method, path, body, wrong):
        path = path.format(id=User.objects.get().id)
        clock.shift(RECENT_SECONDS)
        response = api.request(method, path, token=factor.token, json=body | wrong)
        assert_error(response, 401, NEEDED)
        code = code_of(factor.secret)
        token = reauthenticate(api, factor.token, code=code).json()["token"]
        assert api.request(method, path, token=token, json=body).status_code == 200

    @pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
    def test_wrong_password_is_refused_in_a_recent_session(self, api, factor, method, path, body):
        path = path.format(id=User.objects.get().id)
        wrong = body | {"current_password": "wrong"}
        response = api.request(method, path, token=factor.token, json=wrong)
        errors = assert_error(response, 400, "SchemaValidationError")
        assert errors.keys() == {"current_password"}

    def test_login_by_code_is_recent(self, api, clock, factor):
        clock.shift(RECENT_SECONDS)
        tokens = log_in_by_code(api, code_of(factor.secret)).json()
        response = api.put("/api/auth/password", token=tokens["token"], json=CHANGE)
        assert response.status_code == 200


class TestOrderOfChecks:
    """First the token (401), then what the user may do (403), recent, the fields (400), ids."""

    WRONG = {"unknown": 1}

    def test_token_comes_before_all(self, api, clock, ada):
        clock.shift(900)
        response = api.post(TOTP_PATH, token=ada["token"], json=self.WRONG)
        assert_error(response, 401, "ExpiredTokenError")

    def test_verified_email_comes_before_a_recent_session(self, api, clock, ada):
        clock.shift(RECENT_SECONDS)
        response = api.post(TOTP_PATH, token=ada["token"], json=self.WRONG)
        assert_error(response, 403, "EmailNotVerifiedError")

    def test_role_comes_before_a_recent_session(self, api, clock, now):
        clock.shift(RECENT_SECONDS)
        other = create_user(EVE["email"])
        fields = EVE | {"role": "admin"}
        for method, path, body in (
            ("POST", "/api/users", fields),
            ("PATCH", f"/api/users/{other.id}", {"role": "admin"}),
            ("DELETE", f"/api/users/{other.id}", None),
        ):
            with case(method=method):
                response = api.request(method, path, token=now["token"], json=body)
                assert_error(response, 403, "ForbiddenError")

    def test_role_comes_before_the_fields(self, api, now):
        other = create_user(EVE["email"])
        for method, path in (
            ("POST", "/api/users"),
            ("PATCH", f"/api/users/{other.id}"),
            ("DELETE", f"/api/users/{other.id}"),
            ("DELETE", f"/api/users/{'0' * 24}"),
        ):
            with case(method=method, path=path):
                response = api.request(method, path, token=now["token"], json=self.WRONG)
                assert_error(response, 403, "ForbiddenError")

    def test_recent_session_comes_before_the_fields(self, api, clock, now):
        become_admin()
        requests = [
            ("POST", TOTP_PATH),
            ("DELETE", TOTP_PATH),
            ("DELETE", "/api/auth/sessions"),
            ("DELETE", "/api/auth/sessions/0000000000000000"),
            ("DELETE", f"/api/users/{'0' * 24}"),
        ]
        clock.shift(RECENT_SECONDS)
        for method, path in requests:
            with case(method=method, path=path):
                response = api.request(method, path, token=now["token"], json=self.WRONG)
                assert_error(response, 401, NEEDED)
        token = reauthenticate(api, now["token"], **PASSWORD).json()["token"]
        for method, path in requests:
            with case(method=method, path=path):
                response = api.request(method, path, token=token, json=self.WRONG)
                assert assert_error(response, 400, "SchemaValidationError").keys() == {"unknown"}

    def test_recent_session_comes_before_ids(self, api, clock, now):
        become_admin()
        requests = {
            "/api/auth/sessions/0000000000000000": "SessionNotExistsError",
            f"/api/users/{'0' * 24}": "UserNotExistsError",
        }
        clock.shift(RECENT_SECONDS)
        for path in requests:
            assert_error(api.delete(path, token=now["token"]), 401, NEEDED)
        token = reauthenticate(api, now["token"], **PASSWORD).json()["token"]
        for path, error in requests.items():
            assert_error(api.delete(path, token=token), 404, error)

    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    def test_body_comes_first_where_a_field_decides(self, api, clock, now, method):
        become_admin()
        path = "/api/users" if method == "POST" else f"/api/users/{'0' * 24}"
        clock.shift(RECENT_SECONDS)
        for role in ("boss", None, 1):
            response = api.request(method, path, token=now["token"], json={"role": role})
            assert "role" in assert_error(response, 400, "SchemaValidationError")
