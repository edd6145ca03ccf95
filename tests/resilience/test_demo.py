"""The demo at /demo in a browser, as a person clicks through it."""

import json
import re
import time
from collections.abc import Callable, Iterator

import pyotp
import pytest
from flask import Flask
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.browser import (
    NEEDS_AXE,
    NEEDS_CHROMIUM,
    OpenPage,
    accessibility_problems,
    add_authenticator,
    page_opener,
)
from tests.support.client import ADA, NEW_PASSWORD, ApiClient
from tests.support.cookies import COOKIE
from tests.support.email_client import NEW_EMAIL, verify_all

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]

STEP_SECONDS = 30
NAMES = [f"Movie {number:02}" for number in range(25)]
RECENT_SECONDS = 600


@pytest.fixture
def serve(make_app: Callable[..., Flask], http: ApiClient) -> Callable[..., ApiClient]:
    """Return a function that serves development at localhost, a name that passkeys belong to."""

    def serve_with(**settings: object) -> ApiClient:
        url = f"http://localhost:{http.port}"
        own = {"PUBLIC_URL": url, "EMAIL_VERIFICATION": "optional"}
        http.app = make_app(APP_ENV="development", **own, **settings)
        return http

    return serve_with


@pytest.fixture
def site(serve: Callable[..., ApiClient]) -> ApiClient:
    return serve()


@pytest.fixture
def open_page(browser: Browser, site: ApiClient) -> Iterator[OpenPage]:
    with page_opener(browser, site.app.config["PUBLIC_URL"]) as open_page:
        yield open_page


@pytest.fixture
def verified(site: ApiClient) -> ApiClient:
    """Serve a site where Ada has a verified account."""
    site.sign_up(name="Ada")
    verify_all()
    return site


@pytest.fixture
def page(open_page: OpenPage, verified: ApiClient) -> Page:
    """Return the page where Ada is logged in."""
    return open_logged_in(open_page)


def open_logged_in(open_page: OpenPage, **options: object) -> Page:
    """Log Ada in, on a device with passkeys."""
    page = open_page("/demo#/login", **options)
    add_authenticator(page)
    log_in(page)
    expect_status(page, f"You are logged in as {ADA['email']}.")
    return page


def press(place: Page | Locator, name: str) -> None:
    place.get_by_role("button", name=name, exact=True).click()


def heading(page: Page) -> Locator:
    return page.get_by_role("heading", level=1)


def expect_status(page: Page, text: str) -> None:
    expect(page.locator("#status")).to_have_text(text)


def expect_alert(place: Page | Locator, text: str | re.Pattern[str]) -> None:
    expect(place.get_by_role("alert")).to_have_text(text)


def follow(page: Page, name: str) -> None:
    """Follow a link of the menu."""
    page.get_by_role("navigation").get_by_role("link", name=name).click()


def section(page: Page, name: str) -> Locator:
    """Return a section of the security view."""
    return page.get_by_role("region", name=name)


def log_in(page: Page, password: str = ADA["password"], email: str = ADA["email"]) -> None:
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    press(page, "Log in")


def log_out(page: Page) -> None:
    press(page, "Log out")
    expect(heading(page)).to_have_text("Log in")


def code_of(secret: str, steps: int = 0) -> str:
    """Return a code of an authenticator app whose clock is ahead by so many steps."""
    return pyotp.TOTP(secret).at(time.time() + steps * STEP_SECONDS)


def add_totp(page: Page) -> tuple[str, list[str]]:
    """Turn the second factor on; return its secret and the recovery codes."""
    follow(page, "Security")
    app = section(page, "Authenticator app")
    press(app, "Set it up")
    expect(app.locator(".secret")).to_be_visible()
    secret = app.locator(".secret").inner_text()
    app.get_by_label("The code that the app shows").fill(code_of(secret))
    press(app, "Turn it on")
    dialog = page.get_by_role("dialog", name="Your recovery codes")
    expect(dialog.get_by_role("listitem")).to_have_count(10)
    codes = dialog.get_by_role("listitem").all_inner_texts()
    press(dialog, "I have kept them")
    expect_status(page, "A login asks for a code now. Every other session has ended.")
    return secret, codes


