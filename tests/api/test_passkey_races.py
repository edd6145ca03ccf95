"""Passkeys that are added while the session ends, and what an undo and a deletion remove.

Each pair of requests is interleaved in every way in which one happens as a whole between two
database commands of the other.
"""

import itertools
from functools import partial

import pytest

from database.models import ADMIN, User
from database.passkeys import Challenge, Passkey
from services import factor_service
from services.token_service import CHANGE, UNDO
from tests.support.assertions import assert_error
from tests.support.authenticator import assertion, registration
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.email_client import NEW_EMAIL, THIRD_EMAIL, confirm, move, undo, verify_all
from tests.support.passkeys import (
    add,
    add_passkey,
    creation_options,
    log_in,
    login_options,
    make_passkey,
    send_login,
)
from tests.support.smtp_server import token_in
from tests.support.snapshot import snapshot
from tests.support.tokens import link_token, reset_token, store_changes


@pytest.fixture
def settings(interrupted, settings):
    """Return the settings, once there is a listener."""
    return settings


@pytest.fixture
def interleave(interrupted):
    """Return a function that sends one request within another, in every way."""

    def interleave(outer, inner):
        restore, responses = snapshot(), []
        for number in itertools.count(1):
            restore()
            responses.clear()
            interrupted.after(number, lambda: responses.append(inner()))
            response = outer()
            if not interrupted.happened():
                break
            yield response, responses[0]

    return interleave


@pytest.fixture
def requests(app, api, stopped_worker, verified):
    """Return by name the requests of Ada that end her session, or change her credentials."""
    store_changes(User.objects.get())
    user, token = User.objects.get(), verified["token"]
    password = {"current_password": ADA["password"], "password": NEW_PASSWORD}
    return {
        "logout": partial(api.log_out, token),
        "end of all sessions": partial(api.delete, "/api/auth/sessions", token=token),
        "password": partial(api.put, "/api/auth/password", json=password, token=token),
        "reset": partial(api.reset, reset_token(app, user)),
        "confirmed change": partial(confirm, api, link_token(app, user, CHANGE)),
        "undo": partial(undo, api, link_token(app, user, UNDO)),
        "deletion": partial(
            api.delete, "/api/users/me", json={"current_password": ADA["password"]}, token=token
        ),
    }


@pytest.fixture
def register(api, verified):
    """Return a request that adds a passkey of Ada's."""
    options = creation_options(api, verified["token"])
    return partial(add, api, verified["token"], registration(make_passkey(options), options))


REMOVING = ("undo", "deletion")
KEEPING = ("logout", "end of all sessions", "password", "reset", "confirmed change")


class TestRegistration:
    """It leaves no passkey if its session ends, or the credentials change, meanwhile."""

    @pytest.mark.parametrize("name", KEEPING)
    def test_interrupted_registration_is_whole_or_nothing(
        self, interleave, requests, register, name
    ):
        refused = 0
        for response, other in interleave(register, requests[name]):
            assert other.status_code == 200
            assert Passkey.objects.count() == response.ok
            refused += not response.ok
        assert refused > 1

    @pytest.mark.parametrize("name", KEEPING)
    def test_registration_within_is_whole_or_nothing(self, interleave, requests, register, name):
        for other, response in interleave(requests[name], register):
            assert other.status_code == 200
            assert Passkey.objects.count() == response.ok

    @pytest.mark.parametrize("name", REMOVING)
    def test_interrupted_registration_leaves_nothing(self, interleave, requests, register, name):
        refused = 0
        for response, other in interleave(register, requests[name]):
            assert other.status_code == 200
            assert Passkey.objects.count() == 0
            refused += not response.ok
        assert refused > 1

    @pytest.mark.parametrize("name", REMOVING)
    def test_registration_within_leaves_nothing(self, interleave, requests, register, name):
        added = 0
        for other, response in interleave(requests[name], register):
            assert other.status_code == 200
            assert Passkey.objects.count() == 0
            added += response.ok
        assert added > 1

    @pytest.mark.parametrize("name", ["logout", "reset", "password", "undo", "deletion"])
    def test_registration_afterwards_is_refused(self, requests, register, name):
        assert requests[name]().status_code == 200
        response = register()
        assert response.status_code == 401
        assert Passkey.objects.count() == 0


