"""The time of a response does not reveal which emails have an account, nor what it is like.

Slow because each comparison takes hundreds of requests.
"""

import itertools
from functools import partial

import pytest

from database import emails
from database.emails import ReservedEmail
from database.models import User
from tests.support.client import ADA, EVE
from tests.support.email_client import verify_all
from tests.support.factor_client import enrol
from tests.support.timing import is_even, is_even_login
from tests.support.users import create_session, create_user

pytestmark = [pytest.mark.slow, pytest.mark.alone]
UNKNOWN = "unknown@example.com"


@pytest.fixture
def settings(settings):
    """Return settings under which responses must not reveal an account."""
    return {**settings, "EMAIL_VERIFICATION": "required"}


@pytest.fixture
def new_email():
    """Return a function that returns another email at each call."""
    numbers = itertools.count()
    return lambda: f"new-{next(numbers)}@example.com"


@pytest.fixture
def verified(documents):
    """Store Ada, whose email is verified."""
    user = create_user(ADA["email"])
    emails.verify(user, token_id=None)
    return user.reload()


@pytest.fixture
def unverified(documents):
    """Store Eve, whose email is not verified."""
    return create_user(EVE["email"])


class TestSignup:
    def test_taken_and_new_email_take_one_time(self, api, verified, new_email):
        assert is_even(api.sign_up, lambda: api.sign_up(email=new_email()))

    def test_unverified_and_new_email_take_one_time(self, api, unverified, new_email):
        taken = partial(api.sign_up, email=EVE["email"])
        assert is_even(taken, lambda: api.sign_up(email=new_email()))

    def test_reserved_and_new_email_take_one_time(self, api, verified, new_email):
        ReservedEmail.take(UNKNOWN, verified, 3600)
        reserved = partial(api.sign_up, email=UNKNOWN)
        assert is_even(reserved, lambda: api.sign_up(email=new_email()))
        assert User.objects(email=UNKNOWN).first() is None


class TestResend:
    @pytest.mark.parametrize("email", [ADA["email"], EVE["email"]])
    def test_known_and_unknown_email_take_one_time(self, api, verified, unverified, email):
        def resend(email):
            return api.post("/api/auth/email/resend", json={"email": email})

        assert is_even(partial(resend, email), partial(resend, UNKNOWN))


class TestChange:
    def test_taken_and_free_email_take_one_time(self, app, api, verified, unverified, new_email):
        token = create_session(app, verified)["token"]

        def change(email):
            body = {"email": email, "current_password": ADA["password"]}
            return api.put("/api/auth/email", token=token, json=body)

        assert is_even(partial(change, EVE["email"]), lambda: change(new_email()))


class TestLogin:
    def test_unverified_and_verified_email_take_one_time(self, api, verified, unverified):
        wrong = partial(api.log_in, password="a wrong one")
        assert is_even(partial(wrong, email=EVE["email"]), wrong)

    def test_right_and_wrong_password_take_one_time(self, api, unverified):
        log_in = partial(api.log_in, email=EVE["email"])
        assert is_even(partial(log_in, password=ADA["password"]), partial(log_in, password="wrong"))

    def test_unverified_and_unknown_email_take_one_time(self, make_app, http):
        http.app = make_app(BCRYPT_LOG_ROUNDS=10)
        http.sign_up(email=EVE["email"])
        wrong = partial(http.log_in, password="a wrong one")
        assert is_even_login(partial(wrong, email=EVE["email"]), partial(wrong, email=UNKNOWN))

    def test_email_with_a_factor_and_unknown_one_take_one_time(self, make_app, http):
        http.app = make_app(BCRYPT_LOG_ROUNDS=10, EMAIL_VERIFICATION="off")
        http.sign_up()
        verify_all()
        enrol(http, http.log_in().json())
        wrong = partial(http.log_in, password="a wrong one")
        assert is_even_login(wrong, partial(wrong, email=UNKNOWN))