def add_passkey(page: Page, name: str) -> Locator:
    """Add a passkey of the device; return its item in the list."""
    follow(page, "Security")
    passkeys = section(page, "Passkeys")
    passkeys.get_by_label("Name").fill(name)
    press(passkeys, "Add a passkey")
    expect_status(page, f"{name} is added.")
    return passkeys.get_by_role("listitem").filter(has_text=name)


class TestSignup:
    def test_link_in_the_mail_confirms_the_address(self, open_page):
        page = open_page("/demo")
        follow(page, "Sign up")
        page.get_by_label("Email").fill(ADA["email"])
        page.get_by_label("Password").fill(ADA["password"])
        press(page, "Sign up")
        expect(heading(page)).to_have_text("Look into your mail")
        with page.expect_popup() as popup:
            page.get_by_role("link", name="all emails").click()
        mail = popup.value
        mail.get_by_role("link", name="Confirm").click()
        mail.goto(mail.locator("pre a").first.get_attribute("href"))
        press(mail, "Confirm this address")
        expect(heading(mail)).to_contain_text("confirmed")
        page.get_by_role("link", name="Log in").last.click()
        log_in(page)
        follow(page, "Security")
        expect(page.get_by_text(f"You are {ADA['email']}.")).to_be_visible()
        expect(page.get_by_text("Confirm your address first")).to_be_hidden()

    def test_errors_are_shown_beside_their_fields(self, open_page):
        page = open_page("/demo#/signup")
        page.get_by_label("Email").fill("ada")
        page.get_by_label("Password").fill("password1")
        press(page, "Sign up")
        password = page.get_by_label("Password")
        expect(page.get_by_label("Email")).to_be_focused()
        expect(page.get_by_label("Email")).to_have_accessible_description(re.compile("email"))
        expect(password).to_have_accessible_description(re.compile("very common password"))
        page.get_by_label("Email").fill(ADA["email"])
        password.fill(ADA["password"])
        press(page, "Sign up")
        expect(heading(page)).to_have_text("Look into your mail")

    def test_unverified_address_is_said_and_sent_again(self, open_page, site):
        site.sign_up()
        page = open_page("/demo#/login")
        log_in(page)
        follow(page, "Security")
        press(section(page, "Authenticator app"), "Set it up")
        expect_alert(section(page, "Authenticator app"), "Confirm your email address first")
        press(page, "Send it again")
        expect_status(page, "If that address waits to be confirmed, a link is on its way")


class TestLogin:
    def test_wrong_password_is_an_alert(self, open_page, verified):
        page = open_page("/demo#/login")
        log_in(page, "wrong")
        expect_alert(page, "Invalid username or password")

    def test_reload_stays_logged_in(self, page):
        page.reload()
        follow(page, "Sessions")
        expect(page.get_by_text("This one", exact=True)).to_be_visible()

    def test_refresh_token_is_kept_in_a_cookie_if_wanted(self, open_page, verified):
        page = open_page("/demo#/login")
        page.get_by_label("Keep the refresh token in a cookie").check()
        log_in(page)
        expect_status(page, f"You are logged in as {ADA['email']}.")
        assert "eyJ" not in page.evaluate("document.cookie + JSON.stringify({ ...localStorage })")
        page.reload()
        follow(page, "Sessions")
        expect(page.get_by_text("This one", exact=True)).to_be_visible()
        assert [it["name"] for it in page.context.cookies()] == [COOKIE]
        log_out(page)
        assert page.context.cookies() == []

    def test_keyboard_is_enough(self, open_page, verified):
        page = open_page("/demo#/login")
        expect(heading(page)).to_be_focused()
        for key in ("Tab", *ADA["email"], "Tab", *ADA["password"], "Enter"):
            page.keyboard.press(key if key != " " else "Space")
        expect_status(page, f"You are logged in as {ADA['email']}.")
        expect(heading(page)).to_be_focused()

    def test_limit_says_when_to_try_again(self, open_page, serve):
        serve(RATELIMIT_ENABLED=True, RATELIMIT_LOGIN_PER_EMAIL="1 per minute")
        page = open_page("/demo#/login")
        log_in(page, "wrong")
        for _ in range(20):
            expect(page.get_by_role("alert")).to_have_count(1)
            if "Too many" in page.get_by_role("alert").inner_text():
                break
            press(page, "Log in")
        expect_alert(page, re.compile(r"Too many requests, .*\. Try again in \d+ seconds, at \d.*"))

    def test_view_of_users_shows_guests_the_login(self, open_page):
        for view in ("sessions", "security"):
            expect(heading(open_page(f"/demo#/{view}"))).to_have_text("Log in")

    def test_forgotten_password_is_replaced(self, open_page, verified):
        page = open_page("/demo#/login")
        page.get_by_role("link", name="Forgot").click()
        page.get_by_label("Email").fill(ADA["email"])
        press(page, "Send the link")
        expect_status(page, "If an account exists for that address, a reset link is on its way")
        mail = open_page("/dev/mail")
        mail.get_by_role("link", name="Reset your").click()
        mail.goto(mail.locator("pre a").first.get_attribute("href"))
        mail.get_by_label("New password", exact=True).fill(NEW_PASSWORD)
        mail.get_by_label("New password, again").fill(NEW_PASSWORD)
        press(mail, "Set password")
        page.goto("/demo#/login")
        log_in(page, NEW_PASSWORD)
        expect_status(page, f"You are logged in as {ADA['email']}.")


