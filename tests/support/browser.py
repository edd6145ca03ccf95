"""A browser for the tests of pages."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NEEDS_CHROMIUM = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: make browser")
# Without its own requests to its maker.
FLAGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-sync"]
FLAGS += ["--no-first-run", "--disable-component-update", "--disable-gpu"]
HTTP_ERROR = "Failed to load resource: the server responded with a status"

OpenPage = Callable[..., Page]


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
    """Return an error or a warning, except the note that a page has an error status."""
    folder = message.location["url"].rpartition("/")[0]
    if message.text.startswith(HTTP_ERROR) and folder.endswith(("/reset", "/mail")):
        return None
    return message.text if message.type in ("error", "warning") else None


def foreign_url(request: Request, own_url: str) -> str | None:
    is_own = request.url.startswith((own_url, "data:", "about:", "blob:"))
    return None if is_own else request.url
