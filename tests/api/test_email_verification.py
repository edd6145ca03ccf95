"""EMAIL_VERIFICATION: off, optional or required (contract: "Email addresses")."""

import pytest

from config import OFF, OPTIONAL, REQUIRED
from database.emails import ReservedEmail
from database.models import ADMIN, Job, User
from tests.support.assertions import assert_error
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.email_client import (
    NEW_EMAIL,
    change_email,
    confirm,
    is_verified,
    recipients_and_links,
    resend,
    scope_in,
    undo,
    verify_all,
)
from tests.support.smtp_server import html_of, text_of, token_in
from tests.support.tokens import decode_parts
from tests.support.users import create_user

RESERVED = "reserved@example.com"
EACH_MODE = pytest.mark.parametrize("mode", [OFF, OPTIONAL, REQUIRED])


@pytest.fixture
def serve(make_app, http):
    """Return a function that serves with a mode of verification, and returns the client."""

    def serve(mode, **changed):
        http.app = make_app(EMAIL_VERIFICATION=mode, **changed)
        return http

    return serve


@pytest.fixture
def api(serve):
    """Return a client of an application that requires a verified email."""
    return serve(REQUIRED)


def reserve(email):
    """Reserve an email for a user who has left it."""
    user = create_user("mover@example.com")
    ReservedEmail(email=email, user_id=str(user.id), until=10**10).save(force_insert=True)


class TestOff:
    def test_signup_mails_nothing_but_resend_does(self, serve, mails):
        api = serve(OFF)
        assert api.sign_up().status_code == 200
        assert mails() == []
        resend(api)
        assert confirm(api, token_in(mails()[0])).status_code == 200
        assert is_verified(api, api.log_in().json()["token"])

    def test_change_mails_its_link(self, serve, mails):
        api = serve(OFF)
        api.sign_up()
        change_email(api, api.log_in().json()["token"])
        assert recipients_and_links(mails()) == [(NEW_EMAIL, "change")]


class TestOptional:
    def test_it_is_the_default(self, settings, make_app, http):
        del settings["EMAIL_VERIFICATION"]
        assert make_app().config["EMAIL_VERIFICATION"] == OPTIONAL

    def test_signup_mails_a_link_and_login_works(self, serve, mails):
        api = serve(OPTIONAL)
        response = api.sign_up()
        assert response.json().keys() == {"id", "message"}
        assert response.headers["Location"].endswith(f"/api/users/{response.json()['id']}")
        assert recipients_and_links(mails()) == [(ADA["email"], "confirm")]
        assert api.log_in().status_code == 200

    @pytest.mark.parametrize("mode", [OFF, OPTIONAL])
    def test_taken_or_reserved_email_is_refused(self, serve, mails, mode):
        api = serve(mode)
        api.sign_up()
        mails()
        reserve(RESERVED)
        for email in (ADA["email"], RESERVED):
            assert_error(api.sign_up(email=email), 400, "EmailAlreadyExistsError")
        assert mails() == []
        assert not User.objects(email=RESERVED)


