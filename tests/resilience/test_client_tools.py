"""What people use to try an API sends every request of ours, and each of them works."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from database.models import ADMIN, Movie
from database.passkeys import Passkey
from services import movie_service
from services.token_service import CONFIRM, INVITE, PWD_RESET, UNDO
from tests.support.api_keys import KEY_ID, store_key
from tests.support.client import ADA
from tests.support.processes import HOME, environment
from tests.support.tokens import decode_parts, link_token, store_changes
from tests.support.users import create_session, create_user

NPM = HOME / ".venv/npm/node_modules/.bin"
HTTP_FILE = HOME / "docs/movie-bag.http"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NPM.exists(), reason="needs httpyac and newman: make browser"),
]


def run_tool(folder: Path, name: str, *arguments: str) -> tuple[int, str]:
    """Return exit status and output, by a file: the tools end before a pipe has taken it all."""
    output = folder / f"{name}.out"
    with output.open("w") as file:
        process = subprocess.run([NPM / name, *arguments], cwd=folder, stdout=file, timeout=120)
    return process.returncode, output.read_text()


class TestHttpyac:
    """docs/movie-bag.http as it is written, except the port; its head says how to make an admin."""

    def test_every_request_works(self, run, tmp_path):
        server = run()
        command = re.search(r"flask (--app app user create \S+ --admin)", HTTP_FILE.read_text())[1]
        subprocess.run(
            [sys.executable, "-m", "flask", *command.split()],
            cwd=HOME,
            env=environment(**server.settings),
            input=f"{ADA['password']}\n" * 2,
            text=True,
            check=True,
        )
        file = tmp_path / HTTP_FILE.name
        file.write_text(HTTP_FILE.read_text().replace("http://127.0.0.1:5000", server.url))
        status, output = run_tool(tmp_path, "httpyac", "send", "--all", "--json", file.name)
        requests = json.loads(output)["requests"]
        sent = [request for request in requests if "response" in request]
        failed = [request for request in sent if request["response"]["statusCode"] != 200]
        # The login that a code must follow.
        assert (status, [request["name"] for request in failed]) == (0, ["first_step"])
        assert len(sent) == len(re.findall(r"^[A-Z]+ {{host}}", HTTP_FILE.read_text(), re.M))


# What needs a device, or a code of an app that the user has added.
REFUSED = {
    "POST /api/auth/login/mfa": 401,
    "POST /api/auth/login/passkey": 401,
    "POST /api/auth/passkeys": 400,
    "POST /api/auth/mfa/totp/confirm": 409,
    "DELETE /api/auth/mfa/totp": 409,
    "POST /api/auth/mfa/recovery-codes": 409,
}


class TestPostman:
    """The OpenAPI document as Postman imports it, sent by newman."""

    @pytest.fixture
    def app(self, make_app, http):
        http.app = make_app(PUBLIC_URL=http.url)
        return http.app

    @pytest.fixture
    def collection(self, app, http, tmp_path) -> dict[str, Any]:
        """Return the document as a collection; the examples are the values in it."""
        (tmp_path / "openapi.json").write_text(http.get("/api/openapi.json").text)
        options = ["-O", "parametersResolution=Example,folderStrategy=Tags"]
        files = ["-s", "openapi.json", "-o", "collection.json"]
        run_tool(tmp_path, "openapi2postmanv2", *files, *options)
        found: dict[str, Any] = json.loads((tmp_path / "collection.json").read_text())
        paths = http.get("/api/openapi.json").json()["paths"]
        assert len(list(requests_of(found))) == sum(map(len, paths.values()))
        return found

    def test_every_request_works(self, app, collection, tmp_path):
        requests = list(requests_of(collection))
        for number, request in enumerate(requests):
            set_variables(app, request, number)
        (tmp_path / "collection.json").write_text(json.dumps(collection))
        export = ["--reporters", "json", "--reporter-json-export", "report.json"]
        status, _ = run_tool(tmp_path, "newman", "run", "collection.json", *export)
        executions = json.loads((tmp_path / "report.json").read_text())["run"]["executions"]
        statuses = {route_of(sent["request"]): sent["response"]["code"] for sent in executions}
        assert {route: code for route, code in statuses.items() if code != 200} == REFUSED
        assert (status, len(executions)) == (0, len(requests))


def requests_of(folder: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the requests of a collection in their order."""
    for item in folder["item"]:
        if "request" in item:
            yield item["request"]
        else:
            yield from requests_of(item)


def set_variables(app: Flask, request: dict[str, Any], number: int) -> None:
    """Fill in ids, and tokens of an admin of this request alone: no request ends another's."""
    admin, other = (create_user(f"{name}{number}@example.com", ADMIN) for name in ("admin", "b"))
    movie = {"name": f"Film {number}", "casts": ["Al Pacino"], "genres": ["Crime"]}
    movie_service.add_new(str(admin.id), [movie])
    tokens, others = create_session(app, admin), create_session(app, admin)
    if {"mfa", "passkeys"} & {*request["url"]["path"]}:
        admin.modify(verified_at=1.0)
    passkey = Passkey(user_id=str(admin.id), credential_id=f"id{number}", public_key="a", name="a")
    tokens["key"] = store_key(admin)
    ids = {
        "key_id": KEY_ID,
        "passkey_id": str(passkey.save().id),
        "user_id": str(other.id),
        "movie_id": str(Movie.objects.get(name=movie["name"]).id),
        "session_id": decode_parts(others["token"])[1]["sid"],
    }
    for variable in request["url"].get("variable", []):
        variable["value"] = ids[variable["key"]]
    if request["auth"]:
        request["auth"]["bearer"][0]["value"] = tokens[bearer_of(request)]
    if "raw" in request["body"]:
        fields = json.loads(request["body"]["raw"])
        links = {"reset_token": PWD_RESET, "confirm_token": CONFIRM}
        links |= {"undo_token": UNDO, "invite_token": INVITE}
        user = store_changes(admin)
        mailed = {name: link_token(app, user, scope) for name, scope in links.items()}
        secrets = {**tokens, **mailed}
        fields |= {name: secrets[name] for name in fields.keys() & secrets.keys() - {"email"}}
        request["body"]["raw"] = json.dumps(fields | unique_fields(request, number))


def bearer_of(request: dict[str, Any]) -> str:
    """Return which of the tokens a request takes."""
    named = {"refresh": "refresh_token", "introspect": "key"}
    return named.get(request["url"]["path"][-1], "token")


def route_of(request: dict[str, Any]) -> str:
    return f"{request['method']} /{'/'.join(request['url']['path'])}"


def unique_fields(request: dict[str, Any], number: int) -> dict[str, str]:
    """Return what only one movie and only one user may have."""
    kind = request["url"]["path"][1]
    if kind == "users" and request["method"] == "POST":
        return {"email": f"new{number}@example.com"}
    return {"name": f"New film {number}"} if kind == "movies" else {}
