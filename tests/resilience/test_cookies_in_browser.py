"""The refresh token in the cookie of a real browser, on pages of several origins.

Chromium resolves names below localhost to this machine, and treats them as secure.
"""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page

from database.models import User
from tests.support.browser import NEEDS_CHROMIUM
from tests.support.client import ADA, EVE, ApiClient
from tests.support.concurrency import wait_until
from tests.support.cookies import COOKIE
from tests.support.front_end import FrontEnd
from tests.support.markdown import code_blocks
from tests.support.processes import HOME
from tests.support.tokens import decode_parts

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]

API_OF_THE_PAGE = '"https://api.example.com"'
API_HOST, APP_HOST, SIBLING = "api.bag.localhost", "app.bag.localhost", "evil.bag.localhost"
OTHER_SITE = "127.0.0.1"
REFRESH_EXPIRES = 2_592_000
IMPORT = "import('/session.js').then((module) => { window.bag = module; })"
# Sends a request as a script may, and returns its status, or 0 if the browser kept it from us.
SEND = """([url, method, mode]) =>
  fetch(url, { method, mode, credentials: "include" }).then((it) => it.status, () => 0)"""
SEND_FORM = """(url) => {
  const form = document.body.appendChild(document.createElement("form"));
  Object.assign(form, { action: url, method: "POST" });
  form.submit();
}"""
LOG_IN = """([url, user]) => fetch(`${url}/api/auth/login`, {
  method: "POST", credentials: "include", headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ ...user, cookie: true }),
}).then((it) => it.status, () => 0)"""


@pytest.fixture
def site(make_app: Callable[..., Flask], http: ApiClient, front_end: FrontEnd) -> ApiClient:
    """Serve the API to a front end whose module is that of the documentation."""
    origins = f"http://{APP_HOST}:{front_end.port},http://localhost:{front_end.port}"
    own = {"PUBLIC_URL": f"http://{API_HOST}:{http.port}", "CORS_ORIGINS": origins}
    http.app = make_app(APP_ENV="development", **own)
    http.sign_up()
    serve_module(front_end, f"http://{API_HOST}:{http.port}")
    return http


@pytest.fixture
def context(browser: Browser, site: ApiClient) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def open_page(context: BrowserContext, front_end: FrontEnd) -> Callable[..., Page]:
    """Return a function that opens the page of a host, with the module."""

    def open_at(host: str = APP_HOST) -> Page:
        page = context.new_page()
        page.goto(f"http://{host}:{front_end.port}/")
        page.evaluate(IMPORT)
        return page

    return open_at


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """Return a page on which Ada is logged in."""
    page = open_page()
    log_in(page)
    return page


def serve_module(front_end: FrontEnd, api: str) -> None:
    (block,) = (
        it for it in code_blocks(HOME / "docs/how-to/use-cookies.md") if it.language == "js"
    )
    assert block.source.count(API_OF_THE_PAGE) == 1
    front_end.modules["/session.js"] = block.source.replace(API_OF_THE_PAGE, f'"{api}"')


def log_in(page: Page, **user: str) -> None:
    page.evaluate("(user) => bag.logIn(user.email, user.password)", {**ADA, **user})


def email(page: Page) -> str:
    """Return whose page it is, by a request with the access token."""
    name: str = page.evaluate("bag.request('GET', '/api/users/me').then((user) => user.email)")
    return name


def error_of(page: Page, call: str) -> str:
    """Return the name of the error that a call of the module throws."""
    name: str = page.evaluate(f"bag.{call}.then(() => 'none', (error) => error.error)")
    return name


def stored_cookies(context: BrowserContext) -> list[Any]:
    return [it for it in context.cookies() if it["name"] == COOKIE]


def generation(context: BrowserContext) -> int:
    """Return the generation of the refresh token that the browser has."""
    (cookie,) = stored_cookies(context)
    number: int = decode_parts(cookie["value"])[1]["gen"]
    return number


