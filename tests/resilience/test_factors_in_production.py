"""The second factor and passkeys in a browser, with gunicorn behind nginx and TLS.

Production has no demo: the requests are sent from the welcome page, which is of their origin.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pyotp
import pytest
import requests
from playwright.sync_api import Page

from tests.support.browser import NEEDS_CHROMIUM, add_authenticator, chromium, page_opener
from tests.support.client import ADA
from tests.support.concurrency import wait_until
from tests.support.nginx import nginx, site_conf
from tests.support.processes import GunicornServer, free_port
from tests.support.smtp_server import CERTIFICATE, token_in
from tests.support.tokens import KEY

pytestmark = [
    pytest.mark.slow,
    NEEDS_CHROMIUM,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx on PATH"),
]

STEP_SECONDS = 30
SEND = """async ([method, path, body, token]) => {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  return { status: response.status, json: await response.json() };
}"""
CREATE = """async (options) => {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  return (await navigator.credentials.create({ publicKey })).toJSON();
}"""
SIGN = """async (options) => {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  return (await navigator.credentials.get({ publicKey })).toJSON();
}"""


class BrowserClient:
    """Sends requests from a page of the product."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.token: str | None = None

    def send(self, method: str, path: str, status: int = 200, **body: Any) -> Any:
        """Send a request as the user who is logged in; return the JSON of a response."""
        sent = [method, f"/api/auth/{path}", body or None, self.token]
        response = self.page.evaluate(SEND, sent)
        assert response["status"] == status, response
        return response["json"]

    def open_session(self, path: str, **body: Any) -> None:
        """Send a request whose response is a pair of tokens."""
        self.token = self.send("POST", path, **body)["token"]

    def log_out(self) -> None:
        self.send("DELETE", "logout")
        self.token = None

    def log_in_with(self, **code: str) -> None:
        """Log in by password and a second factor."""
        refused = self.send("POST", "login", 401, **ADA)
        assert refused["error"] == "SecondFactorRequiredError"
        self.open_session("login/mfa", mfa_token=refused["mfa_token"], **code)

    def sign(self) -> Any:
        """Sign a challenge with a passkey of the device."""
        return self.page.evaluate(SIGN, self.send("POST", "login/passkey/options"))


@pytest.fixture
def url(database: str, documents: None, smtp: int, tmp_path) -> Iterator[str]:
    """Serve as in production; return the public URL."""
    port = free_port()
    url = f"https://localhost:{port}"
    settings = {
        "APP_ENV": "production",
        "MONGODB_URI": database,
        "JWT_SECRET_KEY": KEY,
        "SECRETS_KEY": KEY[::-1],
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": smtp,
        "PUBLIC_URL": url,
        "BCRYPT_LOG_ROUNDS": 4,
        "TRUSTED_PROXIES": 1,
        "RATELIMIT_ENABLED": False,
    }
    with ExitStack() as stack:
        server = GunicornServer(tmp_path, **settings)
        stack.callback(server.kill)
        site = site_conf(port, [server.port, server.port], free_port())
        stack.enter_context(nginx(tmp_path, site))
        wait_until(lambda: is_serving(url), 10)
        yield url


def is_serving(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", verify=CERTIFICATE, timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


@pytest.fixture
def client(url: str, mailbox) -> Iterator[BrowserClient]:
    """Return a client whose user Ada is logged in, with a verified address."""
    with chromium() as browser, page_opener(browser, url) as open_page:
        page = open_page("/", ignore_https_errors=True)
        add_authenticator(page)
        client = BrowserClient(page)
        client.send("POST", "signup", **ADA)
        client.send("POST", "email/confirm", confirm_token=token_in(mailbox.wait_for(1)[0]))
        client.open_session("login", **ADA)
        yield client


def test_second_factor_is_added_used_and_removed(client):
    secret = client.send("POST", "mfa/totp")["secret"]
    totp = pyotp.TOTP(secret)
    code, next_code = (totp.at(time.time() + seconds) for seconds in (0, STEP_SECONDS))
    recovery_codes = client.send("POST", "mfa/totp/confirm", code=code)["recovery_codes"]
    client.log_out()
    client.log_in_with(code=next_code)
    client.log_out()
    client.log_in_with(recovery_code=recovery_codes[0])
    assert client.send("GET", "mfa") == {"totp": True, "passkeys": 0, "recovery_codes_left": 9}
    client.send("DELETE", "mfa/totp")
    client.log_out()
    client.open_session("login", **ADA)


def test_passkey_is_added_used_and_removed(client):
    credential = client.page.evaluate(CREATE, client.send("POST", "passkeys/options"))
    passkey = client.send("POST", "passkeys", credential=credential, name="My laptop")
    client.log_out()
    client.open_session("login/passkey", credential=client.sign())
    assert client.send("GET", "verify")["email"] == ADA["email"]
    client.open_session("reauthenticate", credential=client.sign())
    client.send("DELETE", f"passkeys/{passkey['id']}")
    client.log_out()
    client.send("POST", "login/passkey", 401, credential=client.sign())
