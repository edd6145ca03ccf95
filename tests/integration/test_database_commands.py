"""How many commands each request sends to the database: docs/scaling.md calculates with it."""

import itertools
import time

import pyotp
import pytest
from bson import ObjectId

from config import OPTIONAL
from database.models import Job, User
from jobs import lanes
from services import movie_service
from services.mail_kinds import RESET_PASSWORD
from services.mail_queue import SEND_EMAIL
from services.token_service import CONFIRM
from tests.support.client import ADA
from tests.support.database_commands import recorded_commands
from tests.support.email_client import resend, verify_all
from tests.support.email_owners import change_email, link_token, wait_for_change
from tests.support.emails import queue_email
from tests.support.factor_client import confirm_totp, reauthenticate, start_totp
from tests.support.passkeys import add_passkey, log_in
from tests.support.tokens import reset_token
from tests.support.users import create_user

NUMBERS = itertools.count()


@pytest.fixture
def commands(database):
    """Return a recorder of the commands of the connection that is made next."""
    with recorded_commands() as recorder:
        yield recorder


def new_change():
    """Return email and id of a change."""
    return {"email": f"ada-{next(NUMBERS)}@example.com", "change_id": str(ObjectId())}


def verified(user):
    """Return a user, whose email is verified now."""
    User.objects(id=user.id).update(set__verified_at=1.0)
    return user.reload()


def stop(app):
    """End the worker of an application: it sends no commands meanwhile."""
    app.extensions["worker"].start()
    app.extensions["worker"].stop()


@pytest.fixture
def follow(commands, api):
    """Return a function that sends the token of a link, and records only what that takes."""

    def follow(path, field, token):
        commands.names.clear()
        response = api.post(f"/api/auth/email/{path}", json={field: token})
        assert response.status_code == 200

    return follow


@pytest.fixture
def email_requests(app, api, ada, stopped_worker, follow):
    """Return a function for each request that is about an email."""
    user = User.objects.get()

    def sign_up():
        app.config["EMAIL_VERIFICATION"] = OPTIONAL
        api.sign_up(email=new_change()["email"])

    def confirm():
        User.objects(id=user.id).update(unset__verified_at=True)
        follow("confirm", "confirm_token", link_token(app, CONFIRM, user))

    def request_change():
        fields = {"email": "ada@new.example", "current_password": ADA["password"]}
        api.put("/api/auth/email", token=ada["token"], json=fields)

    def confirm_change():
        follow("confirm", "confirm_token", wait_for_change(app, verified(user), **new_change()))

    def undo_change():
        follow("undo", "undo_token", change_email(app, verified(user), **new_change()))

    return {
        "signup with a link": sign_up,
        "resend": lambda: api.post("/api/auth/email/resend", json={"email": ADA["email"]}),
        "confirm": confirm,
        "request a change": request_change,
        "confirm a change": confirm_change,
        "undo a change": undo_change,
    }


@pytest.fixture
def factor_requests(commands, api, ada):
    """Return a function for each request that is about a second factor or a passkey."""
    pair = dict(ada)

    def log_in_by_code():
        verify_all()
        User.objects.update(unset__factors=True)
        totp = pyotp.TOTP(start_totp(api, pair["token"]).json()["secret"])
        assert confirm_totp(api, pair["token"], totp.now()).status_code == 200
        code = totp.at(time.time() + totp.interval)
        commands.names.clear()
        body = {"mfa_token": api.log_in().json()["mfa_token"], "code": code}
        assert api.post("/api/auth/login/mfa", json=body).status_code == 200

    def log_in_by_passkey():
        verify_all()
        passkey = add_passkey(api, pair["token"])
        commands.names.clear()
        assert log_in(api, passkey).status_code == 200

    def prove_identity():
        response = reauthenticate(api, pair["token"], current_password=ADA["password"])
        pair.update(response.json())

    return {
        "login by code": log_in_by_code,
        "login by passkey": log_in_by_passkey,
        "reauthenticate": prove_identity,
    }


@pytest.fixture
def requests(commands, app, api, ada, email_requests, factor_requests):
    """Return a function for each request; the worker sends no commands meanwhile."""
    pair, emails = dict(ada), [f"user-{next(NUMBERS)}@example.com" for _ in range(2)]

    def refresh():
        pair.update(api.refresh(pair["refresh_token"]).json())

    def add_movie():
        movie = {"name": f"Film {next(NUMBERS)}", "casts": ["Ada"], "genres": ["Drama"]}
        api.post("/api/movies", token=pair["token"], json=movie)

    def reset():
        token = reset_token(app, User.objects.get(email=ADA["email"]))
        commands.names.clear()
        api.reset(token, f"staple horse {next(NUMBERS)} correct")

    return {
        "signup": lambda: api.sign_up(email=emails.pop()),
        **email_requests,
        **factor_requests,
        "login": api.log_in,
        "verify": lambda: api.verify(pair["token"]),
        "refresh": refresh,
        "forgot": api.forgot,
        "reset": reset,
        "list movies": lambda: api.get("/api/movies?limit=20"),
        "add a movie": add_movie,
    }


