"""Accounts whose owner is invited to set the first password (contract: Invitation)."""

import pytest

from database.models import ADMIN, Job, User
from services import token_service
from services.token_service import PWD_RESET
from tests.support.assertions import assert_error
from tests.support.client import ADA, NEW_PASSWORD
from tests.support.email_client import (
    DAY,
    NEW_EMAIL,
    move,
    recipients_and_links,
    resend,
    scope_in,
)
from tests.support.operators import accept, disable, enable, invite, mail_link, path_of
from tests.support.smtp_server import text_of, token_in
from tests.support.users import create_session, create_user

INVITED = [(ADA["email"], "invite")]


@pytest.fixture
def settings(settings):
    """Return settings under which a signup mails a link."""
    return {**settings, "EMAIL_VERIFICATION": "optional"}


@pytest.fixture
def token(api, operator, mails):
    """Return the token of Ada's invitation."""
    assert invite(api, operator).status_code == 200
    return token_in(mails()[0])


def run(api, *words):
    """Run a command of `user` at the shell."""
    return api.app.test_cli_runner().invoke(args=["user", *words])


class TestInvite:
    """POST /api/users without a password."""

    def test_user_gets_a_link_and_has_no_password(self, api, operator, mails, count_events):
        response = invite(api, operator, name="Ada", role="admin", locale="de")
        user = response.json()
        expected = {"email": ADA["email"], "name": "Ada", "role": "admin", "locale": "de"}
        expected |= {"invited": True, "verified": False, "disabled": False}
        assert user == expected | {"id": user["id"], "created_at": user["created_at"]}
        path = f"/api/users/{user['id']}"
        assert response.headers["Location"] == f"https://movie-bag.example{path}"
        assert api.get(path, token=operator["token"]).json() == user
        assert recipients_and_links(mails()) == INVITED
        assert User.objects.get(email=ADA["email"]).password == ""
        assert (count_events("user_invited"), count_events("signup")) == (1, 0)

    def test_mail_says_for_how_long(self, api, operator, mails):
        invite(api, operator)
        text = text_of(mails()[0])
        assert "https://movie-bag.example/invite/eyJ" in text
        assert "within 3 days" in " ".join(text.split())

    def test_settings_say_where_to_and_for_how_long(self, make_app, http, operator, mails):
        url = "https://app.example/welcome?t={token}"
        http.app = make_app(INVITE_URL=url, INVITE_TOKEN_EXPIRE_HOURS=1)
        invite(http, operator)
        text = text_of(mails()[0])
        assert "https://app.example/welcome?t=eyJ" in text
        assert "within 1 hour" in " ".join(text.split())

    def test_user_with_a_password_is_not_invited(self, api, operator, mails):
        assert invite(api, operator, password=ADA["password"]).json()["invited"] is False
        assert recipients_and_links(mails()) == [(ADA["email"], "confirm")]
        assert api.log_in().status_code == 200

    def test_email_of_a_user_is_refused(self, api, operator, token, mails):
        create_user("eve@example.com")
        for email in (ADA["email"].upper(), "eve@example.com"):
            response = invite(api, operator, email=email)
            assert_error(response, 400, "EmailAlreadyExistsError")
        assert mails() == []

    def test_email_that_is_reserved_is_refused(self, api, operator, verified, mails):
        move(api, mails, verified["token"], NEW_EMAIL)
        assert_error(invite(api, operator), 400, "EmailAlreadyExistsError")

    @pytest.mark.parametrize(
        ("fields", "named"),
        [
            ({"password_confirmation": ADA["password"]}, "password"),
            ({"password": None}, "password"),
            ({"role": "root"}, "role"),
        ],
    )
    def test_invalid_field_is_refused(self, api, operator, fields, named):
        errors = assert_error(invite(api, operator, **fields), 400, "SchemaValidationError")
        assert errors.keys() == {named}
        assert User.objects.count() == 1

    def test_user_may_not(self, api, ada):
        assert_error(invite(api, ada, email=NEW_EMAIL), 403, "ForbiddenError")


