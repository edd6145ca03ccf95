"""The pages in a browser, as people see and use them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from database.sent_mail import SentMail
from tests.support.browser import (
    NEEDS_AXE,
    NEEDS_CHROMIUM,
    OpenPage,
    accessibility_problems,
    page_opener,
)
from tests.support.client import ADA, NEW_PASSWORD, ApiClient
from tests.support.concurrency import wait_until
from tests.support.smtp_server import Mailbox, token_in

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]


@pytest.fixture
def site(make_app: Callable[..., Flask], http: ApiClient) -> ApiClient:
    """Serve development, where Ada has an account; the links in emails lead to it."""
    http.app = make_app(APP_ENV="development", PUBLIC_URL=http.url)
    http.sign_up(name="Ada")
    return http


@pytest.fixture
def open_page(browser: Browser, site: ApiClient) -> Iterator[OpenPage]:
    with page_opener(browser, site.url) as open_page:
        yield open_page


@pytest.fixture
def link(site: ApiClient, mailbox: Mailbox) -> str:
    """Return the path of the link in a real email."""
    site.forgot()
    return f"/reset/{token_in(mailbox.wait_for(1)[0])}"


@pytest.fixture
def mail_page(site: ApiClient) -> str:
    """Return the path of the page of an email that was sent."""
    site.forgot()
    return f"/dev/mail/{wait_until(SentMail.objects.first).id}"


def submit(page: Page, password: str, confirmation: str) -> None:
    page.get_by_label("New password", exact=True).fill(password)
    page.get_by_label("New password, again").fill(confirmation)
    page.get_by_role("button", name="Set password").click()


def described_error(page: Page, label: str) -> str:
    """Return what a screen reader reads of an invalid field besides its label."""
    field = page.get_by_label(label, exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    return page.locator(f"#{field.get_attribute('aria-describedby')}").inner_text()


class TestResetPage:
    @pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
    def test_link_leads_to_a_new_password(self, open_page, site, link, scripts):
        page = open_page(link, java_script_enabled=scripts)
        expect(page.get_by_label("Account")).to_have_value(ADA["email"])
        submit(page, "password1", "password1")
        assert "This is a very common password." in described_error(page, "New password")
        submit(page, NEW_PASSWORD, "something else")
        assert described_error(page, "New password, again") == "Passwords don't match."
        submit(page, NEW_PASSWORD, NEW_PASSWORD)
        expect(page.get_by_role("heading")).to_have_text("Your password is set")
        page.goto(link)
        expect(page.get_by_role("heading")).to_have_text("This link is not valid")
        assert site.log_in(password=NEW_PASSWORD).status_code == 200

    def test_keyboard_is_enough(self, open_page, site, link):
        page = open_page(link)
        page.get_by_label("Account").focus()
        for key in ("Tab", *NEW_PASSWORD, "Tab", *NEW_PASSWORD, "Tab", "Space", "Tab", "Enter"):
            page.keyboard.press(key if key != " " else "Space")
        expect(page.get_by_role("heading")).to_have_text("Your password is set")
        assert site.log_in(password=NEW_PASSWORD).status_code == 200

    def test_button_shows_and_hides_the_password(self, open_page, link):
        page = open_page(link)
        fields = [page.get_by_label("New password", exact=True), page.get_by_label("again")]
        button = page.get_by_role("button", name="Show what I type")
        for kind in ("password", "text", "password"):
            for field in fields:
                expect(field).to_have_attribute("type", kind)
            expect(button).to_have_attribute("aria-pressed", str(kind == "text").lower())
            button.click()


class TestDocs:
    def test_every_operation_is_listed(self, open_page, site):
        page = open_page("/api/docs")
        paths = site.get("/api/openapi.json").json()["paths"]
        operations = {f"{method.upper()} {path}" for path in paths for method in paths[path]}
        summaries = page.locator(".opblock-summary-control")
        expect(summaries).to_have_count(len(operations))
        listed = {
            " ".join(text.split()[:2]).replace("\u200b", "") for text in summaries.all_inner_texts()
        }
        assert listed == operations

    def test_request_is_sent_with_a_bearer_token(self, open_page, site):
        page = open_page("/api/docs")
        page.get_by_role("button", name="Authorize").first.click()
        page.locator(".auth-container input").last.fill(site.log_in().json()["token"])
        page.get_by_role("button", name="Apply credentials").last.click()
        page.get_by_role("button", name="Close").first.click()
        operation = page.locator(".opblock", has_text="/api/auth/verify")
        operation.locator(".opblock-summary-control").click()
        operation.get_by_role("button", name="Try it out").click()
        operation.get_by_role("button", name="Execute").click()
        expect(operation.locator(".live-responses-table")).to_contain_text('"Token is valid"')

    def test_request_is_sent_to_the_host_of_the_page(self, open_page, site, make_app):
        site.app = make_app(APP_ENV="development", PUBLIC_URL="https://elsewhere.example")
        page = open_page("/api/docs")
        operation = page.locator(".opblock", has_text="/healthz")
        operation.locator(".opblock-summary-control").click()
        operation.get_by_role("button", name="Try it out").click()
        operation.get_by_role("button", name="Execute").click()
        expect(operation.locator(".live-responses-table")).to_contain_text('"alive"')

    def test_authorize_focuses_the_field_of_the_access_token(self, open_page):
        page = open_page("/api/docs")
        page.get_by_role("button", name="Authorize").first.click()
        field = page.locator(".auth-container", has_text="access  (http").locator("input")
        expect(field).to_be_focused()


class TestDevMail:
    def test_new_mail_appears_without_a_reload(self, open_page, site):
        page = open_page("/dev/mail")
        expect(page.get_by_text("There are none yet")).to_be_visible()
        site.forgot()
        expect(page.get_by_role("row").filter(has_text=ADA["email"])).to_contain_text("sent")

    def test_link_in_a_mail_opens_the_form(self, open_page, mail_page):
        page = open_page(mail_page)
        in_frame = page.frame_locator("iframe").get_by_role("link", name="Choose a new password")
        for link in (in_frame, page.locator("pre a")):
            with page.expect_popup() as popup:
                link.click()
            expect(popup.value.get_by_label("Account")).to_have_value(ADA["email"])


class TestEveryPage:
    states = [
        *("welcome", "docs", "emails", "email", "unknown email"),
        *("form", "form with errors", "password set", "invalid link"),
    ]

    @pytest.fixture(params=states)
    def open_state(self, request, open_page, link) -> OpenPage:
        """Return a function that opens a page in the state that it is named for."""
        mail = wait_until(SentMail.objects.first)
        paths = {"welcome": "/", "docs": "/api/docs", "invalid link": "/reset/nonsense"}
        paths |= {"emails": "/dev/mail", "email": f"/dev/mail/{mail.id}"}
        paths |= {"unknown email": "/dev/mail/nonsense"}

        def open_one(**options: Any) -> Page:
            page = open_page(paths.get(request.param, link), **options)
            if request.param == "form with errors":
                submit(page, "password1", "password1")
                expect(page.locator("#password-errors")).to_be_visible()
            if request.param == "password set":
                submit(page, NEW_PASSWORD, NEW_PASSWORD)
                expect(page.get_by_role("heading")).to_have_text("Your password is set")
            if request.param == "docs":
                expect(page.locator(".opblock").first).to_be_visible()
            return page

        return open_one

    @NEEDS_AXE
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_page_is_accessible(self, open_state, scheme):
        page = open_state(color_scheme=scheme, bypass_csp=True)
        assert accessibility_problems(page) == []

    def test_page_fits_a_phone_with_large_letters(self, open_state):
        page = open_state(viewport={"width": 320, "height": 600})
        for summary in page.locator(".opblock-summary-control").all()[:3]:
            summary.click()
        expect(page.locator("html")).to_have_js_property("scrollWidth", 320)
