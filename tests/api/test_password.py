"""Changing a password that the user knows, and what it does to sessions and reset links."""

import pytest

from database.models import REMEMBERED_GENERATIONS, User
from services import password_service, session_grace, session_service, token_service
from services.token_service import ACCESS, REFRESH
from tests.support.assertions import assert_error
from tests.support.client import ADA, NEW_PASSWORD
from tests.support.concurrency import run_simultaneously
from tests.support.smtp_server import text_of
from tests.support.tokens import decode_parts, reset_token
from tests.support.users import create_session, create_user

# Twenty found every race that was put in on purpose.
EACH_ROUNDS = pytest.mark.parametrize("rounds", [20, pytest.param(50, marks=pytest.mark.slow)])


def change_password(api, tokens, current=ADA["password"], new=NEW_PASSWORD, **fields):
    body = {"current_password": current, "password": new} | fields
    return api.put("/api/auth/password", json=body, token=tokens["token"])


class TestChangePassword:
    def test_response_is_the_next_pair_not_to_be_stored(self, api, ada):
        response = change_password(api, ada)
        new = response.json()
        assert new.keys() == ada.keys()
        assert response.headers["Cache-Control"] == "no-store"
        assert api.verify(new["token"]).status_code == 200
        assert api.refresh(new["refresh_token"]).status_code == 200

    def test_other_sessions_are_revoked(self, api, ada, mailbox):
        other = api.log_in().json()
        assert change_password(api, ada).status_code == 200
        assert_error(api.verify(other["token"]), 401, "SessionEndedError")
        assert_error(api.refresh(other["refresh_token"]), 401, "SessionEndedError")
        assert api.log_in().status_code == 401
        assert api.log_in(password=NEW_PASSWORD).status_code == 200
        assert "was just changed" in text_of(mailbox.wait_for(1)[0])

    @pytest.mark.parametrize("seconds", [0, 9, 61, 800])
    def test_previous_pair_is_revoked_at_once(self, api, ada, clock, seconds):
        new = change_password(api, ada).json()
        clock.shift(seconds)
        for response in (api.verify(ada["token"]), api.refresh(ada["refresh_token"])):
            assert_error(response, 401, "SupersededTokenError")
        assert_error(api.log_out(ada["token"]), 401, "SupersededTokenError")
        assert api.verify(new["token"]).status_code == 200
        assert api.refresh(new["refresh_token"]).status_code == 200

    def test_pair_in_its_grace_is_revoked_at_once(self, api, ada):
        second = api.refresh(ada["refresh_token"]).json()
        new = change_password(api, second).json()
        for old in (ada, second):
            for response in (api.verify(old["token"]), api.refresh(old["refresh_token"])):
                assert_error(response, 401, "SupersededTokenError")
        assert api.refresh(new["refresh_token"]).status_code == 200

    def test_reuse_of_an_older_token_still_revokes_the_session(self, api, ada, clock):
        second = api.refresh(ada["refresh_token"]).json()
        clock.shift(61)
        new = change_password(api, second).json()
        assert_error(api.refresh(ada["refresh_token"]), 401, "SessionEndedError")
        assert_error(api.verify(new["token"]), 401, "SessionEndedError")

    def test_pair_of_each_change_stays_superseded(self, api, ada):
        pairs = [ada]
        for number in range(3):
            current = f"{NEW_PASSWORD} {number - 1}" if number else ADA["password"]
            new = f"{NEW_PASSWORD} {number}"
            pairs.append(change_password(api, pairs[-1], current, new).json())
            pairs.append(api.refresh(pairs[-1]["refresh_token"]).json())
        for replaced in pairs[:-1:2]:
            assert_error(api.refresh(replaced["refresh_token"]), 401, "SupersededTokenError")
        assert api.verify(pairs[-1]["token"]).status_code == 200

    def test_access_token_in_its_grace_changes_it(self, api, ada):
        second = api.refresh(ada["refresh_token"]).json()
        new = change_password(api, ada).json()
        assert api.verify(new["token"]).status_code == 200
        assert_error(api.verify(second["token"]), 401, "SupersededTokenError")

    def test_session_does_not_last_longer(self, api, clock, ada):
        before = decode_parts(ada["refresh_token"])[1]
        stored = User.objects.get().sessions[before["sid"]]
        clock.shift(600)
        pair = change_password(api, ada).json()
        after = decode_parts(pair["refresh_token"])[1]
        for name in ("sid", "exp"):
            assert after[name] == before[name]
        times = [decode_parts(it["token"])[1]["auth_time"] for it in (ada, pair)]
        assert times[0] == times[1]
        session = User.objects.get().sessions[before["sid"]]
        assert (session.created_at, session.last_used_at, session.user_agent) == (
            *(stored.created_at, stored.last_used_at, stored.user_agent),
        )

    def test_number_of_remembered_generations_is_bounded(self, app, ada):
        user, tokens = User.objects.get(), ada
        with app.app_context():
            for _ in range(3 * REMEMBERED_GENERATIONS):
                claims = token_service.decode(tokens["refresh_token"], REFRESH)
                tokens = session_service.refresh(claims)
                claims = token_service.decode(tokens["token"], ACCESS)
                _, session = session_service.find(claims)
                kept = {claims["sid"]: session_grace.replace_without_grace(session)}
                user.change_credentials({}, {}, kept)
                user = User.objects.get()
                tokens = session_service.issue_tokens(user, claims["sid"], kept[claims["sid"]])
        (session,) = user.sessions.values()
        assert len(session.without_grace) == REMEMBERED_GENERATIONS
        assert session.rotated == session.refreshed_by == {}

    def test_reset_links_are_void_afterwards(self, api, ada, mailed_token):
        change_password(api, ada)
        assert_error(api.reset(mailed_token), 401, "UsedTokenError")

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"current": "wrong"}, "current_password"),
            ({"new": "password1"}, "password"),
            ({"new": ""}, "password"),
            ({"new": ADA["email"]}, "password"),
            ({"password_confirmation": "another"}, "password_confirmation"),
            ({"role": "admin"}, "role"),
        ],
        ids=["wrong current", "weak", "empty", "email", "differs", "unknown field"],
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
        assert sorted(response.status_code for response in responses) == [200] + [401] * 15
        for number, response in enumerate(responses):
            if response.status_code == 200:
                assert api.log_in(password=f"{NEW_PASSWORD} {number}").status_code == 200
                assert api.verify(response.json()["token"]).status_code == 200
            else:
                assert_error(response, 401, "SupersededTokenError")
        assert User.objects.get().password_version == 1

    def test_one_pair_survives_a_simultaneous_refresh(self, api, ada):
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
            responses = [refreshed, changed]
            assert {response.status_code for response in responses} <= {200, 401}
            assert User.objects.get().password_version - before == (changed.status_code == 200)
            # The pair of a change is never replaced by a simultaneous refresh.
            newest = changed if changed.status_code == 200 else refreshed
            assert api.verify(newest.json()["token"]).status_code == 200

    def test_refresh_during_the_hashing_refuses_the_change(self, api, ada, monkeypatch):
        refreshed, hash_password = [], password_service.hash_password

        def hash_slowly(password):
            refreshed.append(api.refresh(ada["refresh_token"]).json())
            return hash_password(password)

        monkeypatch.setattr(password_service, "hash_password", hash_slowly)
        assert_error(change_password(api, ada), 401, "SupersededTokenError")
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
        assert_error(response, 401, "SessionEndedError")
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
