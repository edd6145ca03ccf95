"""Rate limits: who guesses or floods gets a 429 with the seconds to wait; a typing error does not.

Behind a proxy, and of IPv6: test_client_ip.py. Counts in Redis: test_rate_limits_redis.py.
"""

import sys
import time
from contextlib import suppress

import pytest

from config import LIMITS
from database.models import ADMIN, User
from services import rate_limit_service
from services.errors import TooManyRequestsError
from tests.support.assertions import assert_error
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.concurrency import run_simultaneously

HOUR = 3600
JSON = {"Content-Type": "application/json"}
WRONG = {"current_password": "wrong"}
RIGHT = {"current_password": ADA["password"]}


def change_password(api, token, **fields):
    body = WRONG | {"password": NEW_PASSWORD} | fields
    return api.put("/api/auth/password", json=body, token=token)


def rename(api, token):
    return api.patch("/api/users/me", json={"name": "Ada"}, token=token)


# It counts wrong codes, in the document of their user: test_code_tries.py.
OF_CODES = "RATELIMIT_MFA_PER_USER"
# Each limit by its name: how many, in how many seconds, and the i-th request that it counts.
REQUESTS = {
    "LOGIN_PER_EMAIL": (5, 60, lambda api, token, i: api.log_in(password="wrong")),
    "LOGIN_PER_IP": (30, 60, lambda api, token, i: api.log_in(email=f"{i}@example.com")),
    "FORGOT_PER_EMAIL": (3, HOUR, lambda api, token, i: api.forgot()),
    "FORGOT_PER_IP": (20, HOUR, lambda api, token, i: api.forgot(f"{i}@example.com")),
    "SIGNUP_PER_IP": (20, HOUR, lambda api, token, i: api.sign_up(email=f"{i}@example.com")),
    "RESET_PER_IP": (60, 60, lambda api, token, i: api.reset("nonsense")),
    "REFRESH_PER_IP": (60, 60, lambda api, token, i: api.refresh("nonsense")),
    "PASSWORD_PER_USER": (5, 60, lambda api, token, i: change_password(api, token)),
    "WRITES_PER_USER": (60, 60, lambda api, token, i: rename(api, token)),
}
EACH_LIMIT = pytest.mark.parametrize(
    ("amount", "seconds", "send"), REQUESTS.values(), ids=REQUESTS.keys()
)
KNOWN_AND_UNKNOWN = pytest.mark.parametrize(
    "email", [ADA["email"], EVE["email"]], ids=["known", "unknown"]
)


@pytest.fixture
def limited(make_app, http):
    """Return a function that serves with limits and these settings, and returns the client."""

    def serve(**changed):
        http.app = make_app(RATELIMIT_ENABLED=True, **changed)
        return http

    return serve


def statuses(send, count):
    return [send().status_code for _ in range(count)]


class TestLimits:
    def test_every_limit_of_the_settings_is_tested(self):
        assert sorted(LIMITS) == sorted([OF_CODES, *(f"RATELIMIT_{name}" for name in REQUESTS)])

    @EACH_LIMIT
    def test_limit_holds_until_retry_after(
        self, limited, make_app, http, clock, amount, seconds, send
    ):
        http.app = make_app()
        http.sign_up()
        token = http.log_in().json()["token"]
        api = limited()
        for i in range(amount):
            assert send(api, token, i).status_code != 429
        clock.shift(seconds / 2)
        response = send(api, token, amount)
        assert_error(response, 429, "TooManyRequestsError")
        wait = int(response.headers["Retry-After"])
        assert seconds / 2 <= wait <= seconds / 2 + 1
        clock.shift(wait - 2)
        assert_error(send(api, token, amount), 429, "TooManyRequestsError")
        clock.shift(2)
        assert send(api, token, amount).status_code != 429

    def test_response_is_the_one_of_the_contract(self, limited):
        api = limited(RATELIMIT_LOGIN_PER_EMAIL="1 per minute")
        api.log_in()
        response = api.log_in()
        assert response.json() == {
            "message": "Too many requests, try again later",
            "status": 429,
            "error": "TooManyRequestsError",
        }
        assert response.headers["Retry-After"] == "60"

    def test_limits_can_be_switched_off(self, api):
        assert set(statuses(api.log_in, 40)) == {401}

    def test_setting_may_have_several_limits(self, limited, clock):
        api = limited(RATELIMIT_LOGIN_PER_EMAIL="2 per minute; 3 per hour")
        assert statuses(api.log_in, 3) == [401, 401, 429]
        clock.shift(61)
        assert statuses(api.log_in, 2) == [401, 429]
        clock.shift(61)
        assert statuses(api.log_in, 1) == [429]

    @pytest.fixture
    def frequent_thread_switches(self):
        """Switch threads wherever they can be switched."""
        usual = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        yield
        sys.setswitchinterval(usual)

    def test_simultaneous_requests_are_all_counted(self, limited, frequent_thread_switches):
        app = limited().app

        def is_accepted(email):
            with app.app_context(), suppress(TooManyRequestsError):
                rate_limit_service.hit("LOGIN_PER_EMAIL", email)
                return True
            return False

        for i in range(200):
            accepted = run_simultaneously(16, lambda _, email=str(i): is_accepted(email))
            assert sum(accepted) == 5