class TestAccept:
    """POST /api/auth/invite."""

    @pytest.mark.parametrize("place", ["body", "header"])
    def test_first_password_is_set(self, api, operator, mails, place, count_events):
        before = invite(api, operator, name="Ada", role="admin").json()
        token, body = token_in(mails()[0]), {"password": NEW_PASSWORD}
        sent = {"json": body, "token": token}
        if place == "body":
            sent = {"json": body | {"invite_token": token}, "token": "nonsense"}
        response = api.post("/api/auth/invite", **sent)
        assert response.status_code == 200
        assert response.json() == {"message": response.json()["message"], "email": ADA["email"]}
        assert User.objects.get(email=ADA["email"]).sessions == {}  # nobody is logged in
        tokens = api.log_in(password=NEW_PASSWORD).json()
        after = api.get("/api/users/me", token=tokens["token"]).json()
        assert after == before | {"invited": False, "verified": True}
        assert api.get("/api/users", token=tokens["token"]).status_code == 200
        assert count_events("invitation_accepted") == 1

    def test_link_works_once(self, api, token):
        assert accept(api, token).status_code == 200
        assert_error(accept(api, token, ADA["password"]), 401, "UsedTokenError")
        assert api.log_in(password=NEW_PASSWORD).status_code == 200

    def test_other_links_are_void_then(self, api, operator, token, mails):
        mail_link(api, operator)
        other = token_in(mails()[0])
        assert accept(api, token).status_code == 200
        assert_error(accept(api, other), 401, "UsedTokenError")

    @pytest.mark.parametrize(
        ("fields", "named"),
        [
            ({"password": "password1"}, "password"),
            ({"password": ADA["email"]}, "password"),
            ({"password": NEW_PASSWORD, "password_confirmation": "x"}, "password_confirmation"),
        ],
    )
    def test_refused_password_spends_nothing(self, api, token, fields, named):
        response = api.post("/api/auth/invite", json={"invite_token": token, **fields})
        assert assert_error(response, 400, "SchemaValidationError").keys() == {named}
        assert accept(api, token).status_code == 200

    def test_expired_link_says_so(self, api, clock, token):
        clock.shift(3 * DAY)
        response = accept(api, token)
        assert_error(response, 401, "ExpiredTokenError")
        assert response.json()["message"].startswith("The invitation has expired")


class TestPage:
    """GET and POST /invite/<token>."""

    def submit(self, api, token, **fields):
        form = {"password": NEW_PASSWORD, "password_confirmation": NEW_PASSWORD} | fields
        return api.post(f"/invite/{token}", data=form)

    def test_opening_it_leaves_the_token_valid(self, api, token):
        before = User.objects.get(email=ADA["email"]).to_mongo()
        for method in ("GET", "HEAD", "GET"):
            response = api.request(method, f"/invite/{token}")
            assert response.status_code == 200
            assert response.headers["Cache-Control"] == "no-store"
        assert f'value="{ADA["email"]}"' in response.text
        assert response.text.count("<form") == 1
        assert User.objects.get(email=ADA["email"]).to_mongo() == before

    def test_form_sets_the_password(self, api, token):
        response = self.submit(api, token)
        assert response.status_code == 200
        assert "Your account is ready" in response.text
        assert ADA["email"] in response.text
        assert api.log_in(password=NEW_PASSWORD).status_code == 200

    def test_weak_password_is_refused_with_the_reason(self, api, token):
        response = self.submit(api, token, password="password1", password_confirmation="password1")
        assert response.status_code == 400
        assert "This is a very common password." in response.text
        assert self.submit(api, token).status_code == 200

    def test_void_link_has_no_form(self, api, token):
        accept(api, token)
        for path in (f"/invite/{token}", "/invite/nonsense"):
            for response in (api.get(path), api.post(path, data={"password": NEW_PASSWORD})):
                assert response.status_code == 401
                assert response.headers["Content-Type"].startswith("text/html")
                assert "<form" not in response.text


def by_an_admin(api):
    return mail_link(api, create_session(api.app, User.objects.get(role=ADMIN))).ok


def by_forgot(api):
    return api.forgot().ok


def by_inviting_at_the_shell(api):
    return run(api, "invite", ADA["email"]).exit_code == 0


def by_resetting_at_the_shell(api):
    return run(api, "reset", ADA["email"]).exit_code == 0


AGAIN = [by_an_admin, by_forgot, by_inviting_at_the_shell, by_resetting_at_the_shell]


