"""Refresh tokens: each is exchanged once, with a grace period, and reuse revokes the session."""

import pytest

from database.models import ADMIN, REMEMBERED_GENERATIONS, User
from infra import audit_log
from services import user_service
from tests.support.assertions import assert_error
from tests.support.concurrency import run_simultaneously
from tests.support.token_endpoints import BAD_TOKEN
from tests.support.tokens import reset_token

# The fields of a session that earlier versions don't store.
NEW_FIELDS = ("refreshed_by", "without_grace")
FIREFOX, CHROME = "Mozilla/5.0 Firefox/140.0", "Mozilla/5.0 Chrome/140.0"


@pytest.fixture
def serve(make_app, http):
    """Return a function that serves with these settings and returns the tokens of a login."""

    def serve(**settings):
        http.app = make_app(**settings)
        http.sign_up()
        return http.log_in().json()

    return serve


@pytest.fixture
def without_grace(serve, http):
    """Return a client of an application that has no grace period."""
    serve(JWT_REFRESH_GRACE=0, JWT_ACCESS_GRACE=0)
    return http


@pytest.fixture
def events(caplog):
    """Return a function that returns the lines of the security log about refresh tokens."""
    caplog.set_level("INFO", audit_log.__name__)
    return lambda: [line for line in caplog.messages if "refresh_token" in line]


def refresh_times(api, times, token):
    """Refresh so many times; return every refresh token, the first included."""
    tokens = [token]
    for _ in range(times):
        tokens.append(api.refresh(tokens[-1]).json()["refresh_token"])
    return tokens


def is_reuse(api, token):
    """Return whether a refresh token ends its session; else assert that it gets a pair."""
    response = api.refresh(token)
    if response.status_code == 200:
        assert api.verify(response.json()["token"]).status_code == 200
        return False
    assert_error(response, 401, "SessionEndedError")
    assert User.objects.get().sessions == {}
    return True


class TestRefresh:
    def test_response_is_the_next_pair_and_revokes_the_old(self, without_grace):
        old = without_grace.log_in().json()
        response = without_grace.refresh(old["refresh_token"])
        new = response.json()
        assert new.keys() == old.keys()
        assert response.headers["Cache-Control"] == "no-store"
        assert without_grace.verify(new["token"]).status_code == 200
        assert_error(without_grace.verify(old["token"]), 401, "SupersededTokenError")
        assert without_grace.refresh(old["refresh_token"]).status_code == 401

    def test_one_of_16_simultaneous_refreshes_succeeds(self, without_grace):
        token = without_grace.log_in().json()["refresh_token"]
        statuses = run_simultaneously(16, lambda _: without_grace.refresh(token).status_code)
        assert sorted(statuses) == [200] + [401] * 15

    def test_clock_behind_another_machine_gives_no_grace(self, without_grace, clock):
        token = without_grace.log_in().json()["refresh_token"]
        clock.shift(60)
        without_grace.refresh(token)
        clock.shift(-1)
        assert without_grace.refresh(token).status_code == 401

    def test_number_of_remembered_generations_is_bounded(self, api, ada):
        refresh_times(api, 3 * REMEMBERED_GENERATIONS, ada["refresh_token"])
        (session,) = User.objects.get().sessions.values()
        assert len(session.rotated) == len(session.refreshed_by) == REMEMBERED_GENERATIONS


class TestTokenInTheBody:
    """`refresh_token` in the body of refresh and logout wins over the bearer token."""

    ENDPOINTS = pytest.mark.parametrize(
        ("method", "path"), [("POST", "/api/auth/refresh"), ("DELETE", "/api/auth/logout")]
    )
    FOREIGN = ("not.a.token", "Bearer", "", "a b c")

    @ENDPOINTS
    def test_token_in_the_body_needs_no_bearer(self, api, ada, method, path):
        body = {"refresh_token": ada["refresh_token"]}
        assert api.request(method, path, json=body).status_code == 200

    @ENDPOINTS
    def test_bearer_is_not_read_beside_it(self, api, ada, method, path):
        for header in (*self.FOREIGN, "Bearer not.a.token", f"Bearer {ada['token']}"):
            body = {"refresh_token": api.log_in().json()["refresh_token"]}
            headers = {"Authorization": header}
            response = api.request(method, path, json=body, headers=headers)
            assert response.status_code == 200
        assert api.verify(ada["token"]).status_code == 200

    @ENDPOINTS
    def test_bad_token_in_the_body_loses_against_no_bearer(self, api, ada, method, path):
        for given in ("not.a.token", ada["token"], "é.é.é", "a" * 5000, "\0"):
            body = {"refresh_token": given}
            response = api.request(method, path, json=body, token=ada["refresh_token"])
            assert_error(response, 401, "BadTokenError")

    @ENDPOINTS
    def test_value_that_is_no_text_is_named(self, api, ada, method, path):
        for given in (None, 5, True, [ada["refresh_token"]], {"$ne": None}):
            body = {"refresh_token": given}
            response = api.request(method, path, json=body, token=ada["refresh_token"])
            errors = assert_error(response, 400, "SchemaValidationError")
            assert errors.keys() == {"refresh_token"}

    @ENDPOINTS
    def test_empty_text_leaves_the_bearer(self, api, ada, method, path):
        body = {"refresh_token": ""}
        assert_error(api.request(method, path, json=body), 401, "MissingTokenError")
        token = ada["refresh_token"]
        assert api.request(method, path, json=body, token=token).status_code == 200


