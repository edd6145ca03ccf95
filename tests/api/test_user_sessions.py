"""What an admin does for another user: ends their sessions, mails them a link."""

import pytest

from database.models import Job, User
from tests.support.assertions import assert_error, case
from tests.support.client import ADA, EVE
from tests.support.email_client import (
    NEW_EMAIL,
    change_email,
    confirm,
    is_verified,
    recipients_and_links,
)
from tests.support.factor_client import RECENT_SECONDS, reauthenticate
from tests.support.operators import mail_link, path_of
from tests.support.smtp_server import token_in
from tests.support.tokens import decode_parts
from tests.support.users import create_user

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
FIELDS = {"id", "created_at", "last_used_at", "user_agent", "device", "ip", "current"}
REQUESTS = (("GET", "sessions"), ("DELETE", "sessions"), ("POST", "reset"))


def list_sessions(api, operator, email=ADA["email"]):
    response = api.get(path_of(email, "/sessions"), token=operator["token"])
    assert response.status_code == 200, response.text
    return response.json()


def end_sessions(api, operator, email=ADA["email"]):
    return api.delete(path_of(email, "/sessions"), token=operator["token"])


class TestListSessions:
    def test_admin_sees_what_the_user_sees(self, api, ada, operator, clock):
        clock.shift(60)
        other = api.log_in().json()
        own = api.get("/api/auth/sessions", token=other["token"]).json()
        assert [session["current"] for session in own] == [True, False]
        listed = list_sessions(api, operator)
        assert listed == [session | {"current": False} for session in own]
        assert all(session.keys() == FIELDS for session in listed)

    def test_own_session_is_current(self, api, operator):
        (session,) = list_sessions(api, operator, "root@example.com")
        assert session["current"] is True

    def test_session_tells_device_and_last_ip(self, make_app, http, operator):
        http.app = make_app(TRUSTED_PROXIES=1)
        http.sign_up()
        headers = {"User-Agent": FIREFOX, "X-Forwarded-For": "203.0.113.7"}
        pair = http.post("/api/auth/login", json=ADA, headers=headers).json()
        (session,) = list_sessions(http, operator)
        assert (session["device"], session["ip"]) == ("Firefox on Linux", "203.0.113.7")
        http.refresh(pair["refresh_token"], **{"X-Forwarded-For": "198.51.100.9"})
        (session,) = list_sessions(http, operator)
        # A refresh by another client changes no user agent.
        assert (session["device"], session["ip"]) == ("Firefox on Linux", "198.51.100.9")

    def test_session_of_an_earlier_version_is_listed(self, api, ada, operator):
        path = f"sessions__{decode_parts(ada['token'])[1]['sid']}"
        User.objects(email=ADA["email"]).update(**{f"unset__{path}__ip": 1})
        (session,) = list_sessions(api, operator)
        assert (session["device"], session["ip"]) == ("Python", "")

    def test_expired_session_is_not_listed(self, api, ada, operator):
        path = f"set__sessions__{decode_parts(ada['token'])[1]['sid']}__created_at"
        User.objects(email=ADA["email"]).update(**{path: 0.0})
        assert list_sessions(api, operator) == []


class TestEndSessions:
    def test_every_session_of_the_user_ends(self, api, ada, eve, operator, count_events):
        other = api.log_in().json()
        assert end_sessions(api, operator).status_code == 200
        for pair in (ada, other):
            assert_error(api.verify(pair["token"]), 401, "SessionEndedError")
            assert_error(api.refresh(pair["refresh_token"]), 401, "SessionEndedError")
        for pair in (eve, operator):
            assert api.verify(pair["token"]).status_code == 200
        assert list_sessions(api, operator) == []
        assert count_events("sessions_revoked") == 1
        assert api.log_in().status_code == 200

    def test_change_of_the_email_that_waits_is_void(self, api, change_token, operator):
        assert end_sessions(api, operator).status_code == 200
        assert_error(confirm(api, change_token), 401, "UsedTokenError")
        assert User.objects.get(email=ADA["email"])

    def test_admin_ends_their_own(self, api, operator):
        assert end_sessions(api, operator, "root@example.com").status_code == 200
        assert_error(api.verify(operator["token"]), 401, "SessionEndedError")


