"""docs/movie-bag.http has every request of the API, and each of them works.

tests/resilience/test_client_tools.py sends it with httpyac.
"""

import re
from typing import Any

import pyotp

from database.models import ADMIN
from tests.support.concurrency import wait_until
from tests.support.http_file import parse_requests
from tests.support.processes import HOME
from tests.support.smtp_server import Mailbox, text_of, token_in
from tests.support.users import create_user

FILE = (HOME / "docs/movie-bag.http").read_text()
VARIABLES = dict(re.findall(r"^@(\w+) = ?(.*)$", FILE.partition("###")[0], re.M))
REQUESTS = list(parse_requests(FILE))
# Their bodies and ids are made by a device.
OF_A_DEVICE = {
    ("POST", "/api/auth/passkeys"),
    ("GET", "/api/auth/passkeys/{}"),
    ("PATCH", "/api/auth/passkeys/{}"),
    ("DELETE", "/api/auth/passkeys/{}"),
    ("POST", "/api/auth/login/passkey"),
}
# The login that a code must follow.
FIRST_STEP = "first_step"


def fill_in(text: str, responses: dict[str, Any]) -> str:
    """Replace variables, and what refers to the responses of earlier requests."""

    def value(match: re.Match[str]) -> str:
        name, _, path = match[1].partition(".response.body.$")
        if not path:
            return VARIABLES[name]
        found = responses[name]
        for key in re.findall(r"\w+", path):
            found = found[int(key) if key.isdigit() else key]
        return found

    return re.sub(r"\{\{(.+?)\}\}", value, text)


def new_token(mailbox: Mailbox, page: str, used: list[str]) -> str | None:
    """Return a token that was mailed with a link to this page, and is not used yet."""
    mails = [mail for mail in mailbox.mails if f"/{page}/" in text_of(mail)]
    return next((token for token in map(token_in, mails) if token not in used), None)


def test_every_request_works_in_its_order(api, mailbox, monkeypatch):
    monkeypatch.setitem(VARIABLES, "host", "")
    create_user(VARIABLES["admin_email"], ADMIN)
    responses: dict[str, Any] = {}
    tokens: list[str] = []
    for name, method, url, headers, body in REQUESTS:
        if "{{mailed_token}}" in body:
            page = re.search(r"(\w+)_token", body)[1]
            tokens.append(wait_until(lambda page=page: new_token(mailbox, page, tokens)))
            monkeypatch.setitem(VARIABLES, "mailed_token", tokens[-1])
        if "{{code}}" in body:
            code = pyotp.TOTP(responses["totp"]["secret"]).now()
            monkeypatch.setitem(VARIABLES, "code", code)
        lines = fill_in(headers, responses).splitlines()
        response = api.request(
            method,
            fill_in(url, responses),
            headers=dict(line.split(": ", 1) for line in lines),
            data=fill_in(body, responses),
        )
        expected = 401 if name == FIRST_STEP else 200
        assert response.status_code == expected, (method, url, response.text)
        responses[name] = response.json()


def test_file_has_every_request_of_the_api(api):
    requests = {
        (method, re.sub(r"\{\{.+?\}\}", "{}", url.removeprefix("{{host}}").partition("?")[0]))
        for _, method, url, _, _ in REQUESTS
    }
    paths = api.get("/api/openapi.json").json()["paths"]
    assert requests | OF_A_DEVICE == {
        (method.upper(), re.sub(r"\{.+?\}", "{}", path))
        for path in paths
        for method in paths[path]
        if path.startswith(("/api/", "/.well-known/"))
    }
    assert not requests & OF_A_DEVICE
