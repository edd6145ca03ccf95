"""What operators do for users at the shell: find, show, invite, disable, log out.

The other commands of `flask --app app user`: test_commands.py, test_user_import.py.
"""

import json
import re
import time

import pytest

from database import users
from database.models import ADMIN, USER, Job, User
from infra import audit_log
from services.link_service import DAY, MAX_INVITED_DAYS
from services.token_service import INVITE
from tests.support.assertions import assert_error
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.email_client import scope_in
from tests.support.shell import error_line, output
from tests.support.smtp_server import token_in
from tests.support.tokens import reset_token
from tests.support.users import create_session, create_user

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


class TestList:
    @pytest.fixture
    def listed(self, app, shell):
        """Store four users; return a function that lists them with options, by email."""
        for name, email in (("Ada Lovelace", ADA["email"]), ("Éva Ö", EVE["email"])):
            with app.app_context():
                user = create_user(email, ADMIN if email == EVE["email"] else USER)
                users.set_name(user, name)
        create_user("off@example.com").modify(set__disabled_at=1.0)
        User(email="new@example.com", password="", invited_at=1.0, role=ADMIN).save()

        def run(*options):
            lines = output(shell("user", "list", *options)).splitlines()
            return [line.split()[-1].partition("@")[0] for line in lines]

        return run

    @pytest.mark.parametrize(
        ("options", "names"),
        [
            ("", ["ada", "eve", "off", "new"]),
            ("--email ADA@Example.com", ["ada"]),
            ("--email nobody@example.com", []),
            ("--role admin", ["eve", "new"]),
            ("--disabled", ["off"]),
            ("--enabled", ["ada", "eve", "new"]),
            ("--q AD", ["ada"]),
            ("--q love", ["ada"]),
            ("--q ove", []),
            ("--q É", ["eve"]),
            ("--q e --role user", []),
        ],
    )
    def test_list_can_be_filtered(self, listed, options, names):
        assert listed(*options.split()) == names

    def test_line_has_id_role_state_time_and_email(self, shell, listed):
        lines = output(shell("user", "list")).splitlines()
        states = ["active", "active", "disabled", "invited"]
        for line, state, user in zip(lines, states, User.objects.order_by("id"), strict=True):
            columns = rf"{user.id} +{user.role} +{state} +\d{{4}}-\d\d-\d\dT[\d:]+Z +{user.email}"
            assert re.fullmatch(columns, line)

    @pytest.mark.parametrize(
        "options", [("--email", "ada"), ("--q", "x" * 401)], ids=["email", "q"]
    )
    def test_filter_that_is_not_valid_is_refused(self, shell, options):
        assert error_line(shell("user", "list", *options))


class TestShow:
    def test_account_is_printed_without_secrets(self, api, factor, shell):
        lines = output(shell("user", "show", " ADA@example.com")).splitlines()
        printed = {name: json.loads(text) for name, text in (line.split(": ", 1) for line in lines)}
        user = User.objects.get()
        assert printed.keys() == {
            *("id", "email", "name", "role", "created_at", "verified", "locale"),
            *("disabled", "invited", "totp", "passkeys", "recovery_codes_left", "sessions"),
        }
        assert (printed["id"], printed["email"]) == (str(user.id), ADA["email"])
        assert (printed["verified"], printed["totp"], printed["sessions"]) == (True, True, 1)
        assert user.password not in "\n".join(lines)


