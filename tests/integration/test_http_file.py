"""docs/movie-bag.http has every request of the API, and each of them works.

tests/resilience/test_client_tools.py sends it with httpyac.
"""

import re
from typing import Any

from database.models import ADMIN
from tests.support.http_file import parse_requests
from tests.support.processes import HOME
from tests.support.smtp_server import token_in
from tests.support.users import create_user

FILE = (HOME / "docs/movie-bag.http").read_text()
VARIABLES = dict(re.findall(r"^@(\w+) = ?(.*)$", FILE.partition("###")[0], re.M))
REQUESTS = list(parse_requests(FILE))


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


def test_every_request_works_in_its_order(api, mailbox, monkeypatch):
    monkeypatch.setitem(VARIABLES, "host", "")
    create_user(VARIABLES["admin_email"], ADMIN)
    responses: dict[str, Any] = {}
    for name, method, url, headers, body in REQUESTS:
        if "reset_token" in body:
            monkeypatch.setitem(VARIABLES, "reset_token", token_in(mailbox.wait_for(2)[1]))
        lines = fill_in(headers, responses).splitlines()
        response = api.request(
            method,
            fill_in(url, responses),
            headers=dict(line.split(": ", 1) for line in lines),
            data=fill_in(body, responses),
        )
        assert response.status_code == 200, (method, url, response.text)
        responses[name] = response.json()


def test_file_has_every_request_of_the_api(api):
    requests = {
        (method, re.sub(r"\{\{.+?\}\}", "{}", url.removeprefix("{{host}}").partition("?")[0]))
        for _, method, url, _, _ in REQUESTS
    }
    paths = api.get("/api/openapi.json").json()["paths"]
    assert requests == {
        (method.upper(), re.sub(r"\{.+?\}", "{}", path))
        for path in paths
        for method in paths[path]
        if path.startswith("/api/")
    }