class TestAgain:
    """A pending invitation is mailed again, for at most 30 days in all."""

    @pytest.mark.parametrize("ask", AGAIN)
    def test_invitation_is_mailed_again(self, api, clock, token, mails, ask):
        clock.shift(30 * DAY - 60)
        assert ask(api)
        (mail,) = mails()
        assert recipients_and_links([mail]) == INVITED
        assert accept(api, token_in(mail)).status_code == 200

    @pytest.mark.parametrize("ask", AGAIN)
    def test_invitation_is_not_mailed_after_30_days(self, api, clock, token, mails, ask):
        clock.shift(30 * DAY)
        # `forgot` answers as ever.
        assert ask(api) == (ask is by_forgot)
        assert mails() == []

    def test_link_of_the_last_days_ends_with_them(self, api, clock, token, mails):
        clock.shift(29 * DAY)
        by_forgot(api)
        late = token_in(mails()[0])
        clock.shift(DAY)
        assert_error(accept(api, late), 401, "UsedTokenError")

    def test_admin_learns_that_it_is_over(self, api, clock, token):
        clock.shift(30 * DAY)
        response = mail_link(api, create_session(api.app, User.objects.get(role=ADMIN)))
        assert_error(response, 409, "ConflictError")
        assert "invite them again" in response.json()["message"]

    def test_shell_invites_nobody_who_has_a_password(self, api, operator, mails):
        result = run(api, "invite", "root@example.com")
        assert result.exit_code == 1
        assert "already exists" in result.output
        assert mails() == []

    def test_shell_invites(self, api, mails):
        result = run(api, "invite", ADA["email"], "--admin", "--name", "Ada")
        user = User.objects.get()
        assert result.output.split()[-1] == str(user.id)
        assert (user.role, user.name, user.password) == (ADMIN, "Ada", "")
        assert accept(api, token_in(mails()[0])).status_code == 200


class TestPending:
    """A user who has not accepted yet."""

    @pytest.mark.parametrize("verification", ["optional", "required"])
    @pytest.mark.parametrize("password", [ADA["password"], ""], ids=["some", "empty"])
    def test_login_is_refused_as_of_nobody(
        self, make_app, http, operator, mails, verification, password
    ):
        http.app = make_app(EMAIL_VERIFICATION=verification)
        invite(http, operator)
        mails()
        response = http.log_in(password=password)
        unknown = http.log_in(email="eve@example.com", password=password)
        assert (response.status_code, response.json()) == (unknown.status_code, unknown.json())
        assert response.status_code in (400, 401)
        assert mails() == []

    def test_no_other_link_is_mailed(self, api, token, mails):
        resend(api)
        assert mails() == []

    def test_reset_link_of_an_earlier_version_accepts_it(self, app, api, token):
        user = User.objects.get(email=ADA["email"])
        with app.app_context():
            reset_token = token_service.encode(PWD_RESET, user, 60, {"pwv": user.password_version})
        assert api.reset(reset_token).status_code == 200
        assert User.objects.get(email=ADA["email"]).invited_at is None

    def test_second_signup_mails_the_invitation(self, make_app, http, operator, mails):
        http.app = make_app(EMAIL_VERIFICATION="required")
        invite(http, operator)
        mails()
        assert http.sign_up().status_code == 200
        assert recipients_and_links(mails()) == INVITED
        assert User.objects.get(email=ADA["email"]).password == ""

    def test_signup_is_refused(self, api, token):
        assert_error(api.sign_up(), 400, "EmailAlreadyExistsError")

    def test_change_of_name_and_role_is_kept(self, api, operator, token):
        body = {"name": "Ada", "role": "admin"}
        changed = api.patch(path_of(), token=operator["token"], json=body).json()
        assert changed == changed | body | {"invited": True}
        assert accept(api, token).status_code == 200
        user = api.get(path_of(), token=operator["token"]).json()
        assert user == changed | {"invited": False, "verified": True}

    def test_disabling_voids_the_link(self, api, operator, token, mails):
        disable(api, operator)
        assert_error(accept(api, token), 401, "UsedTokenError")
        api.forgot()
        assert mails() == []
        enable(api, operator)
        assert_error(accept(api, token), 401, "UsedTokenError")
        mail_link(api, operator)
        assert accept(api, token_in(mails()[0])).status_code == 200

    def test_disabling_stops_a_queued_invitation(self, api, operator, mails):
        invite(api, operator)
        disable(api, operator)
        assert mails() == []

    def test_deletion_voids_the_link(self, api, operator, token):
        assert api.delete(path_of(), token=operator["token"]).status_code == 200
        assert_error(accept(api, token), 401, "BadTokenError")
        assert not Job.objects(arguments__mail="invitation")

    def test_user_who_has_accepted_resets_as_others(self, api, operator, token, mails):
        accept(api, token)
        for ask in (api.forgot, lambda: mail_link(api, operator)):
            ask()
            (mail,) = mails()
            assert scope_in(mail) == "pwd_reset"
