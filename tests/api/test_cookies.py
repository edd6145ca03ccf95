"""The refresh token in a cookie (contract: "Login with `"cookie": true`").

Which origins may send it across origins: test_headers.py.
"""

import pytest
from flask_jwt_extended import jwt_required

from database.models import ADMIN, User
from tests.support.assertions import assert_error, case
from tests.support.authenticator import assertion
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.concurrency import run_simultaneously
from tests.support.cookies import (
    COOKIE,
    OWN_ORIGIN,
    is_removed,
    kept_token,
    log_in_with_cookie,
    log_out_with_cookie,
    refresh_with_cookie,
    set_cookie,
    with_cookie,
)
from tests.support.endpoints import ENDPOINTS
from tests.support.factor_client import begin_login, code_of, reauthenticate
from tests.support.passkeys import login_options
from tests.support.tokens import decode_parts, reset_token
from web.openapi import build_document

APP = "https://app.example.com"
FOREIGN = {
    "another site": "https://evil.example",
    "no origin at all": "null",
    "a sibling": "https://evil.movie-bag.example",
    "a suffix": f"{OWN_ORIGIN}.evil.example",
    "a prefix": OWN_ORIGIN[:-1],
    "another port": f"{OWN_ORIGIN}:8443",
    "another scheme": OWN_ORIGIN.replace("https", "http"),
    "upper case": OWN_ORIGIN.upper(),
    "two": f"{OWN_ORIGIN}, {OWN_ORIGIN}",
    "empty": "",
}
READERS = {"refresh": refresh_with_cookie, "logout": log_out_with_cookie}
EACH_READER = pytest.mark.parametrize("send", READERS.values(), ids=READERS)
REFRESH_EXPIRES = 2_592_000
# A browser keeps them: with one, the name is another.
BLANKS = [*(it.encode() for it in "\u2000\u00a0\u0085\u3000\t"), b"\xa0", b"\x85"]
CURRENT = {"current_password": ADA["password"]}


@pytest.fixture
def token(api, ada):
    """Return the refresh token in the cookie of Ada's browser."""
    return kept_token(log_in_with_cookie(api))


@pytest.fixture
def browser(api, ada):
    """Return the access token of Ada's browser, and the refresh token in its cookie."""
    response = log_in_with_cookie(api)
    return response.json()["token"], kept_token(response)


@pytest.fixture
def send_code(api, factor):
    """Return a function that logs Ada in by a code."""

    def send(headers=None, **fields):
        body = {"mfa_token": begin_login(api), "code": code_of(factor.secret), **fields}
        return api.post("/api/auth/login/mfa", json=body, headers=headers)

    return send


@pytest.fixture
def send_passkey(api, passkey):
    """Return a function that logs Ada in by her passkey."""

    def send(headers=None, **fields):
        body = {"credential": assertion(passkey, login_options(api)), **fields}
        return api.post("/api/auth/login/passkey", json=body, headers=headers)

    return send


@pytest.fixture
def send_password(api, ada):
    """Return a function that logs Ada in by her password."""
    return lambda headers=None, **fields: api.post(
        "/api/auth/login", json={**ADA, **fields}, headers=headers
    )


@pytest.fixture(params=["password", "code", "passkey"])
def send_login(request):
    """Return a function that logs Ada in, by each of the ways to do so."""
    return request.getfixturevalue(f"send_{request.param}")


def generation(token):
    return decode_parts(token)[1]["gen"]


def outcome(response):
    """Return the status of a response, and the name of its error."""
    body = response.json()
    return response.status_code, body.get("error") if isinstance(body, dict) else None


def bearer(token, **headers):
    return {"Authorization": f"Bearer {token}", **headers}


