"""Changing a password that the user knows, and what it does to sessions and reset links."""

import pytest

from database.models import User
from services import password_service
from tests.support.assertions import assert_error
from tests.support.client import ADA, NEW_PASSWORD
from tests.support.concurrency import run_simultaneously
from tests.support.smtp_server import text_of
from tests.support.tokens import reset_token
from tests.support.users import create_session, create_user

# Twenty found every race that was put in on purpose.
EACH_ROUNDS = pytest.mark.parametrize("rounds", [20, pytest.param(50, marks=pytest.mark.slow)])


def change_password(api, tokens, current=ADA["password"], new=NEW_PASSWORD, **fields):
    body = {"current_password": current, "password": new} | fields
    return api.put("/api/auth/password", json=body, token=tokens["token"])


class TestChangePassword:
    def test_other_sessions_are_revoked_the_current_is_not(self, api, ada, mailbox):
        other = api.log_in().json()
        assert change_password(api, ada).status_code == 200
        assert api.verify(ada["token"]).status_code == 200
        assert api.refresh(ada["refresh_token"]).status_code == 200
        assert api.verify(other["token"]).status_code == 401
        assert api.refresh(other["refresh_token"]).status_code == 401
        assert api.log_in().status_code == 401
        assert api.log_in(password=NEW_PASSWORD).status_code == 200
        assert "was just changed" in text_of(mailbox.wait_for(1)[0])

    def test_reset_links_are_void_afterwards(self, api, ada, mailed_token):
        change_password(api, ada)
        assert_error(api.reset(mailed_token), 401, "UsedTokenError")

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"current": "wrong"}, "current_password"),
            ({"new": "password1"}, "password"),
            ({"new": ADA["email"]}, "password"),
            ({"password_confirmation": "another"}, "password_confirmation"),
            ({"role": "admin"}, "role"),
        ],
        ids=["wrong current", "weak", "email", "differs", "unknown field"],
    )
    def test_refused_change_changes_nothing(self, api, ada, fields, field):
        response = change_password(api, ada, **fields)
        assert assert_error(response, 400, "SchemaValidationError").keys() == {field}
        assert api.log_in().status_code == 200
        assert User.objects.get().password_version == 0


class TestSimultaneousChanges:
    def test_one_of_16_succeeds_the_others_get_a_clear_error(self, api, ada):
        responses = run_simultaneously(
            16, lambda number: change_password(api, ada, new=f"{NEW_PASSWORD} {number}")
        )
        assert sorted(response.status_code for response in responses) == [200] + [400] * 15
        for number, response in enumerate(responses):
            if response.status_code == 200:
                assert api.log_in(password=f"{NEW_PASSWORD} {number}").status_code == 200
            else:
                assert response.json()["errors"].keys() == {"current_password"}
        assert User.objects.get().password_version == 1
        assert api.verify(ada["token"]).status_code == 200

    def test_simultaneous_refresh_is_not_undone(self, api, ada):
        for _ in range(10):
            before = User.objects.get().password_version
            tokens = api.log_in().json()
            requests = (
                lambda tokens=tokens: api.refresh(tokens["refresh_token"]),
                lambda tokens=tokens: change_password(api, tokens, new=ADA["password"]),
            )
            refreshed, changed = run_simultaneously(
                2, lambda number, requests=requests: requests[number]()
            )
            assert refreshed.status_code == 200
            assert changed.status_code in (200, 401)
            assert User.objects.get().password_version - before == (changed.status_code == 200)
            assert api.verify(refreshed.json()["token"]).status_code == 200

    def test_refresh_during_the_hashing_refuses_the_change(self, api, ada, monkeypatch):
        refreshed, hash_password = [], password_service.hash_password

        def hash_slowly(password):
            refreshed.append(api.refresh(ada["refresh_token"]).json())
            return hash_password(password)

        monkeypatch.setattr(password_service, "hash_password", hash_slowly)
        assert_error(change_password(api, ada), 401, "BadTokenError")
        assert api.verify(refreshed[0]["token"]).status_code == 200
        assert User.objects.get().password_version == 0

    def test_change_during_a_deletion_refuses_the_deletion(self, api, ada, monkeypatch):
        verify_current_password = password_service.verify_current_password

        def verify_slowly(user, password):
            verify_current_password(user, password)
            User.objects.update(inc__password_version=1)

        monkeypatch.setattr(password_service, "verify_current_password", verify_slowly)
        body = {"current_password": ADA["password"]}
        response = api.delete("/api/users/me", json=body, token=ada["token"])
        assert_error(response, 401, "BadTokenError")
        assert User.objects.get().email == ADA["email"]


class TestRaces:
    """A password change or reset leaves no session that a simultaneous request created."""

    @EACH_ROUNDS
    @pytest.mark.parametrize("change", ["reset", "change"])
    @pytest.mark.parametrize("request_name", ["login", "refresh"])
    def test_no_token_of_another_session_survives(self, app, api, request_name, change, rounds):
        for number in range(rounds):
            user = create_user(f"user{number}@example.com")
            own, other = create_session(app, user), create_session(app, user)
            token = reset_token(app, user)
            calls = {
                "login": lambda email=user.email: api.log_in(email=email),
                "refresh": lambda tokens=other: api.refresh(tokens["refresh_token"]),
                "change": lambda tokens=own: change_password(api, tokens),
                "reset": lambda token=token: api.reset(token),
            }
            pair = calls[request_name], calls[change]
            response, changed = run_simultaneously(2, lambda index, pair=pair: pair[index]())
            assert changed.status_code == 200
            if response.status_code == 200:
                assert api.verify(response.json()["token"]).status_code == 401
                assert api.refresh(response.json()["refresh_token"]).status_code == 401