class TestSignup:
    """EMAIL_VERIFICATION=required: the response does not tell who has an account."""

    def test_every_email_gets_the_same_response(self, api):
        create_user(EVE["email"])
        create_user("verified@example.com").update(set__verified_at=1.0)
        reserve(RESERVED)
        emails = (ADA["email"], EVE["email"], "verified@example.com", RESERVED)
        responses = [api.sign_up(email=email) for email in emails]
        assert {response.status_code for response in responses} == {200}
        assert len({response.text for response in responses}) == 1
        assert responses[0].json().keys() == {"message"}
        names = [sorted(set(it.headers) - {"Date", "X-Request-ID"}) for it in responses]
        assert names == [names[0]] * 4
        assert "Location" not in names[0]

    def test_account_of_the_owner_is_not_touched(self, api):
        verified = create_user(EVE["email"])
        verified.update(set__verified_at=1.0, set__name="Eve")
        before = User.objects.get().to_mongo()
        api.sign_up(email=EVE["email"], password=NEW_PASSWORD, name="Mallory")
        assert User.objects.get().to_mongo() == before

    def test_new_user_gets_the_link(self, api, mails):
        api.sign_up()
        assert recipients_and_links(mails()) == [(ADA["email"], "confirm")]

    def test_verified_owner_gets_a_notice_without_a_link(self, api, mails):
        create_user(EVE["email"]).update(set__verified_at=1.0, set__name="Evelyn")
        api.sign_up(email=EVE["email"], name="Mallory")
        (notice,) = mails()
        assert (notice["To"], scope_in(notice)) == (EVE["email"], None)
        for text in (text_of(notice), html_of(notice)):
            assert "Mallory" not in text
            assert "eyJ" not in text

    def test_unverified_owner_gets_a_reset_link(self, api, mails):
        create_user(EVE["email"]).update(set__name="Evelyn")
        api.sign_up(email=EVE["email"], name="Mallory")
        (mail,) = mails()
        assert (mail["To"], scope_in(mail)) == (EVE["email"], "pwd_reset")
        assert "Mallory" not in text_of(mail) + html_of(mail)
        assert api.reset(token_in(mail)).status_code == 200
        pair = api.log_in(email=EVE["email"], password=NEW_PASSWORD).json()
        assert is_verified(api, pair["token"])

    def test_password_of_the_second_signup_is_void(self, api, mails):
        api.sign_up(password=NEW_PASSWORD)
        api.sign_up()
        confirm(api, token_in(mails()[0]))
        assert api.log_in().status_code == 401
        assert api.log_in(password=NEW_PASSWORD).status_code == 200

    def test_reserved_email_gets_no_account(self, api, mails):
        reserve(RESERVED)
        api.sign_up(email=RESERVED)
        assert not User.objects(email=RESERVED)
        assert "confirm" not in [scope for _, scope in recipients_and_links(mails())]

    def test_invalid_fields_are_reported(self, api):
        response = api.sign_up(password="password1")
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"password"}

    def test_owner_is_mailed_up_to_the_limit(self, serve, mails):
        api = serve(REQUIRED, RATELIMIT_ENABLED=True)
        create_user(EVE["email"]).update(set__verified_at=1.0)
        responses = [api.sign_up(email=EVE["email"]) for _ in range(5)]
        assert len({response.text for response in responses}) == 1
        assert len(mails()) == 3


