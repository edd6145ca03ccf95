"""Links for emails that meet each other, or another change of the account: one winner.

Each pair of requests is interleaved in every way in which one happens as a whole between two
database commands of the other.
"""

from functools import partial

import pytest

from database import emails
from database.emails import ReservedEmail
from database.models import Job, User
from services import email_change_service
from services.mail_kinds import EMAIL_RESTORED
from tests.support.concurrency import run_simultaneously, wait_until
from tests.support.email_owners import (
    FIRST,
    NEXT,
    OTHER,
    PRESENT,
    UNPROVED,
    Owners,
    change_email,
    describe_mails,
    wait_for_change,
)
from tests.support.interleaving import SERIAL, assert_serializable

REQUESTS = 24
WEEK = 7 * 24 * 3600


@pytest.fixture
def settings(interrupted, settings):
    """Return settings under which a signup mails a link, once there is a listener."""
    return {**settings, "EMAIL_VERIFICATION": "optional"}


@pytest.fixture
def race(interrupted, app, api, stopped_worker, mailbox):
    """Return a function that sends two requests in some way and returns what came of them."""
    owners = Owners(app, api)

    def race(first, second, send):
        owners.restore()
        mailbox.mails.clear()
        responses = send(partial(first, owners), partial(second, owners))
        assert all(response.status_code < 500 for response in responses if response is not None)
        succeeded = [response is not None and response.ok for response in responses]
        Job.objects.update(set__run_at=0)
        with app.app_context():
            stopped_worker.run_due_jobs()
        return *succeeded, owners.state(), describe_mails(mailbox)

    return race


confirm, undo = Owners.confirm_change, Owners.undo_change


def with_argument(request, argument):
    """Return a request with an argument, under its name."""
    bound = lambda owners: request(owners, argument)  # noqa: E731
    bound.__name__ = f"{request.__name__}({argument})"
    return bound


ADAS_REQUESTS = [
    Owners.reject_change,
    Owners.request_change,
    Owners.change_password,
    Owners.reset_password,
    Owners.end_sessions,
    Owners.refresh,
    Owners.log_in,
    Owners.delete_oneself,
    Owners.delete_as_admin,
]
PAIRS = [
    *((confirm, request) for request in (confirm, undo, *ADAS_REQUESTS)),
    (confirm, with_argument(confirm, "Eve")),
    (confirm, with_argument(Owners.sign_up, NEXT)),
    (confirm, with_argument(Owners.sign_up, PRESENT)),
    *((undo, request) for request in (undo, *ADAS_REQUESTS)),
    (undo, with_argument(Owners.sign_up, FIRST)),
    (undo, with_argument(Owners.sign_up, PRESENT)),
    *((Owners.disable_as_admin, request) for request in (confirm, undo, Owners.log_in)),
    (Owners.disable_as_admin, Owners.refresh),
    (Owners.disable_as_admin, Owners.reset_password),
    (Owners.confirm_signup, Owners.confirm_signup),
    (Owners.confirm_signup, Owners.reject_signup),
    (Owners.confirm_signup, with_argument(confirm, "Bob")),
    (Owners.confirm_signup, with_argument(Owners.reset_password, "Bob")),
    (Owners.confirm_signup, with_argument(Owners.delete_as_admin, "Bob")),
    (Owners.reject_signup, with_argument(confirm, "Bob")),
    (Owners.reject_signup, with_argument(Owners.reset_password, "Bob")),
    (Owners.reject_signup, with_argument(Owners.delete_as_admin, "Bob")),
    (Owners.reject_signup, with_argument(Owners.sign_up, UNPROVED)),
]


@pytest.mark.slow
class TestInterleaving:
    """Of any two requests, the result is that of one after the other, or of one alone."""

    @pytest.mark.parametrize(
        ("first", "second"), PAIRS, ids=[f"{a.__name__}-{b.__name__}" for a, b in PAIRS]
    )
    def test_result_is_that_of_some_order(self, race, interrupted, first, second):
        assert_serializable(race, interrupted, first, second, SERIAL)


@pytest.fixture
def owners(app, api):
    """Return users with links, while the worker sends their mails."""
    return Owners(app, api)


def send_at_once(*requests):
    """Send requests in turn from 24 threads that start together; return the status codes."""
    return run_simultaneously(
        REQUESTS, lambda number: requests[number % len(requests)]().status_code
    )


def wait_for_mails(mailbox):
    """Return to whom mails went and to which page their links lead, once all are sent."""
    wait_until(lambda: Job.objects.first() is None)
    return describe_mails(mailbox)