class TestLimitPerEmail:
    @KNOWN_AND_UNKNOWN
    def test_known_and_unknown_email_get_the_same_responses(self, limited, clock, email):
        api = limited()
        api.sign_up()
        logins = [api.log_in(email=email, password="wrong") for _ in range(7)]
        assert [response.status_code for response in logins] == [401] * 5 + [429] * 2
        assert [response.headers["Retry-After"] for response in logins[5:]] == ["60", "60"]
        forgots = [api.forgot(email) for _ in range(4)]
        assert [response.status_code for response in forgots] == [200] * 3 + [429]
        assert forgots[3].headers["Retry-After"] == "3600"

    def test_right_password_does_not_lift_the_limit(self, limited):
        api = limited()
        api.sign_up()
        assert statuses(lambda: api.log_in(password="wrong"), 5) == [401] * 5
        assert api.log_in().status_code == 429

    def test_successful_logins_count_too(self, limited):
        api = limited()
        api.sign_up()
        assert statuses(api.log_in, 6) == [200] * 5 + [429]

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
    def test_email_is_counted_in_its_normalised_form(self, limited, one, other):
        api = limited(RATELIMIT_LOGIN_PER_EMAIL="1 per minute", RATELIMIT_FORGOT_PER_EMAIL="1/hour")
        assert [api.log_in(email=email).status_code for email in (one, other)] == [401, 429]
        assert [api.forgot(email).status_code for email in (one, other)] == [200, 429]
        assert [api.sign_up(email=email).status_code for email in (one, other)] == [200, 400]

    def test_emails_of_other_accounts_count_apart(self, limited):
        api = limited(RATELIMIT_LOGIN_PER_EMAIL="1 per minute")
        emails = ("ada@example.com", "ada+1@example.com", "ada+2@example.com", "a.da@example.com")
        assert [api.log_in(email=email).status_code for email in emails] == [401] * 4

    def test_invalid_body_counts_for_no_email(self, limited):
        api = limited(RATELIMIT_LOGIN_PER_EMAIL="1 per minute")
        for body in (ADA | {"pasword": ""}, {"email": ADA["email"]}, ADA | {"password": None}):
            assert api.post("/api/auth/login", json=body).status_code == 400
        assert api.log_in().status_code == 401


class TestLimitPerIp:
    @pytest.mark.parametrize(
        "data", [b"{", b"{}", b"x" * 70_000], ids=["no JSON", "empty", "too large"]
    )
    @pytest.mark.parametrize("action", ["login", "forgot", "signup", "reset", "refresh"])
    def test_invalid_request_counts(self, limited, action, data):
        api = limited(**{f"RATELIMIT_{action.upper()}_PER_IP": "2 per minute"})
        path = f"/api/auth/{action}"
        responses = [api.post(path, data=data, headers=JSON) for _ in range(3)]
        for response in responses[:2]:
            assert response.status_code in (400, 401, 413)
        assert_error(responses[2], 429, "TooManyRequestsError")

    def test_page_and_api_count_together(self, limited):
        api = limited(RATELIMIT_RESET_PER_IP="2 per minute")
        assert api.reset("nonsense").status_code == 401
        assert api.post("/reset/nonsense").status_code == 401
        page = api.post("/reset/nonsense")
        assert (page.status_code, page.headers["Retry-After"]) == (429, "60")
        assert page.headers["Content-Type"].startswith("text/html")
        assert "Too many requests, try again later" in page.text
        assert api.reset("nonsense").status_code == 429
        assert api.get("/reset/nonsense").status_code == 401


class TestLimitPerUser:
    @pytest.fixture
    def two_sessions(self, limited):
        """Return the API and two access tokens of Ada's."""
        api = limited(RATELIMIT_PASSWORD_PER_USER="3 per minute")
        api.sign_up()
        return api, *(api.log_in().json()["token"] for _ in range(2))

    def test_every_check_of_the_password_counts(self, two_sessions):
        api, one, other = two_sessions
        user_id = api.verify(one).json()["id"]
        assert change_password(api, one).status_code == 400
        assert api.delete("/api/users/me", json=WRONG, token=other).status_code == 400
        assert api.delete(f"/api/users/{user_id}", json=WRONG, token=one).status_code == 400
        assert_error(change_password(api, one, **RIGHT), 429, "TooManyRequestsError")
        for path in ("/api/users/me", f"/api/users/{user_id}"):
            response = api.delete(path, json=RIGHT, token=other)
            assert_error(response, 429, "TooManyRequestsError")
        assert api.verify(one).status_code == 200

    def test_weak_new_password_counts(self, two_sessions):
        # Its strength takes as much processor time as a hash.
        api, token, _ = two_sessions
        for _ in range(3):
            weak = change_password(api, token, **RIGHT, password="password1")
            assert weak.status_code == 400
        assert_error(change_password(api, token, **RIGHT), 429, "TooManyRequestsError")

    def test_missing_password_does_not_count(self, two_sessions):
        api, token, _ = two_sessions
        for _ in range(4):
            assert api.delete("/api/users/me", json={}, token=token).status_code == 400
        assert change_password(api, token, **RIGHT).status_code == 200

    def test_users_count_apart(self, two_sessions):
        api, token, _ = two_sessions
        assert statuses(lambda: change_password(api, token), 4) == [400] * 3 + [429]
        api.sign_up(**EVE)
        eve = api.log_in(**EVE).json()["token"]
        assert change_password(api, eve).status_code == 400