class TestLogin:
    """EMAIL_VERIFICATION=required: an unverified email can't log in."""

    MESSAGE = "Invalid username or password, or the address is not confirmed yet"

    def test_unverified_email_gets_the_response_of_unknown_ones(self, api):
        api.sign_up()
        responses = [
            api.log_in(),
            api.log_in(password="wrong"),
            api.log_in(email="unknown@example.com"),
        ]
        for response in responses:
            assert_error(response, 401, "UnauthorizedError")
            assert response.text == responses[0].text
            assert response.headers["WWW-Authenticate"] == "Bearer"
        assert responses[0].json()["message"] == self.MESSAGE
        assert not User.objects.get().sessions

    @pytest.mark.parametrize("mode", [OFF, OPTIONAL])
    def test_message_is_the_usual_one_otherwise(self, serve, mode):
        message = serve(mode).log_in().json()["message"]
        assert message == "Invalid username or password"

    def test_login_works_once_the_email_is_confirmed(self, api, mails):
        api.sign_up()
        confirm(api, token_in(mails()[0]))
        pair = api.log_in().json()
        assert decode_parts(pair["token"])[1]["verified"] is True

    def test_link_is_mailed_again_with_the_right_password(self, api, mails):
        api.sign_up()
        mails()
        api.log_in(password="wrong")
        api.log_in(email="unknown@example.com")
        assert mails() == []
        api.log_in()
        (mail,) = mails()
        assert recipients_and_links([mail]) == [(ADA["email"], "confirm")]
        assert confirm(api, token_in(mail)).status_code == 200

    def test_link_is_mailed_up_to_the_limit(self, serve, mails, clock):
        api = serve(REQUIRED, RATELIMIT_ENABLED=True, RATELIMIT_FORGOT_PER_EMAIL="2 per hour")
        api.sign_up()
        mails()
        assert {api.log_in().status_code for _ in range(4)} == {401}
        assert len(mails()) <= 2
        clock.shift(3601)
        api.log_in()
        assert len(mails()) == 1

    def test_limits_do_not_tell_whether_the_signup_was_new(self, serve):
        def statuses(email):
            assert api.sign_up(email=email).status_code == 200
            assert api.log_in(email=email).status_code == 401
            return [api.forgot(email).status_code for _ in range(4)]

        api = serve(REQUIRED, RATELIMIT_ENABLED=True)
        owner = {"email": EVE["email"], "password": NEW_PASSWORD}
        words = ["user", "create", owner["email"], "--password", owner["password"]]
        assert api.app.test_cli_runner().invoke(args=words).exit_code == 0
        assert statuses(EVE["email"]) == statuses(ADA["email"])

    def test_accounts_of_before_must_be_confirmed(self, api, mails):
        create_user(ADA["email"]).update(unset__verified_at=True, unset__email_version=True)
        assert api.log_in().status_code == 401
        assert confirm(api, token_in(mails()[0])).status_code == 200
        assert api.log_in().status_code == 200

    def test_moved_account_logs_in(self, api, mails):
        create_user(ADA["email"]).update(set__verified_at=1.0)
        change_email(api, api.log_in().json()["token"])
        confirm(api, token_in(mails()[0]))
        assert api.log_in(email=NEW_EMAIL).status_code == 200
        undo(api, token_in(mails()[0]))
        api.reset(token_in(mails()[0]))
        assert api.log_in(password=NEW_PASSWORD).status_code == 200


class TestAccountsOfOthers:
    """Those that an admin or the shell makes."""

    @EACH_MODE
    def test_account_made_by_an_admin_is_unverified(self, serve, mails, mode):
        api = serve(mode)
        create_user("root@example.com", ADMIN).update(set__verified_at=1.0)
        root = api.log_in(email="root@example.com").json()["token"]
        response = api.post("/api/users", json=ADA, token=root)
        assert response.status_code == 200
        assert response.json()["verified"] is False
        assert response.headers["Location"].endswith(response.json()["id"])
        expected = [] if mode == OFF else [(ADA["email"], "confirm")]
        assert recipients_and_links(mails()) == expected
        again = api.post("/api/users", json=ADA, token=root)
        assert_error(again, 400, "EmailAlreadyExistsError")

    @EACH_MODE
    def test_account_made_at_the_shell_is_verified(self, serve, mails, mode):
        api = serve(mode)
        words = ["user", "create", ADA["email"], "--password", ADA["password"]]
        assert api.app.test_cli_runner().invoke(args=words).exit_code == 0
        assert mails() == []
        assert is_verified(api, api.log_in().json()["token"])


