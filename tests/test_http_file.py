"""docs/movie-bag.http keeps its promises: every request of the API, each of which works."""

import re
from typing import Any

from database.models import User
from tests.conftest import ADA
from tests.servers import HOME
from tests.smtp import token_in

FILE = (HOME / "docs/movie-bag.http").read_text()
HEAD, *BLOCKS = re.split(r"^###.*\n", FILE, flags=re.M)
VARIABLES = dict(re.findall(r"^@(\w+) = ?(.*)$", HEAD, re.M))


def parsed(block: str) -> tuple[str, str, str, str, str] | None:
    """Return name, method, URL, headers and body of a request; None for a heading."""
    found = re.fullmatch(
        r"(?:# @name (\w+)\n)?([A-Z]+) (\S+)\n((?:[\w-]+: .*\n)*)(?:\n(.+\n))?\n*", block
    )
    assert found or not block.strip(), block
    return found and tuple(part or "" for part in found.groups())


REQUESTS = [request for block in BLOCKS if (request := parsed(block))]


def filled(text: str, answers: dict[str, Any]) -> str:
    """Fill in the variables, and what earlier requests answered."""

    def value(found: re.Match[str]) -> str:
        name, _, path = found[1].partition(".response.body.$")
        if not path:
            return VARIABLES[name]
        answer = answers[name]
        for key in re.findall(r"\w+", path):
            answer = answer[int(key) if key.isdigit() else key]
        return answer

    return re.sub(r"\{\{(.+?)\}\}", value, text)


def test_every_request_in_the_file_works_in_its_order(api, mailbox, monkeypatch):
    monkeypatch.setitem(VARIABLES, "host", "")
    answers: dict[str, Any] = {}
    for name, method, url, headers, body in REQUESTS:
        if "reset_token" in body:
            monkeypatch.setitem(VARIABLES, "reset_token", token_in(mailbox.wait_for(2)[1]))
        if name == "admin":
            User.objects(email=ADA["email"]).update(set__role="admin")
        if name == "last":
            api.sign_up(email="other@example.com")
            User.objects(email="other@example.com").update(set__role="admin")
        answer = api.request(
            method,
            filled(url, answers),
            headers=dict(line.split(": ", 1) for line in filled(headers, answers).splitlines()),
            data=filled(body, answers),
        )
        assert answer.status_code == 200, (method, url, answer.text)
        answers[name] = answer.json()


def test_the_file_has_every_request_of_the_api(api):
    shown = {
        (method, re.sub(r"\{\{.+?\}\}", "{}", url.removeprefix("{{host}}").partition("?")[0]))
        for _, method, url, _, _ in REQUESTS
    }
    paths = api.get("/api/openapi.json").json()["paths"]
    assert shown == {
        (method.upper(), re.sub(r"\{.+?\}", "{}", path))
        for path in paths
        for method in paths[path]
        if path.startswith("/api/") and path != "/api/docs"
    }