class TestMailLink:
    @pytest.fixture
    def settings(self, settings):
        """Return settings under which a change of the email mails a link."""
        return {**settings, "EMAIL_VERIFICATION": "optional"}

    def test_user_gets_a_reset_link(self, api, ada, operator, mails, count_events):
        mails()
        assert mail_link(api, operator).status_code == 200
        (mail,) = mails()
        assert recipients_and_links([mail]) == [(ADA["email"], "pwd_reset")]
        assert api.reset(token_in(mail)).status_code == 200
        assert count_events("reset_link_mailed") == 1

    def test_link_does_not_follow_the_user_to_another_email(
        self, api, change_token, operator, mails
    ):
        mail_link(api, operator)
        assert confirm(api, change_token).json()["email"] == NEW_EMAIL
        assert recipients_and_links(mails()) == [(ADA["email"], "undo")]

    def test_nothing_else_changes(self, api, verified, operator, mails):
        change_email(api, verified["token"])
        token = token_in(mails()[0])
        mail_link(api, operator)
        assert is_verified(api, verified["token"])
        assert confirm(api, token).status_code == 200


class TestOrderOfChecks:
    """First the token (401), then the role (403), recent, the fields (400), the id (404)."""

    WRONG = {"unknown": 1}

    @pytest.mark.parametrize(("method", "part"), REQUESTS)
    def test_each_check_comes_in_its_turn(self, api, ada, operator, clock, method, part):
        unknown = f"/api/users/{'0' * 24}/{part}"
        needs_recent = method == "DELETE"

        def send(path, token, body=self.WRONG):
            return api.request(method, path, token=token, json=body)

        assert_error(send(unknown, None), 401, "MissingTokenError")
        assert_error(send(unknown, operator["refresh_token"]), 401, "BadTokenError")
        for path in (unknown, path_of(part=f"/{part}")):  # not even of themself
            assert_error(send(path, ada["token"]), 403, "ForbiddenError")
        token = operator["token"]
        clock.shift(RECENT_SECONDS)
        if needs_recent:
            assert_error(send(unknown, token), 401, "ReauthenticationRequiredError")
            proof = {"current_password": ADA["password"]}
            token = reauthenticate(api, token, **proof).json()["token"]
        errors = assert_error(send(unknown, token), 400, "SchemaValidationError")
        assert errors.keys() == {"unknown"}
        for user_id in ("0" * 24, "x", "$ne"):
            with case(user_id=user_id):
                response = send(f"/api/users/{user_id}/{part}", token, None)
                assert_error(response, 404, "UserNotExistsError")

    @pytest.mark.parametrize("disabled", [True, False])
    def test_change_of_disabled_needs_a_recent_session(self, api, operator, clock, disabled):
        create_user(EVE["email"])
        clock.shift(RECENT_SECONDS)
        path, body = path_of(EVE["email"]), {"disabled": disabled, "name": "Eve"}
        response = api.patch(path, token=operator["token"], json=body)
        assert_error(response, 401, "ReauthenticationRequiredError")
        user = User.objects.get(email=EVE["email"])
        assert (user.name, user.is_disabled) == (None, False)
        wrong = {"disabled": "x"}  # a field decides, so the fields come first
        response = api.patch(path, token=operator["token"], json=wrong)
        assert_error(response, 400, "SchemaValidationError")
        proof = {"current_password": ADA["password"]}
        token = reauthenticate(api, operator["token"], **proof).json()["token"]
        assert api.patch(path, token=token, json=body).json()["disabled"] is disabled

    def test_invitation_of_an_admin_needs_a_recent_session(self, api, operator, clock):
        clock.shift(RECENT_SECONDS)
        body = {"email": EVE["email"], "role": "admin"}
        response = api.post("/api/users", token=operator["token"], json=body)
        assert_error(response, 401, "ReauthenticationRequiredError")
        assert (User.objects.count(), Job.objects.count()) == (1, 0)
        del body["role"]
        assert api.post("/api/users", token=operator["token"], json=body).status_code == 200
