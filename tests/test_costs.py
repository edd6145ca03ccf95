"""What each request asks of the database: docs/scaling.md counts on it."""

import itertools
from collections import Counter

import mongoengine
import pytest
from pymongo import monitoring

from database.models import Mail, User
from services import token_service

NUMBERS = itertools.count()


class Commands(monitoring.CommandListener):
    """Counts what is sent to the database."""

    def __init__(self):
        self.counts = Counter()

    def started(self, event):
        self.counts[event.command_name] += 1

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


@pytest.fixture
def commands(database):
    """Return what counts the commands of the connection that is made next."""
    mongoengine.disconnect()
    commands = Commands()
    monitoring.register(commands)
    yield commands
    monitoring._LISTENERS.command_listeners.remove(commands)
    mongoengine.disconnect()


@pytest.fixture
def ask(commands, app, api, ada):
    """Return requests by name; the outbox rests."""
    app.extensions["outbox"].stop()
    pair = dict(ada)

    def refresh():
        pair.update(api.refresh(pair["refresh_token"]).json())

    def add():
        movie = {"name": f"Film {next(NUMBERS)}", "casts": ["Ada"], "genres": ["Drama"]}
        api.post("/api/movies", token=pair["token"], json=movie)

    def reset():
        with app.app_context():
            token = token_service.reset_token(User.objects.only("password_version").get())
        commands.counts.clear()
        api.reset(token, f"staple horse {next(NUMBERS)} correct")

    return {
        "signup": lambda: api.sign_up(email=f"user-{next(NUMBERS)}@example.com"),
        "login": lambda: api.log_in(),
        "verify": lambda: api.whoami(pair["token"]),
        "refresh": refresh,
        "forgot": lambda: api.forgot(),
        "reset": reset,
        "list": lambda: api.get("/api/movies?limit=20"),
        "add a movie": add,
    }


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("signup", {"insert": 1}),
        ("login", {"find": 2, "update": 1}),
        ("verify", {"find": 1}),
        ("refresh", {"findAndModify": 1}),
        ("forgot", {"insert": 1}),
        ("reset", {"find": 1, "insert": 1, "update": 1}),
        ("list", {"find": 1}),
        ("add a movie", {"find": 2, "insert": 1}),
    ],
)
def test_a_request_asks_of_the_database_what_it_must(commands, ask, name, asked):
    ask[name]()  # the first sees to the indexes
    commands.counts.clear()
    ask[name]()
    assert commands.counts == asked


def test_a_mail_asks_the_database_three_times_and_50_are_read_at_once(
    commands, api, ada, still_outbox, mailbox
):
    for _ in range(20):
        api.forgot()
    Mail.objects.update(set__due_at=0.0)
    commands.counts.clear()
    with still_outbox._app.app_context():
        still_outbox._drain()
    assert len(mailbox.mails) == 20
    renewed = 1  # the claim on the first, once the connection stands
    assert commands.counts == {"find": 20 + 2, "update": 20 + renewed, "delete": 20}