class TestLogin:
    """It opens no session that outlasts what removes its passkey meanwhile."""

    @pytest.fixture
    def login(self, api, requests, passkey):
        """Return a login by a passkey that an undo removes."""
        credential = assertion(passkey, login_options(api))
        return partial(send_login, api, credential)

    @pytest.fixture
    def remove(self, request, app, requests):
        """Return what removes the passkeys of the user, and ends the sessions."""

        def reset_factors():
            with app.test_request_context():
                factor_service.reset(User.objects.get())

        return {"undo": requests["undo"], "operator": reset_factors}[request.param]

    EACH_REMOVAL = pytest.mark.parametrize("remove", ["undo", "operator"], indirect=True)

    @EACH_REMOVAL
    def test_interrupted_login_opens_no_session(self, interleave, login, remove):
        refused = 0
        for response, _ in interleave(login, remove):
            assert User.objects.get().sessions == {}
            refused += not response.ok
        assert refused > 1

    @EACH_REMOVAL
    def test_login_within_opens_no_session(self, interleave, login, remove):
        for _ in interleave(remove, login):
            assert User.objects.get().sessions == {}
            assert Passkey.objects.count() == 0


class TestUndo:
    """It removes the passkeys that were added since the change, and no other."""

    @pytest.fixture
    def changes(self, api, mails, verified):
        """Change the email twice, add a passkey before, between and after; return all."""
        passkeys, tokens = [add_passkey(api, verified["token"])], []
        for email in (NEW_EMAIL, THIRD_EMAIL):
            (notice,) = move(api, mails, verified["token"], email)
            tokens.append(token_in(notice))
            passkeys.append(add_passkey(api, verified["token"]))
        return passkeys, tokens

    @staticmethod
    def are_accepted(api, passkeys):
        return [log_in(api, passkey).ok for passkey in passkeys]

    def test_all_are_accepted_before(self, api, changes):
        assert self.are_accepted(api, changes[0]) == [True, True, True]

    def test_undo_of_the_last_change_removes_the_last(self, api, changes):
        passkeys, tokens = changes
        assert undo(api, tokens[1]).status_code == 200
        assert self.are_accepted(api, passkeys) == [True, True, False]

    def test_undo_of_the_first_change_removes_two(self, api, changes):
        passkeys, tokens = changes
        assert undo(api, tokens[0]).status_code == 200
        assert self.are_accepted(api, passkeys) == [True, False, False]

    def test_passkeys_of_others_stay(self, api, changes, eve):
        verify_all()
        others = add_passkey(api, eve["token"])
        assert undo(api, changes[1][0]).status_code == 200
        assert log_in(api, others).json()["email"] == EVE["email"]

    def test_login_by_a_kept_passkey_is_of_the_restored_email(self, api, changes):
        passkeys, tokens = changes
        assert undo(api, tokens[0]).status_code == 200
        assert log_in(api, passkeys[0]).json()["email"] == ADA["email"]


class TestDeletion:
    def test_admin_who_deletes_a_user_deletes_passkeys(self, api, verified, passkey, eve):
        creation_options(api, verified["token"])
        User.objects(email=EVE["email"]).update(set__role=ADMIN)
        user_id = User.objects.get(email=ADA["email"]).id
        assert api.delete(f"/api/users/{user_id}", token=eve["token"]).status_code == 200
        assert (Passkey.objects.count(), Challenge.objects.count()) == (0, 0)
        assert_error(log_in(api, passkey), 401, "UnauthorizedError")
