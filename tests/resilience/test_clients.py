"""The clients in clients/ keep their session, whatever happens to a refresh."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext

from clients.python import movie_bag_session
from database.models import User
from scripts import clients
from services import movie_service
from tests.support.browser import NEEDS_CHROMIUM
from tests.support.client import ADA, NEW_PASSWORD, ApiClient
from tests.support.front_end import FrontEnd
from tests.support.javascript import functions
from tests.support.markdown import code_blocks
from tests.support.processes import HOME
from tests.support.recorded_app import RecordedApp
from tests.support.session_clients import (
    BROKEN,
    PythonUser,
    TypeScriptUser,
    UserOfAClient,
    modules,
)
from tests.support.tokens import decode_parts, sign
from web.openapi import build_document

NPM = HOME / ".venv/npm/node_modules"
TYPESCRIPT = HOME / "clients/typescript"
SESSION = TYPESCRIPT / "src/session.ts"
REFRESH = "POST /api/auth/refresh"
NEEDS_NPM = pytest.mark.skipif(
    not (NPM / "openapi-typescript").exists(), reason="needs openapi-typescript: make browser"
)

pytestmark = pytest.mark.slow


# Node has Web Locks since version 24.
LOCKS = """
let last = Promise.resolve();
const request = (name, work) => (last = last.then(work));
Object.defineProperty(globalThis, "navigator", { value: { locks: { request } } });
"""
# How each library sends a request and tells its status.
SENDERS = {
    "fetch": """createFetch(url, store);
const json = { "Content-Type": "application/json" };
const send = async (method, path, body) =>
  (await api(path, { method, headers: json, body: body && JSON.stringify(body) })).status;""",
    "axios": """createAxios(url, store);
const send = (method, path, body) =>
  api.request({ method, url: path, data: body }).then(
    (it) => it.status, (error) => error.response.status);""",
    "ky": """createKy(url, store);
const send = async (method, path, json) =>
  (await api(path.slice(1), { method, json, throwHttpErrors: false })).status;""",
}
REQUESTS = """
const statuses = [
  ...(await Promise.all([..."12345"].map(() => send("GET", "/api/users/me")))),
  await send("PATCH", "/api/users/me", { name: "Augusta" }),
  await send("DELETE", "/api/auth/logout"),
  await send("GET", "/api/users/me"),
];
console.log(JSON.stringify([...statuses, pair]));
"""


def page_blocks() -> dict[str, str]:
    """Return the blocks of the page that have a title."""
    blocks = code_blocks(HOME / "docs/how-to/write-a-client.md")
    return {block.title: block.source for block in blocks if block.title}


def run_interceptor(folder: Path, name: str, url: str, pair: dict[str, Any]) -> list[Any]:
    """Send requests with the interceptor of a library; return their statuses and the last pair."""
    for title, source in page_blocks().items():
        (folder / title).write_text(source)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(NPM)
    function = f"create{name.capitalize()}"
    program = f"""import {{ {function} }} from "./{name}.js";