class TestVerifyCommand:
    @pytest.fixture
    def verify(self, api):
        """Return a function that runs the command on three unverified users."""
        for name in "abc":
            create_user(f"{name}@example.com")
        runner = api.app.test_cli_runner()
        return lambda *words: runner.invoke(args=["user", "verify", *words])

    def verified(self):
        return [user.email[0] for user in User.objects.order_by("email") if user.is_verified]

    def test_named_users_are_verified(self, verify):
        ended = verify("A@Example.com", "b@example.com")
        assert (ended.exit_code, ended.stdout) == (0, "2 verified\n")
        assert self.verified() == ["a", "b"]
        assert verify("a@example.com").stdout == "0 verified\n"

    def test_all_users_are_verified(self, verify):
        verify("a@example.com")
        assert verify("--all").stdout == "2 verified\n"
        assert self.verified() == ["a", "b", "c"]

    def test_unknown_email_is_named_and_the_others_are_verified(self, verify):
        ended = verify("a@example.com", "z@example.com")
        assert ended.exit_code == 1
        assert "z@example.com" in ended.stderr
        assert self.verified() == ["a"]

    @pytest.mark.parametrize("words", [[], ["--all", "a@example.com"]])
    def test_either_emails_or_all_are_given(self, verify, words):
        assert verify(*words).exit_code == 2
        assert self.verified() == []

    def test_links_mailed_before_are_void(self, api, verify, mails):
        resend(api, "a@example.com")
        token = token_in(mails()[0])
        verify("a@example.com")
        assert_error(confirm(api, token), 401, "UsedTokenError")


class TestName:
    """An email to an address that is not verified has no name: anybody may have chosen it."""

    NAME = "Mallory"

    def texts(self, mails):
        return [text_of(mail) + html_of(mail) for mail in mails]

    def test_unverified_email_is_never_sent_a_name(self, serve, mails):
        api = serve(OPTIONAL)
        create_user("root@example.com", ADMIN)
        api.sign_up(name=self.NAME)
        token = api.log_in().json()["token"]
        resend(api)
        api.forgot()
        body = {"current_password": ADA["password"], "password": NEW_PASSWORD}
        token = api.put("/api/auth/password", json=body, token=token).json()["token"]
        change_email(api, token, password=NEW_PASSWORD)
        change_email(api, token, email=EVE["email"], password=NEW_PASSWORD)
        for words in (["promote", ADA["email"]], ["demote", ADA["email"]]):
            assert api.app.test_cli_runner().invoke(args=["user", *words]).exit_code == 0
        delete = ["user", "delete", "--yes", ADA["email"]]
        create_user(EVE["email"])
        sent = mails()
        assert api.app.test_cli_runner().invoke(args=delete).exit_code == 0
        sent += mails()
        kinds = [ADA["email"]] * 7 + [EVE["email"]]
        assert sorted(mail["To"] for mail in sent) == sorted(kinds)
        assert not any(self.NAME in text for text in self.texts(sent))

    def test_second_signup_mails_no_name_to_an_unverified_owner(self, api, mails):
        api.sign_up(name=self.NAME)
        api.sign_up()
        sent = mails()
        assert len(sent) == 2
        assert not any(self.NAME in text for text in self.texts(sent))

    def test_new_email_is_sent_no_name_before_it_is_confirmed(self, serve, mails):
        api = serve(OPTIONAL)
        api.sign_up(name=self.NAME)
        token = api.log_in().json()["token"]
        verify_all()
        mails()
        change_email(api, token)
        (mail,) = mails()
        assert mail["To"] == NEW_EMAIL
        assert self.NAME not in self.texts([mail])[0]

    def test_verified_email_is_greeted_by_name(self, serve, mails):
        api = serve(OPTIONAL)
        api.sign_up(name=self.NAME)
        verify_all()
        mails()
        api.forgot()
        assert self.NAME in self.texts(mails())[0]

    def test_queued_notice_to_a_former_email_names_nobody(self, serve, mails):
        api = serve(OPTIONAL)
        api.sign_up(name=self.NAME)
        token = api.log_in().json()["token"]
        mails()
        change_email(api, token)
        confirmation = token_in(mails()[0])
        body = {"current_password": ADA["password"], "password": NEW_PASSWORD}
        change_email(api, token)
        later = Job.objects.get(arguments__mail="confirm_change")
        later.delete()
        User.objects.update(set__verified_at=None)
        api.put("/api/auth/password", json=body, token=token)
        User.objects.update(set__verified_at=1.0, set__email=NEW_EMAIL)
        (notice,) = mails()
        assert confirmation
        assert notice["To"] == ADA["email"]
        assert self.NAME not in self.texts([notice])[0]