class TestSecondFactor:
    def test_code_and_recovery_code_log_in(self, page):
        secret, (recovery_code, *_) = add_totp(page)
        expect(section(page, "Authenticator app")).to_contain_text("10 recovery codes are left.")
        log_out(page)
        log_in(page)
        expect(page.get_by_label("Code of your authenticator app")).to_be_focused()
        page.get_by_label("Code of your authenticator app").fill(code_of(secret, 1))
        press(page, "Log in")
        expect_status(page, f"You are logged in as {ADA['email']}.")
        log_out(page)
        log_in(page)
        page.get_by_text("I have a recovery code instead").click()
        page.get_by_label("Recovery code", exact=True).fill(recovery_code)
        press(page, "Log in with a recovery code")
        expect_status(page, f"You are logged in as {ADA['email']}.")
        follow(page, "Security")
        expect(section(page, "Authenticator app")).to_contain_text("9 recovery codes are left.")

    def test_used_code_is_refused(self, page):
        secret, _ = add_totp(page)
        log_out(page)
        log_in(page)
        # The one before, because a step may have passed: it is not newer than the used one.
        page.get_by_label("Code of your authenticator app").fill(code_of(secret, -1))
        press(page, "Log in")
        expect(page.get_by_role("alert")).to_be_visible()
        expect(heading(page)).to_have_text("A second factor")

    def test_late_response_does_not_hide_the_secret(self, page):
        held = []
        page.route("**/api/auth/mfa", lambda route: held.append(route), times=1)
        with page.expect_request("**/api/auth/mfa"):
            follow(page, "Security")
        app = section(page, "Authenticator app")
        expect(app.get_by_role("button", name="Set it up")).to_be_hidden()
        follow(page, "Sessions")
        follow(page, "Security")
        press(app, "Set it up")
        expect(app.locator(".secret")).to_be_visible()
        with page.expect_response("**/api/auth/mfa"):
            held[0].continue_()
        page.evaluate("fetch('/healthz').then((later) => later.json())")
        expect(app.locator(".secret")).to_be_visible()

    def test_qr_code_is_an_image_of_the_secret(self, page):
        follow(page, "Security")
        app = section(page, "Authenticator app")
        press(app, "Set it up")
        expect(app.get_by_role("img", name="QR code")).to_have_js_property("complete", True)
        assert app.get_by_role("img", name="QR code").evaluate("image => image.naturalWidth") > 0

    def test_recovery_codes_are_renewed_and_it_is_turned_off(self, page):
        _, codes = add_totp(page)
        app = section(page, "Authenticator app")
        press(app, "New recovery codes")
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("listitem")).to_have_count(10)
        assert not {*codes} & {*dialog.get_by_role("listitem").all_inner_texts()}
        press(dialog, "I have kept them")
        expect(page.locator("section[data-busy]")).to_have_count(0)
        press(app, "Turn it off")
        expect_status(page, "The second factor is off")
        expect(app.get_by_role("button", name="Set it up")).to_be_visible()