class TestGracePeriod:
    def test_16_simultaneous_refreshes_all_get_valid_tokens(self, api, ada):
        responses = run_simultaneously(16, lambda _: api.refresh(ada["refresh_token"]))
        assert [response.status_code for response in responses] == [200] * 16
        for response in responses:
            assert api.verify(response.json()["token"]).status_code == 200
        assert api.refresh(responses[7].json()["refresh_token"]).status_code == 200

    def test_token_refreshed_twice_gets_the_current_pair(self, api, ada, clock):
        clock.shift(60)
        second = api.refresh(ada["refresh_token"]).json()
        third = api.refresh(second["refresh_token"]).json()
        clock.shift(9)
        current = api.refresh(ada["refresh_token"]).json()
        assert api.verify(current["token"]).status_code == 200
        assert api.verify(third["token"]).status_code == 200

    @pytest.mark.parametrize(("seconds", "reuse"), [(0, False), (9, False), (11, True)])
    def test_grace_ends_10_seconds_after_the_refresh(self, api, ada, clock, seconds, reuse):
        clock.shift(60)
        refresh_times(api, 2, ada["refresh_token"])
        clock.shift(seconds)
        assert is_reuse(api, ada["refresh_token"]) == reuse

    def test_grace_of_each_token_begins_at_its_own_refresh(self, api, ada, clock):
        tokens = refresh_times(api, 1, ada["refresh_token"])
        clock.shift(9)
        tokens += refresh_times(api, 2, tokens[-1])
        clock.shift(2)
        assert not is_reuse(api, tokens[1])
        assert is_reuse(api, tokens[0])

    @pytest.mark.parametrize("times", [REMEMBERED_GENERATIONS, REMEMBERED_GENERATIONS + 1])
    def test_older_generations_have_no_grace(self, api, ada, times):
        tokens = refresh_times(api, times, ada["refresh_token"])
        assert is_reuse(api, tokens[0]) == (times > REMEMBERED_GENERATIONS)

    @pytest.mark.parametrize(("seconds", "reuse"), [(9, False), (11, True)])
    def test_clock_of_the_refresh_may_be_ahead(self, api, ada, clock, seconds, reuse):
        clock.shift(60)
        api.refresh(ada["refresh_token"])
        clock.shift(-seconds)
        assert is_reuse(api, ada["refresh_token"]) == reuse


class TestLostResponse:
    """The immediate predecessor gets the current pair for a minute."""

    @pytest.mark.parametrize(("seconds", "reuse"), [(12, False), (59, False), (61, True)])
    def test_predecessor_is_accepted_for_60_seconds(self, api, ada, clock, seconds, reuse):
        api.refresh(ada["refresh_token"])
        clock.shift(seconds)
        assert is_reuse(api, ada["refresh_token"]) == reuse

    def test_pair_of_the_second_try_leads_on(self, api, ada, clock):
        lost = api.refresh(ada["refresh_token"]).json()
        clock.shift(12)
        again = api.refresh(ada["refresh_token"]).json()
        assert api.verify(again["token"]).status_code == 200
        assert api.refresh(again["refresh_token"]).status_code == 200
        clock.shift(12)
        assert is_reuse(api, ada["refresh_token"])
        assert_error(api.refresh(lost["refresh_token"]), 401, "SessionEndedError")

    @pytest.mark.parametrize(
        ("given", "seconds", "reuse"),
        [
            ({"JWT_REFRESH_LOST": 0}, 9, False),
            ({"JWT_REFRESH_LOST": 0}, 11, True),
            ({"JWT_REFRESH_LOST": 5}, 9, False),
            ({"JWT_REFRESH_GRACE": 0}, 0, True),
            ({"JWT_REFRESH_GRACE": 0, "JWT_REFRESH_LOST": 600}, 5, True),
            ({"JWT_REFRESH_GRACE": 1, "JWT_REFRESH_LOST": 600}, 599, False),
        ],
        ids=str,
    )
    def test_0_turns_each_off(self, serve, http, clock, given, seconds, reuse):
        tokens = serve(**given)
        http.refresh(tokens["refresh_token"])
        clock.shift(seconds)
        assert is_reuse(http, tokens["refresh_token"]) == reuse