class TestLogin:
    def test_refresh_token_goes_into_the_cookie_alone(self, api, send_login):
        token = kept_token(send_login(cookie=True))
        assert decode_parts(token)[1]["scope"] == "refresh"
        assert generation(kept_token(refresh_with_cookie(api, token))) == 1

    def test_bearer_is_the_default(self, send_password):
        for fields in ({}, {"cookie": False}):
            response = send_password(**fields)
            assert "refresh_token" in response.json()
            assert "Set-Cookie" not in response.headers

    def test_cookie_of_an_earlier_login_is_left_alone(self, api, token):
        response = api.post("/api/auth/login", json=ADA, headers=with_cookie(token))
        assert not is_removed(response)
        assert kept_token(refresh_with_cookie(api, token))

    def test_max_age_is_that_of_the_refresh_token(self, make_app, http, ada, clock):
        for max_age, seconds in ((REFRESH_EXPIRES * 9, REFRESH_EXPIRES), (3600, 3600)):
            http.app = make_app(JWT_SESSION_MAX_AGE=max_age)
            token, kept_for = set_cookie(log_in_with_cookie(http))
            claims = decode_parts(token)[1]
            assert kept_for == seconds == claims["exp"] - claims["iat"]
        clock.shift(600)
        assert set_cookie(refresh_with_cookie(http, token))[1] == 3000

    def test_value_must_be_a_boolean(self, send_password):
        for value in ("true", 1, None, [True]):
            errors = assert_error(send_password(cookie=value), 400, "SchemaValidationError")
            assert errors.keys() == {"cookie"}

    def test_refused_login_sets_none(self, send_password):
        for fields in ({"password": "wrong"}, EVE):
            response = send_password(cookie=True, **fields)
            assert_error(response, 401, "UnauthorizedError")
            assert "Set-Cookie" not in response.headers

    def test_login_that_waits_for_a_code_sets_none(self, api, factor):
        response = api.log_in(cookie=True)
        assert response.json()["error"] == "SecondFactorRequiredError"
        assert "Set-Cookie" not in response.headers

    def test_foreign_origin_is_refused_before_the_password(self, api, ada, count_events):
        for name, origin in FOREIGN.items():
            for password in (ADA["password"], "wrong"):
                with case(name=name):
                    body = {**ADA, "password": password, "cookie": True}
                    response = api.post("/api/auth/login", json=body, headers={"Origin": origin})
                    assert_error(response, 403, "ForbiddenError")
                    assert "Set-Cookie" not in response.headers
        assert count_events("login_failed") == 0
        assert len(User.objects.get().sessions) == 1

    def test_each_login_refuses_a_foreign_origin(self, send_login):
        foreign = {"Origin": "https://evil.example"}
        assert_error(send_login(foreign, cookie=True), 403, "ForbiddenError")
        assert send_login(foreign).status_code == 200

    def test_own_origin_is_accepted(self, make_app, http, ada):
        http.app = make_app(CORS_ORIGINS=APP)
        for origin in (OWN_ORIGIN, APP):
            assert kept_token(log_in_with_cookie(http, Origin=origin))

    def test_public_url_is_compared_as_a_browser_writes_it(self, make_app, http, ada):
        http.app = make_app(PUBLIC_URL="https://Movie-Bag.example:443/bag/")
        assert kept_token(log_in_with_cookie(http, Origin=OWN_ORIGIN))
        http.app = make_app(PUBLIC_URL="https://bücher.example")
        assert kept_token(log_in_with_cookie(http, Origin="https://xn--bcher-kva.example"))


class TestNextPair:
    """Every view that returns a pair keeps the refresh token of a cookie session in the cookie."""

    def test_views_of_this_class_are_all(self, app):
        tokens = {"$ref": "#/components/schemas/Tokens"}
        returning = {
            path.removeprefix("/api/auth/")
            for path, operations in build_document(app)["paths"].items()
            for it in operations.values()
            if it["responses"]["200"]["content"]["application/json"]["schema"] == tokens
        }
        logins = {"login", "login/mfa", "login/passkey"}  # TestLogin
        assert returning == {*logins, "refresh", "password", "reauthenticate"}

    def test_refresh_keeps_it_however_the_token_came(self, api, token):
        token = kept_token(refresh_with_cookie(api, token))
        token = kept_token(api.refresh(token))
        token = kept_token(api.post("/api/auth/refresh", json={"refresh_token": token}))
        assert generation(token) == 3

    def test_change_of_the_password_keeps_it(self, api, browser):
        access, token = browser
        body = {**CURRENT, "password": NEW_PASSWORD}
        response = api.put("/api/auth/password", token=access, json=body)
        assert generation(kept_token(response)) == 1
        assert generation(kept_token(refresh_with_cookie(api, kept_token(response)))) == 2

    def test_reauthentication_keeps_it(self, api, browser):
        response = reauthenticate(api, browser[0], **CURRENT)
        assert generation(kept_token(refresh_with_cookie(api, kept_token(response)))) == 2

    def test_other_session_of_the_user_stays_one_of_a_bearer(self, api, ada, token):
        response = api.post(
            "/api/auth/refresh", headers=with_cookie(token) | bearer(ada["refresh_token"])
        )
        assert decode_parts(response.json()["refresh_token"])[1]["gen"] == 1
        assert "Set-Cookie" not in response.headers


