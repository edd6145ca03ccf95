"""Who guesses or floods is told to wait; who mistypes is not."""

import contextlib
import sys

import pytest

from services import limits
from services.errors import TooManyRequestsError
from tests.conftest import ADA, NEW_PASSWORD, at_once
from tests.test_bad_input import refused

HOUR = 3600


def guess(api, token, **more):
    return api.put(
        "/api/auth/password",
        json={"current_password": "wrong", "password": NEW_PASSWORD} | more,
        token=token,
    )


# Each limit by its name: how many, in how many seconds, and what asks for the i-th time.
LIMITS = {
    "LOGIN_PER_ADDRESS": (5, 60, lambda api, _, __: api.log_in(password="wrong")),
    "LOGIN_PER_IP": (30, 60, lambda api, _, i: api.log_in(email=f"{i}@example.com")),
    "FORGOT_PER_ADDRESS": (3, HOUR, lambda api, _, __: api.forgot()),
    "FORGOT_PER_IP": (20, HOUR, lambda api, _, i: api.forgot(f"{i}@example.com")),
    "SIGNUP_PER_IP": (20, HOUR, lambda api, _, i: api.sign_up(email=f"{i}@example.com")),
    "RESET_PER_IP": (60, 60, lambda api, _, __: api.reset("nonsense")),
    "REFRESH_PER_IP": (60, 60, lambda api, _, __: api.refresh("nonsense")),
    "PASSWORD_PER_ACCOUNT": (5, 60, lambda api, token, _: guess(api, token)),
}
EACH_LIMIT = pytest.mark.parametrize(
    ("amount", "seconds", "ask"), LIMITS.values(), ids=LIMITS.keys()
)
ADDRESSES = pytest.mark.parametrize("email", [ADA["email"], "eve@example.com"])


@pytest.fixture
def limited(make_app, http):
    """Return a function that serves with limits and these settings, and returns the client."""

    def serve(**changed):
        http.app = make_app(RATELIMIT_ENABLED=True, **changed)
        return http

    return serve


def statuses(ask, count):
    return [ask().status_code for _ in range(count)]


@EACH_LIMIT
def test_a_limit_lets_so_many_in_and_then_nobody_until_it_said(
    limited, make_app, http, clock, amount, seconds, ask
):
    http.app = make_app()
    http.sign_up()
    token = http.log_in().json()["token"]
    api = limited()
    for i in range(amount):
        assert ask(api, token, i).status_code != 429
    clock.shift(seconds / 2)
    answer = ask(api, token, amount)
    refused(answer, 429, "TooManyRequestsError")
    wait = int(answer.headers["Retry-After"])
    assert seconds / 2 <= wait <= seconds / 2 + 1
    clock.shift(wait - 2)
    refused(ask(api, token, amount), 429, "TooManyRequestsError")
    clock.shift(2)
    assert ask(api, token, amount).status_code != 429


def test_the_answer_is_the_one_of_the_contract(limited):
    api = limited(RATELIMIT_LOGIN_PER_ADDRESS="1 per minute")
    api.log_in()
    answer = api.log_in()
    assert answer.json() == {
        "message": "Too many requests, try again later",
        "status": 429,
        "error": "TooManyRequestsError",
    }
    assert answer.headers["Retry-After"] == "60"


def test_without_limits_nobody_is_told_to_wait(api):
    assert set(statuses(api.log_in, 40)) == {401}


@ADDRESSES
def test_a_user_and_a_stranger_are_told_alike(limited, clock, email):
    api = limited()
    api.sign_up()
    answers = [api.log_in(email=email, password="wrong") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 2
    answers += [api.forgot(email) for _ in range(4)]
    assert [answer.status_code for answer in answers[7:]] == [200] * 3 + [429]
    assert [answers[i].headers["Retry-After"] for i in (5, 6, 10)] == ["60", "60", "3600"]


def test_the_right_password_does_not_open_what_wrong_ones_closed(limited):
    api = limited()
    api.sign_up()
    assert statuses(lambda: api.log_in(password="wrong"), 5) == [401] * 5
    assert api.log_in().status_code == 429


def test_logins_count_whether_right_or_wrong(limited):
    api = limited()
    api.sign_up()
    assert statuses(api.log_in, 6) == [200] * 5 + [429]


SLOW = {"BCRYPT_LOG_ROUNDS": 11, "RATELIMIT_LOGIN_PER_ADDRESS": "1 per minute"}
SLOW |= {"RATELIMIT_SIGNUP_PER_IP": "1 per hour", "RATELIMIT_PASSWORD_PER_ACCOUNT": "1 per minute"}


@ADDRESSES
def test_who_has_to_wait_for_a_login_costs_no_hash(limited, email):
    api = limited(**SLOW)
    api.sign_up()
    counted, limit = (api.log_in(email=email, password="wrong").elapsed for _ in range(2))
    assert limit < counted / 3


def test_who_has_to_wait_for_a_signup_costs_no_hash(limited):
    api = limited(**SLOW)
    counted, limit = (api.sign_up().elapsed for _ in range(2))
    assert limit < counted / 3


def test_who_has_to_wait_for_a_password_change_costs_no_hash(limited):
    api = limited(**SLOW)
    api.sign_up()
    token = api.log_in().json()["token"]
    counted, limit = (guess(api, token).elapsed for _ in range(2))
    assert limit < counted / 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada@example.com", "ADA@Example.COM"),
        ("ada@example.com", " ada@example.com\t"),
        ("ada@example.com", "ada@ｅxample.com"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@bücher.example", "ADA@BÜCHER.example"),
        ("ada@bücher.example", "ada@bu\u0308cher.example"),
        ("ada@bücher.example", "ada@bücher。example"),
    ],
    ids=ascii,
)
def test_an_address_counts_as_one_however_it_is_spelt(limited, one, other):
    api = limited(RATELIMIT_LOGIN_PER_ADDRESS="1 per minute", RATELIMIT_FORGOT_PER_ADDRESS="1/hour")
    assert [api.log_in(email=email).status_code for email in (one, other)] == [401, 429]
    assert [api.forgot(email).status_code for email in (one, other)] == [200, 429]
    assert [api.sign_up(email=email).status_code for email in (one, other)] == [200, 400]


