"""The pages, as a person sees and uses them in a browser."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from database.models import Mail
from tests.conftest import ADA, NEW_PASSWORD, Api, wait_until
from tests.servers import HOME
from tests.smtp import token_in

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = HOME / ".venv/axe/node_modules/axe-core/axe.min.js"
# Nothing of its own business on the network.
FLAGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-sync"]
FLAGS += ["--no-first-run", "--disable-component-update", "--disable-gpu"]

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: make browser")
NEEDS_AXE = pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: make browser")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def site(make_app: Any, http: Api) -> Api:
    """Serve a development application where Ada has an account; its mails lead back to it."""
    http.app = make_app(APP_ENV="development", PUBLIC_URL=http.url)
    http.sign_up(name="Ada")
    return http


@pytest.fixture
def open_page(chromium: Browser, site: Api) -> Iterator[Any]:
    """Open pages of the site. At the end none may have complained or asked another host."""
    contexts, complaints = [], []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(complaint(message)))
        page.on("request", lambda request: complaints.append(stranger(request)))

    def stranger(request: Any) -> str | None:
        ours = request.url.startswith((site.url, "data:", "about:", "blob:"))
        return None if ours else request.url

    def open_one(path: str, **options: Any) -> Page:
        contexts.append(chromium.new_context(base_url=site.url, **options))
        contexts[-1].on("page", watch)
        page = contexts[-1].new_page()
        page.goto(path)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert [complaint for complaint in complaints if complaint] == []


def complaint(message: Any) -> str | None:
    """Return what the console says, but for the browser's own note that a page is a refusal."""
    noted = message.text.startswith("Failed to load resource: the server responded with a status")
    refused = noted and message.location["url"].rpartition("/")[0].endswith(("/reset", "/mail"))
    return None if refused or message.type not in ("error", "warning") else message.text


@pytest.fixture
def link(site: Api, mailbox: Any) -> str:
    """Return the path of the link in a real mail."""
    site.forgot()
    return f"/reset/{token_in(mailbox.wait_for(1)[0])}"


@pytest.fixture
def mail_page(site: Api) -> str:
    """Return the path of the page of a mail that was sent."""
    site.forgot()
    return f"/dev/mail/{wait_until(lambda: Mail.objects(state=Mail.SENT).first()).id}"


def fill_in(page: Page, password: str, again: str) -> None:
    page.get_by_label("New password", exact=True).fill(password)
    page.get_by_label("New password, again").fill(again)
    page.get_by_role("button", name="Set password").click()


def described(page: Page, label: str) -> str:
    """Return what a screen reader says of the field besides its label."""
    field = page.get_by_label(label, exact=True)
    assert field.get_attribute("aria-invalid") == "true"
    return page.locator(f"#{field.get_attribute('aria-describedby')}").inner_text()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_the_way_from_the_mail_to_a_new_password(open_page, site, link, scripts):
    page = open_page(link, java_script_enabled=scripts)
    expect(page.get_by_label("Account")).to_have_value(ADA["email"])
    fill_in(page, "password1", "password1")
    assert "This is a very common password." in described(page, "New password")
    fill_in(page, NEW_PASSWORD, "something else")
    assert described(page, "New password, again") == "Passwords don't match."
    fill_in(page, NEW_PASSWORD, NEW_PASSWORD)
    expect(page.get_by_role("heading")).to_have_text("Your password is set")
    page.goto(link)
    expect(page.get_by_role("heading")).to_have_text("This link no longer works")
    assert site.log_in(password=NEW_PASSWORD).status_code == 200


def test_the_keyboard_is_enough_for_the_form(open_page, site, link):
    page = open_page(link)
    page.get_by_label("Account").focus()
    for keys in ("Tab", *NEW_PASSWORD, "Tab", *NEW_PASSWORD, "Tab", "Space", "Tab", "Enter"):
        page.keyboard.press(keys if keys != " " else "Space")
    expect(page.get_by_role("heading")).to_have_text("Your password is set")
    assert site.log_in(password=NEW_PASSWORD).status_code == 200


def test_a_button_shows_the_password_and_hides_it_again(open_page, link):
    page = open_page(link)
    fields = [page.get_by_label("New password", exact=True), page.get_by_label("again")]
    button = page.get_by_role("button", name="Show what I type")
    for kind in ("password", "text", "password"):
        for field in fields:
            expect(field).to_have_attribute("type", kind)
        expect(button).to_have_attribute("aria-pressed", str(kind == "text").lower())
        button.click()


def test_the_documentation_lists_every_operation(open_page, site):
    page = open_page("/api/docs")
    expect(page.locator(".opblock").first).to_be_visible()
    shown = {
        " ".join(line.split()[:2]).replace("\u200b", "")
        for line in page.locator(".opblock-summary-control").all_inner_texts()
    }
    paths = site.get("/api/openapi.json").json()["paths"]
    assert shown == {f"{method.upper()} {path}" for path in paths for method in paths[path]}


def test_the_documentation_tries_a_request_with_a_bearer_token(open_page, site):
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


def test_the_inbox_shows_a_new_mail_by_itself(open_page, site):
    page = open_page("/dev/mail")
    expect(page.get_by_text("There are none yet")).to_be_visible()
    site.forgot()
    expect(page.get_by_role("row").filter(has_text=ADA["email"])).to_contain_text("sent")


def test_the_link_in_a_mail_opens_the_form(open_page, mail_page):
    page = open_page(mail_page)
    in_frame = page.frame_locator("iframe").get_by_role("link", name="Choose a new password")
    for link in (in_frame, page.locator("pre a")):
        with page.expect_popup() as opened:
            link.click()
        expect(opened.value.get_by_label("Account")).to_have_value(ADA["email"])


@pytest.fixture(
    params=["welcome", "docs", "inbox", "mail", "form", "refused", "done", "dead", "404"]
)
def shown(request, open_page, site, link, mailbox):
    """Open a page, in the state that it is named for."""
    mail = wait_until(lambda: Mail.objects(state=Mail.SENT).first())
    paths = {"welcome": "/", "docs": "/api/docs", "inbox": "/dev/mail", "dead": "/reset/nonsense"}
    paths |= {"mail": f"/dev/mail/{mail.id}", "404": "/dev/mail/nonsense"}

    def show(**options: Any) -> Page:
        page = open_page(paths.get(request.param, link), **options)
        if request.param in ("refused", "done"):
            password = "password1" if request.param == "refused" else NEW_PASSWORD
            fill_in(page, password, password)
        if request.param == "docs":
            expect(page.locator(".opblock").first).to_be_visible()
        return page

    return show


@NEEDS_AXE
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_violates_a_rule_of_accessibility(shown, scheme):
    page = shown(color_scheme=scheme, bypass_csp=True)
    page.add_script_tag(path=AXE)
    violations = page.evaluate("axe.run()")["violations"]
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in violations] == []


def test_every_page_fits_a_phone_and_twice_the_size_of_letters(shown):
    page = shown(viewport={"width": 320, "height": 600})
    for summary in page.locator(".opblock-summary-control").all()[:3]:
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_authorize_puts_the_cursor_into_the_field_of_the_access_token(open_page):
    page = open_page("/api/docs")
    page.get_by_role("button", name="Authorize").first.click()
    field = page.locator(".auth-container", has_text="access  (http").locator("input")
    expect(field).to_be_focused()
