"""New passwords: the words that count as guessable, and the list of stolen passwords."""

import logging
import time
from functools import partial

import pytest

from database.models import ADMIN, User
from infra import breached_passwords
from services import breach_service
from services.breach_service import REASON
from services.token_service import INVITE
from tests.support.assertions import assert_error
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.range_server import RangeServer
from tests.support.tokens import link_token, reset_token
from tests.support.users import create_session, create_user

# zxcvbn has no such word.
WORD = "qzjxkvw"


def at_signup(app, api):
    return lambda password: api.sign_up(password=password)


def by_an_admin(app, api):
    token = create_session(app, create_user("admin@example.com", ADMIN))["token"]
    fields = {"email": EVE["email"]}
    return lambda password: api.post(
        "/api/users", token=token, json=fields | {"password": password}
    )


def by_a_reset(app, api):
    return partial(api.reset, reset_token(app, create_user(ADA["email"])))


def on_the_reset_page(app, api):
    url = f"/reset/{reset_token(app, create_user(ADA['email']))}"
    return lambda password: api.post(url, data={"password": password})


def by_a_change(app, api):
    token = create_session(app, create_user(ADA["email"]))["token"]
    fields = {"current_password": ADA["password"]}
    url = "/api/auth/password"
    return lambda password: api.put(url, token=token, json=fields | {"password": password})


def invitation(app):
    user = User(email=ADA["email"], password="", invited_at=time.time()).save()
    return link_token(app, user, INVITE)


def by_an_invitation(app, api):
    fields = {"invite_token": invitation(app)}
    return lambda password: api.post("/api/auth/invite", json=fields | {"password": password})


def on_the_page_of_an_invitation(app, api):
    url = f"/invite/{invitation(app)}"
    return lambda password: api.post(url, data={"password": password})


PLACES = (
    at_signup,
    by_an_admin,
    by_a_reset,
    on_the_reset_page,
    by_a_change,
    by_an_invitation,
    on_the_page_of_an_invitation,
)


@pytest.fixture
def range_api():
    server = RangeServer()
    with server.run():
        yield server


@pytest.fixture
def serve(make_app, http, range_api):
    """Return a function that serves an application that asks the range API."""

    def serve(**settings):
        http.app = make_app(**{"PASSWORD_BREACHED": range_api.url} | settings)
        return http

    return serve


@pytest.fixture
def warnings(caplog):
    """Return a function that returns the warnings about the list."""
    caplog.set_level(logging.WARNING, breach_service.__name__)
    return lambda: [it.getMessage() for it in caplog.records if it.name == breach_service.__name__]


class TestStolenPassword:
    @pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
    def test_each_place_asks_and_spends_nothing(self, serve, range_api, place):
        api = serve(PASSWORD_BREACHED_FAIL="closed")
        set_password = place(api.app, api)
        range_api.stolen = [NEW_PASSWORD]
        stolen = set_password(NEW_PASSWORD)
        assert stolen.status_code == 400
        assert REASON in stolen.text
        range_api.handler = range_api.fail
        assert set_password(f"{NEW_PASSWORD} 2").status_code == 503
        range_api.handler = range_api.succeed
        assert set_password(f"{NEW_PASSWORD} 2").status_code == 200

    def test_command_asks(self, serve, range_api):
        runner = serve(PASSWORD_BREACHED_FAIL="closed").app.test_cli_runner()
        command = ["user", "create", ADA["email"], "--password", NEW_PASSWORD]
        range_api.stolen = [NEW_PASSWORD]
        assert runner.invoke(args=command).stderr.endswith(f"Error: {REASON}\n")
        range_api.handler = range_api.fail
        assert "The service is busy" in runner.invoke(args=command).stderr
        range_api.handler, range_api.stolen = range_api.succeed, []
        assert runner.invoke(args=command).exit_code == 0

    def test_it_is_looked_up_in_a_file(self, serve, tmp_path):
        file = tmp_path / "stolen"
        breached_passwords.build([NEW_PASSWORD.encode()], file)
        api = serve(PASSWORD_BREACHED=str(file), PASSWORD_BREACHED_FAIL="closed")
        errors = assert_error(api.sign_up(password=NEW_PASSWORD), 400, "SchemaValidationError")
        assert errors == {"password": [REASON]}
        assert api.sign_up().status_code == 200
        file.unlink()
        assert_error(api.sign_up(**EVE), 503, "ServiceUnavailableError")

    def test_it_is_one_however_it_is_typed(self, serve, range_api):
        range_api.stolen = ["fine ligatures are one"]
        response = serve().sign_up(password="\ufb01ne ligatures are one")
        assert assert_error(response, 400, "SchemaValidationError") == {"password": [REASON]}

    def test_neither_weak_passwords_nor_logins_are_looked_up(self, serve, range_api):
        api = serve()
        create_user(ADA["email"])
        assert api.sign_up(**EVE | {"password": "password1"}).status_code == 400
        assert api.log_in().status_code == 200
        assert range_api.paths == []


class TestFailure:
    """A password that can't be looked up."""

    @pytest.mark.parametrize(
        ("changed", "status", "outcome"),
        [
            ({}, 200, "accepted unchecked"),
            ({"PASSWORD_BREACHED_FAIL": "closed"}, 503, "refused"),
        ],
        ids=["open", "closed"],
    )
    def test_setting_decides_and_it_is_logged_once(
        self, serve, range_api, warnings, changed, status, outcome
    ):
        range_api.handler = range_api.fail
        assert serve(**changed).sign_up().status_code == status
        assert warnings() == [
            f"PASSWORD_BREACHED can't be read, so a password is {outcome}:"
            " its answer has status 500"
        ]

    def test_password_that_was_looked_up_is_not_logged(self, serve, warnings):
        assert serve().sign_up().status_code == 200
        assert warnings() == []

    def test_without_the_setting_nothing_is_looked_up(self, serve, range_api):
        range_api.stolen = [ADA["password"]]
        assert serve(PASSWORD_BREACHED=None).sign_up().status_code == 200
        assert range_api.paths == []


class TestGuessableWords:
    """Words that zxcvbn does not know, of which a password is made."""

    SOURCES = {
        "setting": ({"PASSWORD_WORDS": f"acme,{WORD}"}, {}),
        "host": ({"PUBLIC_URL": f"https://movies.{WORD}.example"}, {}),
        "part of a host": ({"PUBLIC_URL": f"https://my-{WORD}.example"}, {}),
        "name": ({}, {"name": f"Ada {WORD.title()}"}),
        "email": ({}, {"email": f"ada.{WORD}@example.com"}),
    }

    @pytest.mark.parametrize(("changed", "fields"), SOURCES.values(), ids=SOURCES)
    def test_word_makes_a_password_guessable(self, make_app, http, changed, fields):
        http.app = make_app()
        assert http.sign_up(**EVE | {"password": f"{WORD}1"}).status_code == 200
        http.app = make_app(**changed)
        response = http.sign_up(password=f"{WORD}1", **fields)
        errors = assert_error(response, 400, "SchemaValidationError")
        assert errors.keys() == {"password"}

    def test_product_is_guessable_unless_other_words_are_set(self, make_app, http):
        http.app = make_app(PUBLIC_URL="https://acme.example")
        assert http.sign_up(password="moviebag").status_code == 400
        http.app = make_app(PUBLIC_URL="https://acme.example", PASSWORD_WORDS="acme")
        assert http.sign_up(password="moviebag").status_code == 200
