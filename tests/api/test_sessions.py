"""The sessions of a user: listed, revoked one by one or all."""

import re

import bson
import pytest

from database.models import User
from services import session_service, token_service
from services.session_service import BY_CODE, MAX_SESSIONS
from services.token_service import REFRESH
from tests.support.assertions import assert_error
from tests.support.client import ADA

FIELDS = {"id", "created_at", "last_used_at", "user_agent", "device", "ip", "current"}


def list_sessions(api, tokens):
    return api.get("/api/auth/sessions", token=tokens["token"]).json()


class TestListSessions:
    def test_list_shows_each_login_newest_first(self, api, ada, clock):
        clock.shift(60)
        agent = {"User-Agent": "A phone " + "x" * 500}
        phone = api.post("/api/auth/login", json=ADA, headers=agent).json()
        clock.shift(60)
        sessions = list_sessions(api, ada)
        assert [session["current"] for session in sessions] == [False, True]
        assert sessions[0]["user_agent"] == agent["User-Agent"][:200]
        assert [session["current"] for session in list_sessions(api, phone)] == [True, False]
        for session in sessions:
            assert session.keys() == FIELDS
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", session["created_at"])
        assert sessions[0]["created_at"] > sessions[1]["created_at"]

    def test_list_has_no_token(self, api, ada):
        text = api.get("/api/auth/sessions", token=ada["token"]).text
        assert "eyJ" not in text
        assert "generation" not in text

    def test_refresh_is_a_use_and_another_request_is_not(self, api, ada, clock):
        first = list_sessions(api, ada)[0]
        clock.shift(60)
        api.verify(ada["token"])
        assert list_sessions(api, ada)[0]["last_used_at"] == first["last_used_at"]
        new = api.refresh(ada["refresh_token"]).json()
        session = list_sessions(api, new)[0]
        assert session["last_used_at"] > first["last_used_at"]
        assert session["created_at"] == first["created_at"]

    def test_expired_session_is_not_listed(self, api, ada, clock):
        clock.shift(2592000 - 60)
        new = api.log_in().json()
        clock.shift(61)
        assert [session["current"] for session in list_sessions(api, new)] == [True]


class TestRevokeSession:
    def test_only_that_session_is_revoked(self, api, ada):
        other = api.log_in().json()
        sessions = list_sessions(api, ada)
        (session_id,) = (session["id"] for session in sessions if not session["current"])
        path = f"/api/auth/sessions/{session_id}"
        assert api.delete(path, token=ada["token"]).status_code == 200
        assert api.verify(other["token"]).status_code == 401
        assert api.refresh(other["refresh_token"]).status_code == 401
        assert api.verify(ada["token"]).status_code == 200
        assert_error(api.delete(path, token=ada["token"]), 404, "SessionNotExistsError")

    @pytest.mark.parametrize("suffix", ["", ".generation", ".rotated", "%2e", "%00"])
    def test_session_of_another_user_is_not_revoked(self, api, ada, eve, suffix):
        session_id = list_sessions(api, ada)[0]["id"]
        response = api.delete(f"/api/auth/sessions/{session_id}{suffix}", token=eve["token"])
        assert response.status_code == 404
        assert response.json()["message"] == "Session with given id doesn't exist"
        assert api.verify(ada["token"]).status_code == 200
        assert len(list_sessions(api, eve)) == 1

    def test_path_to_a_field_of_a_session_revokes_nothing(self, api, ada):
        session_id = list_sessions(api, ada)[0]["id"]
        response = api.delete(f"/api/auth/sessions/{session_id}.generation", token=ada["token"])
        assert response.status_code == 404
        assert api.verify(ada["token"]).status_code == 200


class TestRevokeAllSessions:
    def test_every_session_is_revoked_the_current_too(self, api, ada, eve):
        other = api.log_in().json()
        assert api.delete("/api/auth/sessions", token=ada["token"]).status_code == 200
        assert [api.verify(tokens["token"]).status_code for tokens in (ada, other)] == [401, 401]
        assert api.verify(eve["token"]).status_code == 200


class TestDocumentSize:
    def test_user_with_every_session_stays_under_32_kib(self, app, api, ada):
        user = User.objects.get()
        with app.app_context():
            for _ in range(MAX_SESSIONS + 1):
                tokens = session_service.create(user, "x" * 1000, BY_CODE)
                for _ in range(10):
                    claims = token_service.decode(tokens["refresh_token"], REFRESH)
                    tokens = session_service.refresh(claims)
        stored = User.objects.get().to_mongo()
        assert len(stored["sessions"]) == MAX_SESSIONS
        assert len(bson.encode(stored)) < 32 * 1024