def test_what_makes_another_account_counts_for_itself(limited):
    api = limited(RATELIMIT_LOGIN_PER_ADDRESS="1 per minute")
    for email in ("ada@example.com", "ada+1@example.com", "ada+2@example.com", "a.da@example.com"):
        assert api.log_in(email=email).status_code == 401


def test_what_is_mistyped_counts_for_no_address(limited):
    api = limited(RATELIMIT_LOGIN_PER_ADDRESS="1 per minute")
    for body in (ADA | {"pasword": ""}, {"email": ADA["email"]}, ADA | {"password": None}):
        assert api.post("/api/auth/login", json=body).status_code == 400
    assert api.log_in().status_code == 401


@pytest.mark.parametrize("data", [b"{", b"{}", b"x" * 70_000], ids=["no JSON", "none", "too large"])
@pytest.mark.parametrize("action", ["login", "forgot", "signup", "reset", "refresh"])
def test_what_is_broken_counts_for_the_ip(limited, action, data):
    api = limited(**{f"RATELIMIT_{action.upper()}_PER_IP": "2 per minute"})
    headers = {"Content-Type": "application/json"}
    answers = [api.post(f"/api/auth/{action}", data=data, headers=headers) for _ in range(3)]
    assert answers[1].status_code in (400, 401, 413)
    refused(answers[2], 429, "TooManyRequestsError")


def test_the_page_counts_with_the_reset_and_answers_as_a_page(limited):
    api = limited(RATELIMIT_RESET_PER_IP="2 per minute")
    assert api.reset("nonsense").status_code == 401
    assert api.post("/reset/nonsense").status_code == 401
    page = api.post("/reset/nonsense")
    assert (page.status_code, page.headers["Retry-After"]) == (429, "60")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "Too many requests, try again later" in page.text
    assert api.reset("nonsense").status_code == 429
    assert api.get("/reset/nonsense").status_code == 401


@pytest.fixture
def two_sessions(limited):
    """Return the API and two access tokens of Ada's."""
    api = limited(RATELIMIT_PASSWORD_PER_ACCOUNT="3 per minute")
    api.sign_up()
    return api, *(api.log_in().json()["token"] for _ in range(2))


def test_every_check_of_the_password_counts_for_the_account(two_sessions):
    api, one, other = two_sessions
    user_id = api.whoami(one).json()["id"]
    wrong = {"current_password": "wrong"}
    assert guess(api, one).status_code == 400
    assert api.delete("/api/users/me", json=wrong, token=other).status_code == 400
    assert api.delete(f"/api/users/{user_id}", json=wrong, token=one).status_code == 400
    right = {"current_password": ADA["password"]}
    refused(guess(api, one, **right), 429, "TooManyRequestsError")
    for path in ("/api/users/me", f"/api/users/{user_id}"):
        answer = api.delete(path, json=right, token=other)
        refused(answer, 429, "TooManyRequestsError")
    assert api.whoami(one).status_code == 200


def test_no_current_password_counts_for_no_account(two_sessions):
    api, token, _ = two_sessions
    for _ in range(4):
        assert api.delete("/api/users/me", json={}, token=token).status_code == 400
    assert guess(api, token, current_password=ADA["password"]).status_code == 200


def test_accounts_count_apart(two_sessions):
    api, token, _ = two_sessions
    statuses(lambda: guess(api, token), 4)
    api.sign_up(email="eve@example.com")
    eve = api.log_in(email="eve@example.com").json()["token"]
    assert guess(api, eve).status_code == 400


def test_a_setting_may_have_several_limits(limited, clock):
    api = limited(RATELIMIT_LOGIN_PER_ADDRESS="2 per minute; 3 per hour")
    assert statuses(api.log_in, 3) == [401, 401, 429]
    clock.shift(61)
    assert statuses(api.log_in, 2) == [401, 429]
    clock.shift(61)
    assert statuses(api.log_in, 1) == [429]


def test_of_16_tries_at_once_5_are_let_in_whenever_threads_are_switched(limited, switching):
    app = limited().app

    def is_let_in(who):
        with app.app_context(), contextlib.suppress(TooManyRequestsError):
            limits.count("LOGIN_PER_ADDRESS", who)
            return True
        return False

    for i in range(200):
        assert sum(at_once(16, lambda _, who=str(i): is_let_in(who))) == 5


@pytest.fixture
def switching():
    """Switch threads wherever they can be switched."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)