class TestUserAgent:
    """A grace is for the client that refreshed: its user agent is compared."""

    @pytest.mark.parametrize("times", [1, 2])
    def test_reuse_by_another_user_agent_revokes_the_session(self, api, ada, times):
        token = ada["refresh_token"]
        for _ in range(times):
            token = api.refresh_as(FIREFOX, token).json()["refresh_token"]
        assert_error(api.refresh_as(CHROME, ada["refresh_token"]), 401, "SessionEndedError")
        assert_error(api.refresh_as(FIREFOX, token), 401, "SessionEndedError")

    def test_user_agent_of_each_refresh_is_compared(self, api, ada):
        second = api.refresh_as(FIREFOX, ada["refresh_token"]).json()["refresh_token"]
        third = api.refresh_as(CHROME, second).json()["refresh_token"]
        assert api.refresh_as(FIREFOX, ada["refresh_token"]).status_code == 200
        assert api.refresh_as(CHROME, second).status_code == 200
        assert_error(api.refresh_as(FIREFOX, second), 401, "SessionEndedError")
        assert_error(api.refresh_as(CHROME, third), 401, "SessionEndedError")

    def test_user_agent_of_the_login_does_not_matter(self, api, ada):
        assert api.refresh_as(FIREFOX, ada["refresh_token"]).status_code == 200
        assert api.refresh_as(FIREFOX, ada["refresh_token"]).status_code == 200

    @pytest.mark.parametrize(("length", "status"), [(199, 401), (200, 200)])
    def test_first_200_characters_are_compared(self, api, ada, length, status):
        agents = [f"{'é' * length}{letter}" for letter in "ab"]
        api.refresh_as(agents[0].encode("latin-1"), ada["refresh_token"])
        response = api.refresh_as(agents[1].encode("latin-1"), ada["refresh_token"])
        assert response.status_code == status

    def test_no_user_agent_is_one_too(self, api, ada):
        for _ in range(2):
            assert api.refresh_as("", ada["refresh_token"]).status_code == 200
        assert_error(api.refresh_as(FIREFOX, ada["refresh_token"]), 401, "SessionEndedError")

    def test_thief_does_not_follow_rotation_by_rotation(self, api, ada):
        stolen = ada["refresh_token"]
        newest = api.refresh_as(FIREFOX, stolen).json()["refresh_token"]
        assert_error(api.refresh_as(CHROME, stolen), 401, "SessionEndedError")
        assert_error(api.refresh_as(FIREFOX, newest), 401, "SessionEndedError")


class TestEarlierVersion:
    """A session that a process of an earlier version refreshes has only the times of it."""

    @pytest.mark.parametrize(("seconds", "reuse"), [(9, False), (59, False), (61, True)])
    def test_grace_of_any_user_agent(self, api, ada, clock, seconds, reuse):
        api.refresh_as(FIREFOX, ada["refresh_token"])
        (session_id,) = User.objects.get().sessions
        names = (f"unset__sessions__{session_id}__{name}" for name in NEW_FIELDS)
        User.objects.update(**dict.fromkeys(names, 1))
        assert api.verify(ada["token"]).status_code == 200
        clock.shift(seconds)
        assert is_reuse(api, ada["refresh_token"]) == reuse

    def test_time_is_stored_where_the_earlier_version_reads_it(self, api, ada, clock):
        api.refresh(ada["refresh_token"])
        (session,) = User.objects.get().sessions.values()
        assert session.rotated == {"g0": session.last_used_at}