@EACH_READER
class TestReading:
    def test_cookie_of_an_own_page_is_accepted(self, make_app, http, ada, send):
        http.app = make_app(CORS_ORIGINS=APP)
        for origin in (OWN_ORIGIN, APP):
            token = kept_token(log_in_with_cookie(http))
            assert send(http, token, Origin=origin).status_code == 200

    def test_body_wins_over_the_cookie(self, api, ada, token, send):
        method, path = {
            refresh_with_cookie: ("POST", "/api/auth/refresh"),
            log_out_with_cookie: ("DELETE", "/api/auth/logout"),
        }[send]
        for body, error in (({"refresh_token": "x"}, "BadTokenError"), ({}, None)):
            response = api.request(method, path, json=body, headers=with_cookie(token))
            assert response.json().get("error") == error
            assert error is None or not is_removed(response)

    def test_authorization_header_wins_over_the_cookie(self, api, token, send):
        for header in ("Bearer x", "", "Bearer", "Basic eDp5", "x"):
            for origin in (OWN_ORIGIN, "https://evil.example"):
                with case(header=header, origin=origin):
                    response = send(api, token, Authorization=header, Origin=origin)
                    expected = "BadTokenError" if header == "Bearer x" else "MissingTokenError"
                    assert_error(response, 401, expected)
                    assert not is_removed(response)

    def test_foreign_origin_is_refused_before_the_token(
        self, api, token, send, caplog, count_events
    ):
        foreign = {**FOREIGN, "none": None, "one that CORS_ORIGINS might name": APP}
        for name, origin in foreign.items():
            for value in (token, "x", ""):
                with case(name=name, value=value):
                    response = send(api, value, Origin=origin)
                    assert_error(response, 403, "ForbiddenError")
                    assert not is_removed(response)
        assert count_events("token_refused") == 3 * len(foreign)
        assert caplog.messages[-1].endswith(" reason=ForeignOrigin")
        assert generation(kept_token(refresh_with_cookie(api, token))) == 1

    def test_request_without_the_cookie_lacks_a_token(self, api, ada, send):
        for header in (None, "", "theme=dark", "refresh=x", "__Secure-refresh=x", COOKIE):
            response = send(api, "", Cookie=header)
            if header == COOKIE:  # a name without a value has an empty one
                assert is_removed(response)
            else:
                assert not is_removed(response)
            assert_error(response, 401, "MissingTokenError")

    def test_other_cookies_around_it_change_nothing(self, api, token, send):
        header = f'a="x; y; {COOKIE}={token} ;b="; {COOKIE}x=1; x{COOKIE}=2; {COOKIE.lower()}=3'
        assert send(api, "", Cookie=header).status_code == 200

    def test_name_with_another_blank_is_another_name(self, api, token, send):
        for blank in BLANKS:
            for name in (blank + COOKIE.encode(), COOKIE.encode() + blank):
                with case(name=name):
                    planted = b"a=1; %b=%b" % (name, token.encode())
                    assert_error(send(api, "", Cookie=planted), 401, "MissingTokenError")
                    own = f"; {COOKIE}=x".encode()
                    assert_error(send(api, "", Cookie=planted + own), 401, "BadTokenError")

    def test_other_values_are_refused(self, app, api, browser, send):
        twice = f"{COOKIE}={browser[1]}; {COOKIE}={browser[1]}"
        assert_error(send(api, "", Cookie=twice), 401, "BadTokenError")
        long = f"{browser[1]}{'x' * (4097 - len(browser[1]))}"
        link = reset_token(app, User.objects.get())
        for value in (browser[0], link, f'"{browser[1]}"', long, f"{browser[1]}, x"):
            assert_error(send(api, value), 401, "BadTokenError")
        assert api.refresh(browser[1]).status_code == 200


