"""Accounts that an operator has switched off (contract: "Users, for operators", Disabled)."""

import itertools

import pytest

from database import users
from database.models import ADMIN, Job, User
from services.token_service import MFA, UNDO
from tests.support.assertions import assert_error, case
from tests.support.client import ADA, NEW_PASSWORD
from tests.support.email_client import NEW_EMAIL, move, recipients_and_links, resend, undo
from tests.support.factor_client import begin_login, code_of, finish_login
from tests.support.operators import disable, enable, mail_link, path_of, switch
from tests.support.passkeys import log_in as log_in_by_passkey
from tests.support.smtp_server import token_in
from tests.support.token_endpoints import (
    ACCEPTED,
    SESSION_SCOPES,
    assert_rejected,
    send,
    token_of_each_scope,
)
from tests.support.users import create_session, create_user

DISABLED = "AccountDisabledError"


class TestSwitch:
    """PATCH /api/users/<id> with `disabled`."""

    def test_user_is_disabled_and_enabled(self, api, ada, operator):
        path, token = path_of(), operator["token"]
        before = api.get(path, token=token).json()
        assert before["disabled"] is False
        after = switch(api, operator, True).json()
        assert after == api.get(path, token=token).json() == before | {"disabled": True}
        assert switch(api, operator, False).json() == before
        assert api.log_in().status_code == 200

    def test_second_time_changes_nothing(self, api, ada, operator, count_events):
        disable(api, operator)
        stored = User.objects.get(email=ADA["email"]).to_mongo()
        disable(api, operator)
        assert User.objects.get(email=ADA["email"]).to_mongo() == stored
        for _ in range(2):
            enable(api, operator)
        assert (count_events("user_disabled"), count_events("user_enabled")) == (1, 1)

    @pytest.mark.parametrize("value", [None, "yes", "true", 1, 0, []], ids=repr)
    def test_value_is_a_boolean(self, api, ada, operator, value):
        errors = assert_error(switch(api, operator, value), 400, "SchemaValidationError")
        assert errors == {"disabled": errors["disabled"]}
        assert api.verify(ada["token"]).status_code == 200

    def test_name_and_role_change_with_it(self, api, ada, operator):
        body = {"disabled": True, "name": "Ada", "role": "admin"}
        changed = api.patch(path_of(), token=operator["token"], json=body).json()
        assert changed == changed | body

    @pytest.mark.parametrize("value", [True, False])
    def test_user_may_not(self, api, ada, eve, value):
        for tokens in (ada, eve):
            assert_error(switch(api, tokens, value), 403, "ForbiddenError")
        body = {"name": "Ada", "disabled": value}
        response = api.patch("/api/users/me", token=ada["token"], json=body)
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"disabled"}

    def test_admin_disables_themself(self, api, operator):
        create_user(ADA["email"], ADMIN)
        disable(api, operator, "root@example.com")
        assert_error(api.verify(operator["token"]), 401, "SessionEndedError")

    def test_unknown_user_is_not_found(self, api, operator):
        path = f"/api/users/{'0' * 24}"
        response = api.patch(path, token=operator["token"], json={"disabled": True})
        assert_error(response, 404, "UserNotExistsError")


class TestLogin:
    """Only who proves to be the user learns that the account is disabled."""

    def test_right_password_is_refused_with_the_reason(self, api, ada, operator, count_events):
        disable(api, operator)
        response = api.log_in()
        assert_error(response, 403, DISABLED)
        assert response.json()["message"] == "This account is disabled"
        assert (count_events("login_disabled"), count_events("login")) == (1, 0)

    def test_wrong_password_is_refused_as_ever(self, api, ada, operator):
        wrong = {"password": "a wrong password"}
        before = api.log_in(**wrong)
        disable(api, operator)
        after = api.log_in(**wrong)
        assert (after.status_code, after.json()) == (401, before.json())

    def test_refusal_comes_before_the_second_factor(self, api, factor, operator):
        disable(api, operator)
        assert_error(api.log_in(), 403, DISABLED)  # nor does it have an `mfa_token`

    def test_login_that_waits_for_a_code_is_void(self, api, factor, operator):
        mfa_token, code = begin_login(api), code_of(factor.secret)
        disable(api, operator)
        assert_error(finish_login(api, mfa_token, code=code), 401, "UsedTokenError")
        enable(api, operator)
        assert_error(finish_login(api, mfa_token, code=code), 401, "UsedTokenError")
        assert finish_login(api, begin_login(api), code=code).status_code == 200

    def test_passkey_is_refused_with_the_reason(self, api, passkey, operator, count_events):
        disable(api, operator)
        assert_error(log_in_by_passkey(api, passkey), 403, DISABLED)
        assert (count_events("login_disabled"), count_events("login")) == (1, 0)
        assert User.objects.get(email=ADA["email"]).sessions == {}
        enable(api, operator)
        assert log_in_by_passkey(api, passkey).status_code == 200

    def test_refusal_does_not_ask_to_verify_the_email(self, make_app, http, operator, mails):
        http.app = make_app(EMAIL_VERIFICATION="required")
        create_user(ADA["email"])
        disable(http, operator)
        assert_error(http.log_in(), 403, DISABLED)
        assert mails() == []