class TestReuseDetection:
    def test_reuse_after_the_grace_revokes_the_session(self, api, ada, clock):
        new = api.refresh(ada["refresh_token"]).json()
        clock.shift(61)
        response = api.refresh(ada["refresh_token"])
        assert_error(response, 401, "SessionEndedError")
        assert response.headers["WWW-Authenticate"] == BAD_TOKEN
        assert_error(api.verify(new["token"]), 401, "SessionEndedError")
        assert_error(api.refresh(new["refresh_token"]), 401, "SessionEndedError")

    def test_reuse_keeps_the_other_sessions(self, api, ada, clock):
        other = api.log_in().json()
        api.refresh(ada["refresh_token"])
        clock.shift(61)
        api.refresh(ada["refresh_token"])
        assert api.verify(other["token"]).status_code == 200

    def test_each_reuse_is_one_event_with_both_ips(self, api, ada, clock, events):
        user, second = User.objects.get().id, api.refresh(ada["refresh_token"]).json()
        assert events() == []
        api.refresh(ada["refresh_token"])
        clock.shift(12)
        api.refresh(ada["refresh_token"])
        clock.shift(50)
        for token in (ada["refresh_token"], second["refresh_token"], ada["refresh_token"]):
            api.refresh(token)
        ips = f"user={user} ip=127.0.0.1 first_ip=127.0.0.1"
        in_grace = f"event=refresh_token_reused_in_grace {ips}"
        assert events() == [in_grace, in_grace, f"event=refresh_token_reused {ips}"]


class TestAccessGrace:
    """The access token of before the refresh stays good for requests in flight."""

    @pytest.mark.parametrize(("seconds", "status"), [(0, 200), (9, 200), (11, 401)])
    def test_previous_access_token_is_accepted_for_10_seconds(
        self, api, ada, clock, seconds, status
    ):
        refresh_times(api, 2, ada["refresh_token"])
        clock.shift(seconds)
        response = api.verify(ada["token"])
        assert response.status_code == status
        if status == 401:
            assert_error(response, 401, "SupersededTokenError")
            assert response.headers["WWW-Authenticate"] == BAD_TOKEN

    def test_0_turns_it_off(self, serve, http):
        tokens = serve(JWT_ACCESS_GRACE=0)
        http.refresh(tokens["refresh_token"])
        assert_error(http.verify(tokens["token"]), 401, "SupersededTokenError")

    def test_it_needs_no_refresh_grace(self, serve, http):
        tokens = serve(JWT_REFRESH_GRACE=0)
        http.refresh(tokens["refresh_token"])
        assert http.verify(tokens["token"]).status_code == 200

    @pytest.mark.parametrize("end", ["logout", "all sessions", "reset", "role", "deletion"])
    def test_end_of_the_session_ends_it_at_once(self, app, api, ada, end):
        new = api.refresh(ada["refresh_token"]).json()
        user = User.objects.get()
        ends = {
            "logout": lambda: api.log_out(new["token"]),
            "all sessions": lambda: api.delete("/api/auth/sessions", token=ada["token"]),
            "reset": lambda: api.reset(reset_token(app, user)),
            "role": lambda: set_role(app, user, ADMIN),
            "deletion": user.delete,
        }
        ends[end]()
        for token in (ada["token"], new["token"]):
            assert_error(api.verify(token), 401, "SessionEndedError")

    def test_reuse_of_its_refresh_token_ends_it_at_once(self, api, ada):
        api.refresh_as(FIREFOX, ada["refresh_token"])
        api.refresh_as(CHROME, ada["refresh_token"])
        assert_error(api.verify(ada["token"]), 401, "SessionEndedError")


def set_role(app, user, role):
    with app.test_request_context():
        user_service.set_role(user, role)


class TestMaxAge:
    def test_older_session_is_not_refreshed(self, make_app, http, clock):
        http.app = make_app()
        http.sign_up()
        token = http.log_in().json()["refresh_token"]
        clock.shift(1000)
        http.app = make_app(JWT_SESSION_MAX_AGE=1000)
        assert_error(http.refresh(token), 401, "ExpiredTokenError")

    def test_refreshes_extend_a_session_up_to_its_max_age(self, make_app, http, clock):
        http.app = make_app(JWT_REFRESH_TOKEN_EXPIRES=1000, JWT_SESSION_MAX_AGE=2500)
        http.sign_up()
        tokens = http.log_in().json()
        for _ in range(2):
            clock.shift(999)
            tokens = http.refresh(tokens["refresh_token"]).json()
        assert tokens["expires_in"] == 502
        clock.shift(501)
        assert http.verify(tokens["token"]).status_code == 200
        clock.shift(2)
        assert_error(http.verify(tokens["token"]), 401, "ExpiredTokenError")
        assert_error(http.refresh(tokens["refresh_token"]), 401, "ExpiredTokenError")