class TestRequest:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            # Each has one insert for its event, but verify, refresh, forgot, resend and the movies.
            # A password costs a find of the kinds of foreign hashes. Is the email reserved: before
            # and after the insert.
            ("signup", {"find": 2, "insert": 2}),
            ("signup with a link", {"find": 2, "insert": 3}),
            ("login", {"find": 3, "update": 1, "insert": 1}),
            ("login by code", {"find": 4, "update": 3, "insert": 1}),
            ("login by passkey", {"insert": 2, "findAndModify": 1, "find": 3, "update": 2}),
            ("reauthenticate", {"find": 3, "update": 1, "insert": 1}),
            ("verify", {"find": 1}),
            ("refresh", {"findAndModify": 1}),
            ("forgot", {"insert": 1}),
            # How many passkeys are left.
            ("reset", {"find": 1, "insert": 2, "update": 1, "aggregate": 1}),
            ("resend", {"insert": 1}),
            ("confirm", {"find": 1, "update": 1, "insert": 1}),
            ("request a change", {"find": 2, "update": 1, "insert": 2}),
            ("confirm a change", {"find": 4, "update": 3, "insert": 2}),
            # Passkeys of since the change, before and after the update.
            ("undo a change", {"find": 1, "update": 1, "insert": 2, "delete": 3}),
            ("list movies", {"find": 1}),
            ("add a movie", {"find": 2, "insert": 1}),
        ],
    )
    def test_request_sends_the_commands_that_it_needs(self, commands, requests, name, expected):
        requests[name]()  # the first one creates the indexes
        commands.names.clear()
        requests[name]()
        assert commands.counts == expected


class TestAnonymousRequest:
    """What it stores is the same for any email: the time must not tell who has an account."""

    WRONG = {"password": "a wrong one"}

    @pytest.mark.parametrize("send", ["login", "forgot", "resend"])
    @pytest.mark.parametrize("verification", ["optional", "required"])
    def test_email_does_not_change_the_commands(self, commands, make_app, http, send, verification):
        http.app = make_app(EMAIL_VERIFICATION=verification)
        stop(http.app)
        verified(create_user("verified@example.com"))
        create_user("unverified@example.com")
        requests = {
            "login": lambda email: http.log_in(email=email, **self.WRONG),
            "forgot": http.forgot,
            "resend": lambda email: resend(http, email),
        }
        requests[send]("first@example.com")  # it creates the indexes
        counts = []
        for name in ("verified", "unverified", "unknown"):
            commands.names.clear()
            requests[send](f"{name}@example.com")
            counts.append(commands.counts)
        assert counts[0]["insert"] == (2 if (send, verification) == ("login", "required") else 1)
        assert counts[0] == counts[1] == counts[2]

    def test_right_password_does_not_either(self, commands, make_app, http):
        http.app = make_app(EMAIL_VERIFICATION="required")
        stop(http.app)
        create_user(ADA["email"])
        counts = []
        for password in (ADA["password"], "a wrong one"):
            http.log_in(password="a wrong one")
            commands.names.clear()
            assert http.log_in(password=password).status_code == 401
            counts.append(commands.counts)
        assert counts[0] == counts[1] == {"find": 2, "insert": 2}


class TestListMovies:
    @pytest.mark.parametrize(
        ("size", "expected"), [(60_000, {"find": 1}), (100, {"find": 1, "getMore": 3})]
    )
    def test_page_that_ends_at_1_mib_reads_one_batch(
        self, commands, api, stopped_worker, size, expected
    ):
        lists = {"casts": ["x" * size], "genres": ["Crime"]}
        movie_service.add_new("0" * 24, [{"name": str(i), **lists} for i in range(200)])
        commands.names.clear()
        api.get("/api/movies?limit=200")
        counts = commands.counts
        del counts["killCursors"]  # sent in the background
        assert counts == expected


class TestEmail:
    @pytest.fixture
    def work(self, commands, app, stopped_worker, monkeypatch):
        """Return a function that sends all emails and returns the commands that it took."""
        for name in ("TURN_SECONDS", "SLOW_SECONDS"):  # a machine may be slow
            monkeypatch.setattr(lanes, name, 1_000.0)

        def work():
            Job.objects.update(set__run_at=0.0)
            commands.names.clear()
            with app.app_context():
                stopped_worker.run_due_jobs()
            return commands.counts

        return work

    def test_email_takes_four_commands_and_a_batch_five_more(self, work, api, ada, mailbox):
        for _ in range(20):
            api.forgot()
        counts = work()
        assert len(mailbox.mails) == 20
        # The due jobs, their users, a renewed lease once the connection is open; then no due job
        # of other domains, and none of any. Each request for a link is counted in an event.
        updates = 20 + 1
        assert counts == {"findAndModify": 20, "find": 20 + 2 + 2, "update": updates, "delete": 20}

    def test_50_emails_without_a_user_take_three_commands(self, work, ada, mailbox):
        queue_email(ADA["email"])
        arguments = ({"mail": RESET_PASSWORD, "email": f"{n}@x{n}.example"} for n in range(500))
        jobs = [Job(kind=SEND_EMAIL, arguments=a, created_at=0, run_at=0) for a in arguments]
        Job.objects.insert(jobs, load_bulk=False)
        counts = work()
        assert len(mailbox.mails) == 1
        assert Job.objects.first() is None
        assert counts["findAndModify"] == 1
        assert counts["delete"] <= 500 / 50 + 2
        assert counts["find"] <= 2 * 500 / 50 + 6