class TestRemoval:
    def test_logout_removes_it(self, api, browser):
        access, token = browser
        response = log_out_with_cookie(api, token)
        assert response.status_code == 200
        assert is_removed(response)
        assert_error(api.verify(access), 401, "SessionEndedError")

    def test_logout_by_bearer_removes_what_the_browser_sent(self, api, browser):
        access, token = browser
        response = api.delete("/api/auth/logout", headers=with_cookie(token) | bearer(access))
        assert response.status_code == 200
        assert is_removed(response)

    def test_client_without_it_is_sent_none(self, api, ada):
        assert "Set-Cookie" not in api.log_out(ada["token"]).headers

    def test_end_of_all_sessions_removes_it(self, api, browser):
        access, token = browser
        headers = with_cookie(token) | bearer(access)
        response = api.delete("/api/auth/sessions", headers=headers)
        assert response.status_code == 200
        assert is_removed(response)

    def test_end_of_the_current_session_removes_it(self, api, ada, browser):
        access, token = browser
        headers = with_cookie(token) | bearer(access)
        ids = [decode_parts(it)[1]["sid"] for it in (ada["token"], access)]
        removed = [
            is_removed(api.delete(f"/api/auth/sessions/{it}", headers=headers)) for it in ids
        ]
        assert removed == [False, True]

    @pytest.mark.parametrize("path", ["/api/users/me", "/api/users/{id}"])
    def test_deletion_of_oneself_removes_it(self, api, browser, path):
        access, token = browser
        headers = with_cookie(token) | bearer(access)
        url = path.format(id=User.objects.get().id)
        assert not is_removed(api.delete(url, json={"current_password": "x"}, headers=headers))
        response = api.delete(url, json=CURRENT, headers=headers)
        assert response.status_code == 200
        assert is_removed(response)

    def test_admin_keeps_it_while_others_are_ended(self, api, eve, browser):
        access, token = browser
        headers = with_cookie(token) | bearer(access)
        User.objects(email=ADA["email"]).update(set__role=ADMIN)
        her_id, own_id = (str(User.get_by_email(it["email"]).id) for it in (EVE, ADA))
        requests = [f"{her_id}/sessions", her_id, f"{own_id}/sessions"]
        responses = [api.delete(f"/api/users/{it}", headers=headers) for it in requests]
        assert [it.status_code for it in responses] == [200, 200, 200]
        assert [is_removed(it) for it in responses] == [False, False, True]

    @EACH_READER
    def test_refused_token_of_the_cookie_removes_it(self, api, token, clock, send):
        assert is_removed(send(api, "x"))
        assert is_removed(send(api, "", Cookie=f"{COOKIE}={token}; {COOKIE}={token}"))
        User.objects.update(set__sessions={})
        assert is_removed(send(api, token))
        clock.shift(REFRESH_EXPIRES)
        response = send(api, token)
        assert_error(response, 401, "ExpiredTokenError")
        assert is_removed(response)

    def test_refused_token_of_elsewhere_leaves_it_alone(self, api, token):
        headers = with_cookie(token)
        for response in (
            api.post("/api/auth/refresh", json={"refresh_token": "x"}, headers=headers),
            api.post("/api/auth/refresh", headers=headers | bearer("x")),
        ):
            assert_error(response, 401, "BadTokenError")
            assert not is_removed(response)

    def test_other_errors_leave_it_alone(self, make_app, http, ada):
        limits = {"RATELIMIT_ENABLED": True, "RATELIMIT_REFRESH_PER_IP": "1 per hour"}
        http.app = make_app(**limits)
        token = kept_token(log_in_with_cookie(http))
        headers = with_cookie(token)
        responses = [
            http.post("/api/auth/refresh", json={"other": 1}, headers=headers),
            http.post("/api/auth/refresh", headers=headers),
        ]
        assert [it.status_code for it in responses] == [400, 429]
        assert not any(map(is_removed, responses))


class TestTabs:
    """Two tabs have one cookie: what a late response sets must not be worse than what is there."""

    def test_refreshes_at_once_set_the_same_generation(self, api, token):
        responses = run_simultaneously(4, lambda _: refresh_with_cookie(api, token))
        tokens = [kept_token(it) for it in responses]
        assert {generation(it) for it in tokens} == {1}
        # Whichever of them came last: it leads on.
        assert {generation(kept_token(refresh_with_cookie(api, it))) for it in tokens} == {2}

    def test_lost_response_costs_nothing_for_a_minute(self, api, token, clock):
        refresh_with_cookie(api, token)
        clock.shift(59)
        assert generation(kept_token(refresh_with_cookie(api, token))) == 1

    def test_reuse_after_the_grace_ends_the_session(self, api, token, clock):
        refresh_with_cookie(api, token)
        clock.shift(61)
        response = refresh_with_cookie(api, token)
        assert_error(response, 401, "SessionEndedError")
        assert is_removed(response)

    def test_refresh_during_a_change_keeps_the_later_cookie(self, api, browser):
        access, token = browser
        later = kept_token(reauthenticate(api, access, **CURRENT))
        response = refresh_with_cookie(api, token)  # sent before the browser had the later one
        assert_error(response, 401, "SupersededTokenError")
        assert not is_removed(response)
        assert kept_token(refresh_with_cookie(api, later))


class TestForgery:
    """A browser adds the cookie to what a foreign page sends: nothing else may read it."""

    def test_no_other_route_reads_it(self, api, token):
        readers = {"/api/auth/refresh", "/api/auth/logout"}
        for method, path, body, scope in ENDPOINTS:
            with case(method=method, path=path):
                sent = {"json": body} if scope and method != "GET" else {}
                bare = api.request(method, path, **sent)
                response = api.request(method, path, headers=with_cookie(token), **sent)
                assert (outcome(response) == outcome(bare)) != (path in readers)
                assert not scope or bare.json()["error"] == "MissingTokenError"

    def test_library_reads_no_cookie(self, app, api):
        app.add_url_rule("/api/mine", view_func=jwt_required()(lambda: "for you alone"))
        api.sign_up()
        response = log_in_with_cookie(api)
        access, token = response.json()["token"], kept_token(response)
        cookies = f"access_token_cookie={access}; refresh_token_cookie={token}; {COOKIE}={access}"
        response = api.get("/api/mine", headers={"Cookie": cookies, "Origin": OWN_ORIGIN})
        assert_error(response, 401, "MissingTokenError")
