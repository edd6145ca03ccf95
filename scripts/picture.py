"""The picture of the README: `python -m scripts.picture`.

It starts the product with a database of its own, clicks through the demo, and puts the security
page and the page of an email side by side.
"""

import sys
import tempfile
from base64 import b64decode, b64encode
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.support.browser import CHROMIUM, add_authenticator, chromium
from tests.support.client import ADA
from tests.support.concurrency import wait_until
from tests.support.processes import HOME, Server

PICTURE = HOME / "docs" / "picture.webp"
MAX_BYTES = 200_000
DEMO: ViewportSize = {"width": 960, "height": 1230}
MAIL: ViewportSize = {"width": 700, "height": 1230}
GAP = 24
SIDE_BY_SIDE = """<body style="margin: 0; display: flex; gap: {gap}px">
<img src="data:image/png;base64,{demo}"><img src="data:image/png;base64,{mail}">"""


def main() -> None:
    """Write the picture."""
    if not CHROMIUM:
        sys.exit("This needs Chromium. Type: make browser")
    picture = take_picture()
    if len(picture) > MAX_BYTES:
        sys.exit(f"It has {len(picture)} bytes, at most {MAX_BYTES} are allowed")
    PICTURE.write_bytes(picture)


def take_picture() -> bytes:
    """Return the picture, of a product that runs for it."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), APP_ENV="development", BCRYPT_LOG_ROUNDS=4)
        try:
            with chromium() as browser:
                return _take(browser, server)
        finally:
            server.terminate()


def _take(browser: Browser, server: Server) -> bytes:
    server.post("/api/auth/signup", **ADA, name="Ada")
    log = server.data_dir / "email.log"
    wait_until(lambda: log.exists() and "/confirm/" in log.read_text(), 30)
    token = log.read_text().partition("/confirm/")[2].split()[0]
    server.post("/api/auth/email/confirm", confirm_token=token)
    url = f"http://localhost:{server.port}"  # passkeys belong to a name
    demo = _open_security(browser.new_page(base_url=url, viewport=DEMO))
    mail = _open_mail(browser.new_page(base_url=url, viewport=MAIL))
    return _join(browser, demo.screenshot(), mail.screenshot())


def _open_security(page: Page) -> Page:
    """Log in, add a passkey, and leave a second factor half set up, so that its QR code is seen."""
    page.goto("/demo#/login")
    add_authenticator(page)
    page.get_by_label("Email").fill(ADA["email"])
    page.get_by_label("Password").fill(ADA["password"])
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_role("link", name="Security").click()
    page.get_by_label("Name").fill("My phone")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator("#status")).to_have_text("My phone is added.")
    page.get_by_role("button", name="Set it up").click()
    expect(page.locator(".secret")).to_be_visible()
    return page


def _open_mail(page: Page) -> Page:
    """Open the email that confirms the address."""
    page.goto("/dev/mail")
    page.get_by_role("link", name="Confirm").click()
    expect(page.frame_locator("iframe").get_by_role("link").first).to_be_visible()
    return page


def _join(browser: Browser, demo: bytes, mail: bytes) -> bytes:
    """Return two pictures side by side."""
    width = DEMO["width"] + GAP + MAIL["width"]
    page = browser.new_page(viewport={"width": width, "height": DEMO["height"]})
    pictures = {"demo": b64encode(demo).decode(), "mail": b64encode(mail).decode()}
    page.set_content(SIDE_BY_SIDE.format(gap=GAP, **pictures))
    devtools = page.context.new_cdp_session(page)
    options = {"format": "webp", "quality": 90}
    return b64decode(devtools.send("Page.captureScreenshot", options)["data"])


if __name__ == "__main__":
    main()