class TestPasskeys:
    def test_passkey_is_added_used_renamed_and_removed(self, page):
        add_passkey(page, "My laptop")
        log_out(page)
        press(page, "Log in with a passkey")
        expect_status(page, f"You are logged in as {ADA['email']}.")
        follow(page, "Security")
        item = section(page, "Passkeys").get_by_role("listitem")
        expect(item).to_contain_text("last used")
        press(item, "Rename My laptop")
        item.get_by_label("New name").fill("Old laptop")
        press(item, "Rename")
        expect(item).to_contain_text("Old laptop")
        press(item, "Remove Old laptop")
        expect_status(page, "The passkey is removed")
        expect(item).to_have_count(0)
        log_out(page)
        press(page, "Log in with a passkey")
        expect_alert(page, "Invalid username or password")

    def test_passkey_is_not_asked_for_a_code(self, page):
        add_passkey(page, "My laptop")
        add_totp(page)
        log_out(page)
        press(page, "Log in with a passkey")
        expect_status(page, f"You are logged in as {ADA['email']}.")

    def test_same_device_is_not_added_twice(self, page):
        add_passkey(page, "My laptop")
        press(section(page, "Passkeys"), "Add a passkey")
        expect(section(page, "Passkeys").get_by_role("alert")).to_be_visible()
        expect(section(page, "Passkeys").get_by_role("listitem")).to_have_count(1)

    def test_device_without_one_is_an_alert(self, open_page, verified):
        page = open_page("/demo#/login")
        add_authenticator(page)
        press(page, "Log in with a passkey")
        expect_alert(page, "No passkey was used.")

    def test_page_opened_by_ip_names_the_address_that_has_them(self, browser, site):
        with page_opener(browser, site.url) as open_page:
            page = open_page("/demo#/login")
            link = page.get_by_role("link", name="http://localhost")
            expect(link).to_have_attribute("href", f"http://localhost:{site.port}/demo#/login")
            press(page, "Log in with a passkey")
            expect(page.get_by_role("alert")).to_be_visible()


