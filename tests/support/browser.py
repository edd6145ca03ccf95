"""A browser for the tests of pages."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.support.processes import HOME

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NEEDS_CHROMIUM = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: make browser")
# Without its own requests to its maker.
FLAGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-sync"]
FLAGS += ["--no-first-run", "--disable-component-update", "--disable-gpu"]
HTTP_ERROR = "Failed to load resource: the server responded with a status"

OpenPage = Callable[..., Page]

# As long as clicks wait; by default 5 s, which a busy machine may need to load a page.
expect.set_options(timeout=30_000)

AXE = HOME / ".venv/npm/node_modules/axe-core/axe.min.js"
NEEDS_AXE = pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: make browser")
# A device with passkeys whose user touches it at once (Chrome DevTools Protocol).
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium; it ends with the context."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def page_opener(browser: Browser, url: str) -> Iterator[OpenPage]:
    """Open pages; at the end none may have had an error or a request to another host."""
    contexts, problems = [], []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(console_error(message)))
        page.on("request", lambda request: problems.append(foreign_url(request, url)))

    def open_in_new_context(path: str, **options: Any) -> Page:
        contexts.append(browser.new_context(base_url=url, **options))
        contexts[-1].on("page", watch)
        page = contexts[-1].new_page()
        page.goto(path)
        return page

    yield open_in_new_context
    for context in contexts:
        context.close()
    assert [problem for problem in problems if problem] == []


def console_error(message: ConsoleMessage) -> str | None:
    """Return an error or a warning, except the note that a response is meant to be an error."""
    path = urlsplit(message.location["url"]).path
    is_meant = path.startswith("/api/") or path.rpartition("/")[0].endswith(("/reset", "/mail"))
    if message.text.startswith(HTTP_ERROR) and is_meant:
        return None
    return message.text if message.type in ("error", "warning") else None


def foreign_url(request: Request, own_url: str) -> str | None:
    is_own = request.url.startswith((own_url, "data:", "about:", "blob:"))
    return None if is_own else request.url


def accessibility_problems(page: Page) -> list[tuple[str, list[str]]]:
    """Return the rules of axe that a page breaks, each with the elements; it needs bypass_csp."""
    page.add_script_tag(path=AXE)
    violations = page.evaluate("axe.run()")["violations"]
    return [(it["id"], [node["html"] for node in it["nodes"]]) for it in violations]


def add_authenticator(page: Page) -> None:
    """Give the device of a page passkeys."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