class TestTokens:
    def test_session_ends_at_once(self, api, ada, operator):
        current = api.refresh(ada["refresh_token"]).json()
        disable(api, operator)
        for _ in ("disabled", "enabled"):
            for pair in (ada, current):  # the first would be in its grace
                assert_rejected(api.verify(pair["token"]), "SessionEndedError")
                assert_rejected(api.refresh(pair["refresh_token"]), "SessionEndedError")
            enable(api, operator)

    def test_session_of_an_earlier_version_does_not_come_alive(self, app, api, ada, operator):
        disable(api, operator)
        user = User.objects.get(email=ADA["email"])
        user.disabled_at = None  # as a process reads it that does not know the field
        token = create_session(app, user)["token"]
        for _ in ("disabled", "enabled"):
            assert_rejected(api.verify(token), "SessionEndedError")
            enable(api, operator)

    @pytest.fixture
    def tokens(self, app, ada):
        """Return a valid token of Ada's of each scope."""
        return token_of_each_scope(app, ada)

    def test_all_are_void_but_an_undo_and_stay_so(self, api, tokens, operator):
        disable(api, operator)
        for state in ("disabled", "enabled"):
            for endpoint, scope in ACCEPTED:
                if scope != UNDO:
                    error = "SessionEndedError" if scope in SESSION_SCOPES else "UsedTokenError"
                    with case(endpoint=endpoint, scope=scope, state=state):
                        assert_rejected(send(api, endpoint, tokens[scope]), error)
            enable(api, operator)
        assert send(api, "undo page", tokens[UNDO]).status_code == 200
        assert MFA in tokens

    def test_user_stays_disabled_after_an_undo(self, api, verified, operator, mails):
        undo_token = token_in(move(api, mails, verified["token"], NEW_EMAIL)[0])
        disable(api, operator, NEW_EMAIL)
        assert undo(api, undo_token).json()["email"] == ADA["email"]
        assert mails() == []  # no link that would not work
        assert User.objects.get(email=ADA["email"]).is_disabled
        enable(api, operator)
        api.forgot()
        assert api.reset(token_in(mails()[0])).status_code == 200
        assert api.log_in(password=NEW_PASSWORD).status_code == 200


class TestMails:
    def test_forgot_mails_nothing(self, api, ada, operator, mails):
        disable(api, operator)
        assert api.forgot().json() == api.forgot("nobody@example.com").json()
        assert mails() == []
        enable(api, operator)
        api.forgot()
        assert recipients_and_links(mails()) == [(ADA["email"], "pwd_reset")]

    def test_resend_mails_nothing(self, api, ada, operator, mails):
        disable(api, operator)
        assert resend(api).status_code == 200
        assert mails() == []

    def test_link_that_is_queued_is_not_mailed(self, api, ada, operator, mails):
        api.forgot()
        mail_link(api, operator)
        disable(api, operator)
        assert mails() == []

    def test_reset_by_an_admin_is_refused(self, api, ada, operator):
        disable(api, operator)
        Job.objects.delete()
        assert_error(mail_link(api, operator), 409, "ConflictError")
        assert Job.objects.count() == 0


LAST_ADMIN = {"PATCH": ({"disabled": True}, {"role": "user"}), "DELETE": (None,)}


class TestLastAdmin:
    @pytest.fixture
    def path(self, operator):
        """Return the path of the operator."""
        return path_of("root@example.com")

    def test_last_admin_is_not_disabled(self, api, operator, path):
        before = User.objects.get().to_mongo()
        assert_error(switch(api, operator, True, "root@example.com"), 409, "LastAdminError")
        assert User.objects.get().to_mongo() == before

    @pytest.mark.parametrize("state", ["disabled_at", "invited_at"])
    @pytest.mark.parametrize("body", [{"disabled": True}, {"role": "user"}], ids=str)
    def test_others_do_not_count(self, api, operator, path, state, body):
        create_user(ADA["email"], ADMIN).modify(**{state: 1.0})
        response = api.patch(path, token=operator["token"], json=body)
        assert_error(response, 409, "LastAdminError")

    @pytest.mark.parametrize("state", ["disabled_at", "invited_at"])
    def test_others_may_go(self, app, operator, state):
        User.objects.delete()
        for command in ("demote", "delete"):
            create_user(ADA["email"], ADMIN).modify(**{state: 1.0})
            yes = ["--yes"] if command == "delete" else []
            result = app.test_cli_runner().invoke(args=["user", command, *yes, ADA["email"]])
            assert result.exit_code == 0, result.output
            assert not User.objects(role=ADMIN)
            User.objects.delete()

    def test_enabled_admin_counts_again(self, api, operator, path):
        create_user(ADA["email"], ADMIN)
        disable(api, operator)
        enable(api, operator)
        response = api.patch(path, token=operator["token"], json={"role": "user"})
        assert response.status_code == 200


REQUESTS = {
    "disable": ("PATCH", {"disabled": True}),
    "demote": ("PATCH", {"role": "user"}),
    "delete": ("DELETE", None),
}


class TestTwoAdmins:
    """Two admins act on each other: one request happens between two commands of the other."""

    @pytest.fixture
    def settings(self, interrupted, settings):
        """Return the settings of an application that can be interrupted."""
        return settings

    @pytest.mark.parametrize(
        ("first", "second"), [("disable", "disable"), ("disable", "demote"), ("delete", "disable")]
    )
    def test_one_remains(self, app, api, interrupted, first, second):
        def send(name, admin, other):
            method, body = REQUESTS[name]
            url = f"/api/users/{other['id']}"
            response = api.request(method, url, token=admin["token"], json=body)
            assert response.status_code in (200, 401, 403, 404, 409), response.text

        for step in itertools.count(1):
            User.objects.delete()
            admins = [create_user(f"{name}@example.com", ADMIN) for name in "ab"]
            a, b = [{"id": it.id, **create_session(app, it)} for it in admins]
            interrupted.after(step, lambda a=a, b=b: send(second, b, a))
            send(first, a, b)
            assert users.find_active_admins().first(), step
            if not interrupted.happened():
                break
        assert step > 3