class TestInvite:
    def test_invited_user_sets_the_first_password(self, api, shell, mails):
        options = ("--name", "Ada L", "--admin", "--locale", "pt-BR")
        printed = output(shell("user", "invite", "ADA@example.com", *options))
        user = User.objects.get()
        assert printed == str(user.id)
        assert (user.name, user.role, user.locale, user.password) == ("Ada L", ADMIN, "pt_BR", "")
        (mail,) = mails()
        assert (mail["To"], scope_in(mail)) == (ADA["email"], INVITE)
        body = {"invite_token": token_in(mail), "password": NEW_PASSWORD}
        assert api.post("/api/auth/invite", json=body).status_code == 200
        token = api.log_in(password=NEW_PASSWORD).json()["token"]
        assert api.get("/api/users", token=token).status_code == 200

    def test_pending_invitation_is_mailed_again(self, api, shell, mails):
        first = output(shell("user", "invite", ADA["email"]))
        mails()
        assert output(shell("user", "invite", ADA["email"])) == first
        (mail,) = mails()
        assert scope_in(mail) == INVITE
        assert User.objects.count() == 1

    def test_invitation_of_a_month_ago_is_over(self, api, shell):
        output(shell("user", "invite", ADA["email"]))
        invited_at = time.time() - MAX_INVITED_DAYS * DAY - 1
        User.objects.update(set__invited_at=invited_at)
        Job.objects.delete()
        assert "The invitation is over" in error_line(shell("user", "invite", ADA["email"]))
        assert Job.objects.first() is None

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            ([ADA["email"]], "User with given email address already exists"),
            (["nobody"], "Not a valid email address."),
            ([EVE["email"], "--locale", "xx"], "Must be one of"),
        ],
        ids=["existing", "no email", "locale"],
    )
    def test_invitation_is_refused_with_a_reason(self, shell, words, reason):
        create_user(ADA["email"])
        assert error_line(shell("user", "invite", *words)).startswith(reason)
        assert User.objects.count() == 1


class TestDisable:
    def test_sessions_and_links_end_until_the_next_login(self, app, api, ada, shell, caplog):
        caplog.set_level("INFO", audit_log.__name__)
        user = User.objects.get()
        link = reset_token(app, user)
        output(shell("user", "disable", ADA["email"]))
        assert_error(api.verify(ada["token"]), 401, "SessionEndedError")
        assert_error(api.refresh(ada["refresh_token"]), 401, "SessionEndedError")
        assert_error(api.log_in(), 403, "AccountDisabledError")
        assert_error(api.log_in(password="wrong"), 401, "UnauthorizedError")
        output(shell("user", "enable", ADA["email"]))
        assert api.log_in().status_code == 200
        assert_error(api.reset(link), 401, "UsedTokenError")
        assert_error(api.verify(ada["token"]), 401, "SessionEndedError")
        lines = [line for line in caplog.messages if "ip=shell" in line]
        events = ["user_disabled", "user_enabled"]
        assert lines == [f"event={event} user={user.id} ip=shell" for event in events]

    def test_last_admin_stays_enabled(self, shell):
        create_user(ADA["email"], ADMIN)
        User(email=EVE["email"], password="", invited_at=time.time(), role=ADMIN).save()
        reason = error_line(shell("user", "disable", ADA["email"]))
        assert reason == "The last admin can't be deleted, demoted or disabled"
        assert not User.objects.get(email=ADA["email"]).is_disabled

    def test_disabled_user_gets_no_reset_link(self, shell, mails):
        create_user(ADA["email"]).modify(set__disabled_at=1.0)
        assert error_line(shell("user", "reset", ADA["email"])) == "This account is disabled"
        assert mails() == []


class TestSessions:
    def test_sessions_are_listed_the_newest_first(self, api, clock, shell):
        create_user(ADA["email"])
        api.log_in()
        clock.shift(60)
        headers = {"User-Agent": FIREFOX}
        api.post("/api/auth/login", json=ADA, headers=headers)
        newest, oldest = output(shell("user", "sessions", ADA["email"])).splitlines()
        columns = r"([0-9a-f]{16})  (\S+Z)  (\S+Z)  127\.0\.0\.1 +(.*)"
        ids = {re.fullmatch(columns, line)[1] for line in (newest, oldest)}
        assert ids == User.objects.get().sessions.keys()
        assert re.fullmatch(columns, newest)[4] == "Firefox on Linux"

    def test_logout_ends_the_sessions_of_one_user(self, app, api, ada, eve, shell):
        other = create_session(app, User.objects.get(email=ADA["email"]))
        output(shell("user", "logout", "ADA@example.com"))
        for tokens in (ada, other):
            assert_error(api.refresh(tokens["refresh_token"]), 401, "SessionEndedError")
        assert api.verify(eve["token"]).status_code == 200
        assert output(shell("user", "sessions", ADA["email"])) == ""


@pytest.mark.parametrize("command", ["show", "disable", "enable", "sessions", "logout"])
def test_unknown_email_is_refused(shell, command):
    reason = error_line(shell("user", command, EVE["email"]))
    assert reason == "User with given email address doesn't exist"