class TestPage:
    @pytest.mark.parametrize(("api", "host"), [(API_HOST, APP_HOST), ("localhost", "localhost")])
    def test_session_outlives_a_reload_and_no_script_sees_it(
        self, context, site, front_end, open_page, api, host
    ):
        serve_module(front_end, f"http://{api}:{site.port}")
        page = open_page(host)
        assert error_of(page, "refresh()") == "MissingTokenError"
        log_in(page)
        (cookie,) = stored_cookies(context)
        assert abs(cookie["expires"] - time.time() - REFRESH_EXPIRES) < 60
        flags = {"httpOnly": True, "secure": True, "sameSite": "Strict", "path": "/", "domain": api}
        assert cookie.items() >= flags.items()
        page.reload()
        page.evaluate(IMPORT)
        page.evaluate("bag.refresh()")
        assert email(page) == ADA["email"]
        assert page.evaluate("document.cookie + JSON.stringify({ ...localStorage })") == "{}"
        page.evaluate("bag.logOut()")
        assert context.cookies() == []
        assert error_of(page, "refresh()") == "MissingTokenError"

    def test_change_of_the_password_keeps_the_later_cookie(self, context, page):
        new = "staple horse correct"
        body = {"current_password": ADA["password"], "password": new}
        page.evaluate("(body) => bag.request('PUT', '/api/auth/password', body)", body)
        assert generation(context) == 1
        page.evaluate("bag.request('DELETE', '/api/auth/sessions')")
        assert context.cookies() == []

    def test_refused_refresh_removes_it(self, context, page):
        User.objects.update(set__sessions={})
        page.reload()
        page.evaluate(IMPORT)
        assert error_of(page, "refresh()") == "SessionEndedError"
        assert context.cookies() == []

    def test_refresh_of_a_page_that_is_closed_is_not_lost(self, context, site, open_page, page):
        page.reload()
        page.evaluate(IMPORT)
        is_closed, app = threading.Event(), site.app

        def respond_late(*call: Any) -> Any:
            is_closed.wait(60)
            return app(*call)

        site.app = respond_late
        with page.expect_request("**/api/auth/refresh"):
            page.evaluate("void bag.refresh()")
        page.close()
        open_page()  # meanwhile the browser cancels what the closed page still waits for
        is_closed.set()
        wait_until(lambda: generation(context) == 1)


class TestTabs:
    def test_refreshes_at_once_leave_a_cookie_that_leads_on(self, context, site, open_page, page):
        tabs = [page, open_page(), open_page()]
        url = f"http://{API_HOST}:{site.port}/api/auth/refresh"
        for tab in tabs:  # without the lock of the module
            tab.evaluate(f"(call) => {{ window.sent = ({SEND})(call) }}", [url, "POST", "cors"])
        assert [tab.evaluate("window.sent") for tab in tabs] == [200, 200, 200]
        before = generation(context)
        assert page.evaluate(SEND, [url, "POST", "cors"]) == 200
        assert generation(context) == before + 1

    def test_tab_gets_the_access_token_of_another(self, context, open_page, page):
        other = open_page()
        page.evaluate("bag.request('GET', '/api/users/me')")
        other.evaluate("bag.refresh()")
        assert email(page) == email(other) == ADA["email"]
        assert generation(context) == 1

    def test_logout_in_one_ends_the_other(self, context, open_page, page):
        other = open_page()
        other.evaluate("bag.logOut()")
        assert error_of(page, "request('GET', '/api/users/me')") == "MissingTokenError"
        assert context.cookies() == []


class TestOtherPages:
    @pytest.mark.parametrize(("host", "status"), [(SIBLING, 403), (OTHER_SITE, 401)])
    def test_page_that_is_not_ours_can_use_nothing(
        self, context, site, front_end, open_page, page, host, status
    ):
        api = f"http://{API_HOST}:{site.port}"
        calls = [("POST", "/api/auth/refresh"), ("DELETE", "/api/auth/logout")]
        other, statuses = open_page(host), []
        other.on("response", lambda response: statuses.append(response.status))
        for method, path in calls:
            assert other.evaluate(SEND, [api + path, method, "cors"]) == 0
        other.evaluate(SEND, [f"{api}/api/auth/refresh", "POST", "no-cors"])
        with other.expect_navigation():
            other.evaluate(SEND_FORM, f"{api}/api/auth/refresh")
        # Of the first two the browser says nothing, but that they failed.
        assert [it for it in statuses if it != 200] == [status] * 2
        other.go_back()
        assert other.evaluate(LOG_IN, [api, ADA]) == 0
        assert generation(context) == 0
        assert [it.generation for it in User.objects.get().sessions.values()] == [0]
        assert email(page) == ADA["email"]

    def test_cookie_that_a_sibling_plants_is_ignored(self, context, site, front_end, open_page):
        site.sign_up(**EVE)
        token = site.log_in(**EVE).json()["refresh_token"]
        names = [COOKIE, f"={COOKIE}", COOKIE.upper(), COOKIE.lower()]
        names += [f"{blank}{COOKIE}" for blank in ("\u2000", "\u00a0", "\u0085", "\u3000")]
        planted = [f"{name}={token}; Domain=bag.localhost; Path=/; Secure" for name in names]
        latin_1 = [*(it.encode().decode("latin-1") for it in planted), planted[5], planted[6]]
        front_end.cookies = latin_1
        open_page(SIBLING).evaluate(
            "(all) => { for (const it of all) document.cookie = it; }", planted
        )
        front_end.cookies = []
        page = open_page()
        with page.expect_request("**/api/auth/refresh") as sent:
            assert error_of(page, "refresh()") == "MissingTokenError"
        # The browser did send some: who strips all blanks would have logged in as Eve.
        assert token in sent.value.all_headers()["cookie"]
        log_in(page)
        page.reload()
        page.evaluate(IMPORT)
        page.evaluate("bag.refresh()")
        assert email(page) == ADA["email"]