class TestDeleteExpired:
    """Former emails that can't be restored any more are deleted, by any number of workers."""

    @pytest.fixture
    def expired(self, owners):
        """Let the week be over in which Ada may restore her email."""
        user = owners.users["Ada"].reload()
        ((change_id, former),) = user.former_emails.items()
        former = {**former, "at": former["at"] - WEEK}
        User.objects(id=user.id).update(**{f"set__former_emails__{change_id}": former})
        ReservedEmail.objects(email=FIRST).update(dec__until=WEEK)
        return ReservedEmail.objects.get(email=FIRST)

    def test_several_workers_delete_the_same(self, app, owners, expired):
        def sweep(_):
            with app.app_context():
                email_change_service.delete_expired()

        run_simultaneously(4, sweep)
        assert owners.users["Ada"].reload().former_emails == {}
        assert ReservedEmail.find_owner(FIRST) is None
        assert owners.sign_up(FIRST).status_code == 200

    def test_another_user_takes_the_email(self, app, owners, expired):
        change_email(app, owners.users["Eve"], FIRST)
        assert owners.users["Ada"].reload().former_emails == {}
        assert owners.undo_change().status_code == 401

    def test_email_that_was_reserved_again_stays(self, app, owners, expired):
        ada = owners.users["Ada"].reload()
        User.objects(id=ada.id).update(set__email=FIRST, unset__former_emails=True)
        undo_token = change_email(app, ada, NEXT)
        with app.app_context():
            emails.forget_former_email(expired)
            expired.delete_expired()
        assert owners.state()["reserved"] == {FIRST: "Ada"}
        response = owners.send("POST", "auth/email/undo", undo_token=undo_token)
        assert response.json()["email"] == FIRST

    def test_undo_of_an_email_that_was_taken_meanwhile(self, owners):
        before = owners.state()
        ReservedEmail.objects(email=FIRST).delete()
        assert owners.sign_up(FIRST).status_code == 200
        assert owners.undo_change().json()["error"] == "EmailAlreadyExistsError"
        assert owners.state()["Ada"] == before["Ada"]
        assert Job.objects(arguments__mail=EMAIL_RESTORED).first() is None

    def test_change_meanwhile_keeps_no_expired_email(self, app, owners, expired, interrupted):
        def sweep():
            with app.app_context():
                email_change_service.delete_expired()

        interrupted.after(4, sweep)
        assert owners.confirm_change().status_code == 200
        assert interrupted.happened()
        assert owners.state()["Ada"][3] == [PRESENT]


class TestAtOnce:
    """24 requests that start together."""

    def test_confirmations_of_a_signup_are_one(self, owners, count_events):
        assert send_at_once(owners.confirm_signup) == [200] * REQUESTS
        assert count_events("email_confirmed") == 1

    def test_confirmations_of_a_change_are_one(self, owners, count_events, mailbox):
        assert send_at_once(owners.confirm_change) == [200] * REQUESTS
        assert count_events("email_changed") == 1
        assert wait_for_mails(mailbox) == [(PRESENT, "undo")]

    def test_one_undo_succeeds(self, owners, count_events, mailbox):
        assert sorted(send_at_once(owners.undo_change)) == [200] + [401] * (REQUESTS - 1)
        assert count_events("email_change_undone") == 1
        assert set(wait_for_mails(mailbox)) == {(FIRST, "reset")}

    def test_one_user_takes_an_email(self, owners, mailbox):
        requests = owners.confirm_change, partial(owners.confirm_change, "Eve")
        statuses = send_at_once(*requests)
        winner = statuses.index(200) % 2
        assert statuses == [400 - 200 * (number % 2 == winner) for number in range(REQUESTS)]
        assert wait_for_mails(mailbox) == [((PRESENT, OTHER)[winner], "undo")]
        assert owners.state()["Eve" if winner == 0 else "Ada"][2] == NEXT

    def test_email_that_its_user_leaves_is_kept_for_them(self, owners):
        statuses = send_at_once(owners.confirm_change, partial(owners.sign_up, PRESENT))
        assert statuses == [200, 400] * (REQUESTS // 2)
        assert owners.state()["reserved"] == {FIRST: "Ada", PRESENT: "Ada"}

    def test_signup_or_a_change_gets_an_email(self, owners):
        statuses = send_at_once(owners.confirm_change, partial(owners.sign_up, NEXT))
        assert set(statuses) == {200, 400}
        assert ("signup" in owners.state()) == (statuses[0] == 400)
        assert statuses.count(200) == (1 if statuses[0] == 400 else REQUESTS // 2)

    def test_email_that_is_left_goes_to_no_other_user(self, app, owners):
        token = wait_for_change(app, owners.users["Root"], PRESENT, "e" * 24)
        confirm_another = partial(owners.send, "POST", "auth/email/confirm", confirm_token=token)
        statuses = send_at_once(owners.confirm_change, confirm_another)
        assert statuses == [200, 400] * (REQUESTS // 2)
        assert owners.undo_change().status_code == 200