class TestConfirmation:
    @pytest.fixture
    def old_session(self, page: Page, clock) -> Page:
        """Return the page after the login is not recent any more."""
        follow(page, "Security")
        expect(section(page, "Passkeys")).to_contain_text("0")
        clock.shift(RECENT_SECONDS + 1)
        return page

    @pytest.fixture
    def dialog(self, old_session: Page) -> Locator:
        """Return the dialog, opened by what needs a recent login."""
        press(section(old_session, "Authenticator app"), "Set it up")
        dialog = old_session.get_by_role("dialog", name="Confirm that it is you")
        expect(dialog).to_be_visible()
        return dialog

    def test_password_repeats_the_request(self, old_session, dialog):
        expect(dialog.get_by_label("Password")).to_be_focused()
        dialog.get_by_label("Password").fill("wrong")
        press(dialog, "Confirm")
        expect(dialog.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
        dialog.get_by_label("Password").fill(ADA["password"])
        press(dialog, "Confirm")
        expect(dialog).to_have_count(0)
        expect(section(old_session, "Authenticator app").locator(".secret")).to_be_visible()

    def test_escape_and_cancel_change_nothing(self, old_session, dialog):
        app = section(old_session, "Authenticator app")
        old_session.keyboard.press("Escape")
        expect_alert(app, "You did not confirm that it is you: nothing is changed.")
        expect(app.get_by_role("button", name="Set it up")).to_be_focused()
        press(app, "Set it up")
        press(dialog, "Cancel")
        expect_alert(app, "You did not confirm that it is you: nothing is changed.")

    def test_user_with_totp_gives_a_code_or_a_passkey(self, page, clock):
        add_passkey(page, "My laptop")
        secret, _ = add_totp(page)
        dialog = page.get_by_role("dialog", name="Confirm that it is you")
        clock.shift(RECENT_SECONDS + 1)
        press(page, "Remove My laptop")
        expect(dialog.get_by_label("Password")).to_be_hidden()
        dialog.get_by_label("Code of your authenticator app").fill(code_of(secret))
        press(dialog, "Confirm")
        expect_status(page, "The passkey is removed")
        add_passkey(page, "My phone")
        clock.shift(RECENT_SECONDS + 1)
        press(section(page, "Authenticator app"), "Turn it off")
        press(dialog, "Use a passkey")
        expect_status(page, "The second factor is off")


class TestAccount:
    def test_password_is_changed(self, page):
        follow(page, "Security")
        password = section(page, "Password")
        password.get_by_label("Current password").fill("wrong")
        password.get_by_label("New password", exact=True).fill(NEW_PASSWORD)
        press(password, "Change the password")
        current = password.get_by_label("Current password")
        expect(current).to_have_attribute("aria-invalid", "true")
        current.fill(ADA["password"])
        press(password, "Change the password")
        expect_status(page, "The password is changed. Every other session has ended.")
        log_out(page)
        log_in(page, NEW_PASSWORD)
        expect_status(page, f"You are logged in as {ADA['email']}.")

    def test_address_is_changed_by_the_link(self, page, open_page):
        follow(page, "Security")
        section(page, "Email").get_by_label("New email").fill(NEW_EMAIL)
        press(page, "Change the email")
        expect_status(page, "A link that confirms the new address is on its way to it")
        mail = open_page("/dev/mail")
        mail.get_by_role("row").filter(has_text=NEW_EMAIL).get_by_role("link").click()
        mail.goto(mail.locator("pre a").first.get_attribute("href"))
        press(mail, "Confirm this address")
        expect(heading(mail)).to_contain_text("confirmed")
        page.reload()
        expect(page.get_by_text(f"You are {NEW_EMAIL}.")).to_be_visible()

    def test_language_is_kept(self, page):
        follow(page, "Security")
        choice = section(page, "Language").get_by_label("Of your emails and their pages")
        expect(choice).to_have_value("en")
        choice.select_option("pt-BR")
        press(page, "Change the language")
        expect_status(page, "The language is changed.")
        page.reload()
        expect(choice).to_have_value("pt-BR")

    def test_sessions_are_listed_and_ended(self, page, verified):
        other = verified.log_in().json()
        follow(page, "Sessions")
        rows = page.locator(".sessions tr")
        expect(rows).to_have_count(2)
        page.get_by_role("button", name="End the session of Python").click()
        expect_status(page, "Session ended")
        expect(rows).to_have_count(1)
        assert verified.verify(other["token"]).status_code == 401
        press(page, "End all, this one too")
        expect(heading(page)).to_have_text("Log in")
        expect_status(page, "You are logged out.")

    def test_events_are_listed_and_data_is_saved(self, page, verified):
        follow(page, "Sessions")
        events = page.locator(".events tr")
        expect(events.filter(has_text="login")).to_contain_text("127.0.0.1")
        expect(events.last).to_contain_text("signup")
        with page.expect_download() as download:
            press(page, "Save all that is stored of you")
        saved = json.loads(download.value.path().read_text())
        assert saved["user"]["email"] == ADA["email"]


class TestMovies:
    @pytest.fixture
    def movies(self, verified: ApiClient) -> ApiClient:
        token = verified.log_in().json()["token"]
        for name in NAMES:
            movie = {"name": name, "casts": ["Ada"], "genres": ["Crime"]}
            verified.post("/api/movies", token=token, json=movie)
        return verified

    def test_pages_are_turned(self, open_page, movies):
        page = open_page("/demo")
        names = page.locator(".movies strong")
        expect(names).to_have_text(NAMES[:10])
        for start in (10, 20):
            page.get_by_role("link", name="Next page").click()
            expect(names).to_have_text(NAMES[start : start + 10])
        expect(page.get_by_role("link", name="Next page")).to_be_hidden()
        page.go_back()
        expect(names).to_have_text(NAMES[10:20])
        page.get_by_role("link", name="First page").click()
        expect(names).to_have_text(NAMES[:10])

    def test_search_finds_a_part_of_the_name(self, open_page, movies):
        page = open_page("/demo")
        page.get_by_label("Part of a name").fill("VIE 1")
        page.keyboard.press("Enter")
        expect(page.locator(".movies strong")).to_have_text(NAMES[10:20])
        expect(page.get_by_label("Part of a name")).to_have_value("VIE 1")

    def test_movie_is_added(self, page):
        follow(page, "Movies")
        expect(page.get_by_text("There are none.")).to_be_visible()
        page.get_by_text("Add a movie").click()
        page.get_by_label("Name", exact=True).fill("Ada & <b>Charles</b>")
        page.get_by_label("Cast").fill("Ada Lovelace, Charles Babbage")
        press(page, "Add")
        expect(page.locator("[name=genres] + .errors")).to_contain_text("Missing data")
        page.get_by_label("Genres").fill("Biography")
        press(page, "Add")
        expect_status(page, "Ada & <b>Charles</b> is in the bag.")
        expect(page.locator(".movies li")).to_contain_text("Ada Lovelace, Charles Babbage")


# Three requests at once, again and again for some seconds.
REQUESTS = """async (seconds) => {
  const { request } = await import("/demo/api.js");
  const until = Date.now() + 1000 * seconds;
  window.work = (async () => {
    let rounds = 0;
    for (; Date.now() < until; rounds += 1) {
      await Promise.all([1, 2, 3].map(() => request("GET", "/api/users/me")));
    }
    return rounds;
  })();
}"""


@pytest.mark.alone  # tokens of two seconds
class TestTabs:
    @pytest.fixture
    def site(self, serve) -> ApiClient:
        """Serve without grace: two refreshes with one token end the session."""
        return serve(JWT_ACCESS_TOKEN_EXPIRES=2, JWT_REFRESH_GRACE=0, JWT_REFRESH_LOST=0)

    def test_tabs_that_refresh_at_once_keep_the_session(self, page):
        tabs = [page, page.context.new_page(), page.context.new_page()]
        for tab in tabs:
            tab.goto("/demo#/sessions")
            tab.evaluate(REQUESTS, 7)
        for tab in tabs:
            assert tab.evaluate("work") > 5
            follow(tab, "Security")
            expect(tab.get_by_text(f"You are {ADA['email']}.")).to_be_visible()

    def test_logout_in_one_tab_is_one_in_all(self, page):
        other = page.context.new_page()
        other.goto("/demo#/security")
        expect(other.get_by_text(f"You are {ADA['email']}.")).to_be_visible()
        log_out(page)
        expect(heading(other)).to_have_text("Log in")


VIEWS = {
    "movies": "Movies",
    "signup": "Sign up",
    "login": "Log in",
    "forgot": "Forgot your password?",
    "sessions": "Sessions",
    "security": "Security",
}


def open_view(page: Page, view: str) -> None:
    page.goto(f"/demo#/{view}")
    expect(heading(page)).to_have_text(VIEWS[view])


def open_codes(page: Page) -> None:
    """Leave the recovery codes open, over a security view with all it can show."""
    add_passkey(page, "My laptop")
    add_totp(page)
    press(page, "New recovery codes")
    expect(page.get_by_role("dialog")).to_be_visible()


def open_setup(page: Page) -> None:
    add_passkey(page, "My laptop")
    press(page, "Rename My laptop")
    press(page, "Set it up")
    expect(page.locator(".secret")).to_be_visible()


def open_confirmation(page: Page) -> None:
    page.evaluate('void import("/demo/confirm.js").then((it) => it.confirmIdentity())')
    expect(page.get_by_role("dialog")).to_be_visible()


def open_second_factor(page: Page) -> None:
    add_totp(page)
    log_out(page)
    log_in(page)
    expect(heading(page)).to_have_text("A second factor")


def open_errors(page: Page) -> None:
    page.goto("/demo#/security")
    section(page, "Password").get_by_label("New password", exact=True).fill("password1")
    press(page, "Change the password")
    press(page, "Change the email")
    expect(page.locator("[aria-invalid]")).to_have_count(3)


STATES = {
    **{view: lambda page, view=view: open_view(page, view) for view in VIEWS},
    "recovery codes": open_codes,
    "setup": open_setup,
    "confirmation": open_confirmation,
    "second factor": open_second_factor,
    "errors": open_errors,
}


@NEEDS_AXE
@pytest.mark.parametrize("state", STATES)
def test_view_is_accessible_and_fits_a_phone(open_page, verified, state):
    page = open_logged_in(open_page, bypass_csp=True)
    STATES[state](page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert accessibility_problems(page) == []
    for width in (320, 360):
        page.set_viewport_size({"width": width, "height": 640})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