const url = {json.dumps(url)};
let pair = {json.dumps(pair)};
const store = {{ get: () => pair, set: (next) => {{ pair = next; }} }};
const api = {SENDERS[name]}
"""
    (folder / "program.js").write_text(LOCKS + program + REQUESTS)
    printed = subprocess.run(
        ["node", "program.js"], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert printed.stderr == ""
    found: list[Any] = json.loads(printed.stdout)
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the client of TypeScript, in a copy with the packages of make browser."""
    folder = tmp_path_factory.mktemp("client") / "typescript"
    shutil.copytree(TYPESCRIPT, folder, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (folder / "node_modules").symlink_to(NPM)
    app = page_blocks()["app.ts"].replace('"movie-bag-client"', '"./index.js"')
    (folder / "src/app.ts").write_text(app)
    process = subprocess.run(
        [NPM / ".bin/tsc"], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert process.returncode == 0, process.stdout
    return folder


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture(
    params=[pytest.param("typescript", marks=[NEEDS_NPM, NEEDS_CHROMIUM]), pytest.param("python")]
)
def make_user(
    request: pytest.FixtureRequest, front_end: FrontEnd
) -> Iterator[Callable[[str], UserOfAClient]]:
    """Return a function that returns a user of the client, for the API at a URL."""
    users: list[UserOfAClient] = []

    def make(url: str) -> UserOfAClient:
        if request.param == "python":
            users.append(PythonUser(url))
        else:
            front_end.modules |= modules(request.getfixturevalue("built"), NPM)
            page_url = f"http://localhost:{front_end.port}/"
            users.append(TypeScriptUser(request.getfixturevalue("context"), page_url, url))
        return users[-1]

    yield make
    for user in users:
        user.close()


class TestSession:
    @pytest.fixture
    def app(self, make_app: Callable[..., Flask], front_end: FrontEnd) -> Flask:
        origin = f"http://localhost:{front_end.port}"
        return make_app(APP_ENV="development", CORS_ORIGINS=origin)

    @pytest.fixture
    def recorded(self, http: ApiClient, app: Flask, ada: dict[str, Any]) -> RecordedApp:
        http.app = RecordedApp(app)
        return http.app

    @pytest.fixture
    def user(
        self, make_user: Callable[[str], UserOfAClient], recorded: RecordedApp, http: ApiClient
    ) -> UserOfAClient:
        return make_user(http.url)

    @pytest.fixture
    def expired(self, ada: dict[str, Any]) -> dict[str, Any]:
        """Return Ada's pair, whose access token has expired."""
        header, claims = decode_parts(ada["token"])
        return {**ada, "token": sign(header, {**claims, "exp": int(time.time()) - 1})}

    def test_expired_access_token_is_refreshed(self, user, recorded, expired):
        user.pair = expired
        assert user.send("PATCH", "/api/users/me", {"name": "Augusta"}) == 200
        assert recorded.requests.count("PATCH /api/users/me") == 2
        assert user.me() == ADA["email"]
        assert recorded.requests.count(REFRESH) == 1

    def test_tabs_and_threads_refresh_once(self, user, recorded, expired):
        user.pair = expired
        assert user.me_at_once() == [ADA["email"]] * 4
        assert recorded.requests.count(REFRESH) == 1

    def test_refresh_whose_answer_was_lost_is_sent_again(self, user, recorded, expired):
        user.pair, recorded.cut = expired, REFRESH
        assert user.me() == BROKEN
        assert user.pair == expired
        assert user.me() == ADA["email"]
        assert recorded.requests.count(REFRESH) == 2

    def test_service_that_is_away_ends_nothing(self, user, recorded, expired):
        user.pair, recorded.away = expired, REFRESH
        assert user.me() == "ServiceUnavailableError"
        assert user.pair == expired

    def test_change_of_password_keeps_the_next_pair(self, user, ada):
        user.pair = ada
        fields = {"current_password": ADA["password"], "password": NEW_PASSWORD}
        assert user.send("PUT", "/api/auth/password", fields) == 200
        assert user.pair["token"] != ada["token"]
        assert user.me() == ADA["email"]

    def test_token_that_this_machine_does_not_know_is_refreshed(self, user, ada, recorded):
        user.pair = {**ada, "token": "nonsense"}
        assert user.me() == ADA["email"]
        assert recorded.requests.count(REFRESH) == 1

    def test_session_that_ended_asks_for_a_login(self, user, ada, recorded):
        user.pair = ada
        User.revoke_all_sessions(User.objects.get().id)
        assert user.me() == "SessionEndedError"
        assert user.pair is None
        assert REFRESH not in recorded.requests

    def test_refresh_token_that_is_refused_asks_for_a_login(self, user, ada, recorded):
        user.pair = {**ada, "token": "nonsense", "refresh_token": "nonsense"}
        assert user.me() == "BadTokenError"
        assert user.pair is None
        assert recorded.requests.count(REFRESH) == 1

    def test_token_of_a_link_leaves_the_session(self, user, ada):
        user.pair = ada
        fields = {"reset_token": "nonsense", "password": NEW_PASSWORD}
        assert user.send("POST", "/api/auth/reset", fields) == 401
        assert user.pair == ada

    @NEEDS_NPM
    @pytest.mark.parametrize("name", SENDERS)
    def test_interceptor_refreshes_once(self, http, recorded, expired, tmp_path, name):
        found = run_interceptor(tmp_path, name, http.url, expired)
        # Two requests change something; after the logout, nothing is sent again.
        assert found == [*[200] * 7, 401, None]
        assert recorded.requests.count(REFRESH) == 1


@NEEDS_NPM
@NEEDS_CHROMIUM
def test_app_of_the_page_logs_in_and_lists(make_app, http, front_end, built, context):
    page_url = f"http://localhost:{front_end.port}/"
    http.app = make_app(CORS_ORIGINS=page_url[:-1])
    http.sign_up()
    names = [f"Film {number:02}" for number in range(60)]
    movie_service.add_new(
        str(User.objects.get().id),
        [{"name": name, "casts": ["Al Pacino"], "genres": ["Crime"]} for name in names],
    )
    front_end.modules |= modules(built, NPM)
    app = front_end.modules["/app.js"]
    front_end.modules["/app.js"] = app.replace("https://api.example.com", http.url)
    page = context.new_page()
    page.goto(page_url)
    page.evaluate("import('/app.js').then((app) => { window.app = app; })")
    assert page.evaluate("app.logIn('ada@example.com', 'x')") == "Invalid username or password"
    assert page.evaluate("(user) => app.logIn(user.email, user.password)", ADA) is None
    assert page.evaluate("app.movieNames()") == names
    page.evaluate("app.logOut()")
    assert page.evaluate("app.store.get()") is None


def test_session_outlasts_a_restart(run, make_user, front_end, tmp_path):
    settings = {"CORS_ORIGINS": f"http://localhost:{front_end.port}", "DATA_DIR": tmp_path / "d"}
    server = run(**settings)
    server.post("/api/auth/signup", **ADA)
    user = make_user(server.url)
    assert user.send("POST", "/api/auth/login", ADA) == 200
    first = user.pair
    # Another tab has refreshed, and this one does not know its access token.
    user.pair = {**server.post("/api/auth/refresh", refresh_token=first["refresh_token"]).json()}
    user.pair = {**user.pair, "token": first["token"]}
    server.kill()
    run(**settings, PORT=server.port, JWT_ACCESS_GRACE=0)
    assert user.me() == ADA["email"]


def test_python_client_refuses_tasks():
    """Two of them would wait for each other for ever; httpx asks for the first request so."""
    auth = movie_bag_session.SessionAuth("http://127.0.0.1:9", None)
    first = anext(auth.async_auth_flow(httpx.Request("GET", "http://127.0.0.1:9/")))
    with pytest.raises(TypeError, match=r"httpx\.Client"):
        first.send(None)


class TestSource:
    def test_refresh_is_short(self):
        found = {it.name: it.length for it in functions(SESSION.read_text())}
        assert 20 < found["sessionFetch"] <= 40

    def test_paths_without_a_token_are_those_of_the_document(self, app):
        operations = [
            (path, operation["security"])
            for path, methods in build_document(app)["paths"].items()
            for operation in methods.values()
            if path.startswith("/api/auth/")
        ]
        public = {path for path, security in operations if not security}
        assert {path for path, _ in operations if movie_bag_session.PUBLIC.search(path)} == public

    def test_paths_of_the_next_pair_are_those_of_the_document(self, app):
        tokens = {"$ref": "#/components/schemas/Tokens"}
        paths = {
            path
            for path, methods in build_document(app)["paths"].items()
            for operation in methods.values()
            if operation["responses"]["200"]["content"]["application/json"]["schema"] == tokens
        }
        assert {path for path in paths if movie_bag_session.NEXT_PAIR.search(path)} == paths

    @pytest.mark.parametrize("name", ["REFRESH", "PUBLIC", "NEXT_PAIR"])
    def test_both_clients_have_the_same_rules(self, name):
        (written,) = re.findall(rf"const {name} = (.*);", SESSION.read_text())
        rule = getattr(movie_bag_session, name)
        if isinstance(rule, set):
            assert {*json.loads(written)} == rule
        else:
            assert written.strip("/").replace("\\/", "/").replace("$", r"\Z") == rule.pattern

    @NEEDS_NPM
    def test_generated_types_are_up_to_date(self, tmp_path):
        (tmp_path / "typescript/src").mkdir(parents=True)
        clients.write_typescript(tmp_path)
        written = (clients.FOLDER / clients.TYPESCRIPT).read_text()
        assert (tmp_path / clients.TYPESCRIPT).read_text() == written, "make clients"

    def test_lock_file_names_no_host(self):
        assert "://" not in (TYPESCRIPT / "package-lock.json").read_text()