class TestLimitOfWrites:
    """What a user stores: movies, and changes of the user."""

    @pytest.fixture
    def serve(self, limited):
        """Return a function that serves with a limit, and returns the API and Ada's token."""

        def serve(limit):
            api = limited(RATELIMIT_WRITES_PER_USER=limit)
            api.sign_up()
            return api, api.log_in().json()["token"]

        return serve

    def test_reset_links_that_an_admin_mails_count(self, serve):
        api, token = serve("2 per minute")
        User.objects.update(role=ADMIN)
        path = f"/api/users/{User.objects.get().id}/reset"
        assert statuses(lambda: api.post(path, token=token), 3) == [200, 200, 429]

    def test_every_write_counts(self, serve):
        api, token = serve("5 per minute")
        movie = {"name": "Heat", "casts": ["Al Pacino"], "genres": ["Crime"]}
        path = f"/api/movies/{api.post('/api/movies', json=movie, token=token).json()['id']}"
        me = f"/api/users/{api.verify(token).json()['id']}"
        writes = [
            lambda: api.put(path, json={"genres": ["Drama"]}, token=token),
            lambda: api.patch(path, json={"genres": ["Crime"]}, token=token),
            lambda: rename(api, token),
            lambda: api.patch(me, json={"name": "Ada"}, token=token),
        ]
        assert [write().status_code for write in writes] == [200] * 4
        writes += [
            lambda: api.post("/api/movies", json=movie | {"name": "Alien"}, token=token),
            lambda: api.delete(path, token=token),
        ]
        for write in writes:
            assert_error(write(), 429, "TooManyRequestsError")
        assert [found["name"] for found in api.get("/api/movies").json()] == ["Heat"]

    def test_limit_of_an_hour_holds_too(self, serve, clock):
        api, token = serve("2 per minute; 3 per hour")
        assert statuses(lambda: rename(api, token), 3) == [200, 200, 429]
        clock.shift(61)
        assert statuses(lambda: rename(api, token), 2) == [200, 429]
        clock.shift(61)
        assert statuses(lambda: rename(api, token), 1) == [429]

    def test_users_count_apart_and_together_over_sessions(self, serve):
        api, token = serve("1 per minute")
        assert rename(api, token).status_code == 200
        assert rename(api, api.log_in().json()["token"]).status_code == 429
        api.sign_up(**EVE)
        assert rename(api, api.log_in(**EVE).json()["token"]).status_code == 200

    def test_refused_and_reading_requests_do_not_count(self, serve):
        api, token = serve("1 per minute")
        assert api.patch("/api/users/me", json={"name": ""}, token=token).status_code == 400
        assert api.get("/api/users/me", token=token).status_code == 200
        assert rename(api, "nonsense").status_code == 401
        assert rename(api, token).status_code == 200

    def test_changes_of_others_by_an_admin_do_not_count(self, serve):
        api, token = serve("1 per minute")
        api.sign_up(**EVE)
        User.objects(email=ADA["email"]).update(set__role=ADMIN)
        path = f"/api/users/{User.objects.get(email=EVE['email']).id}"
        for name in ("Eve", "Eva"):
            assert api.patch(path, json={"name": name}, token=token).status_code == 200


def processor_seconds(call):
    """Return the processor time of a call, that of the server included: it is this process."""
    before = time.process_time()
    call()
    return time.process_time() - before


class TestCostOfRefusedRequests:
    """A request above the limit computes no hash, whose cost would help to flood the service."""

    @pytest.fixture
    def api(self, limited):
        """Return a client of an application with slow hashes that accepts one request of each."""
        return limited(
            BCRYPT_LOG_ROUNDS=11,
            RATELIMIT_LOGIN_PER_EMAIL="1 per minute",
            RATELIMIT_SIGNUP_PER_IP="1 per hour",
            RATELIMIT_PASSWORD_PER_USER="1 per minute",
        )

    def assert_second_is_cheap(self, send):
        counted, refused = (processor_seconds(send) for _ in range(2))
        assert send().status_code == 429
        assert refused < counted / 3

    @KNOWN_AND_UNKNOWN
    def test_refused_login_computes_no_hash(self, api, email):
        api.sign_up()
        self.assert_second_is_cheap(lambda: api.log_in(email=email, password="wrong"))

    def test_refused_signup_computes_no_hash(self, api):
        self.assert_second_is_cheap(api.sign_up)

    def test_refused_password_change_computes_no_hash(self, api):
        api.sign_up()
        token = api.log_in().json()["token"]
        self.assert_second_is_cheap(lambda: change_password(api, token))
