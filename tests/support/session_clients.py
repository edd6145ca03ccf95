"""A user of each client in clients/: one in the tabs of a browser, one in the threads of Python."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import httpx
from playwright.sync_api import BrowserContext, Page

from clients.python.movie_bag_session import Pair, SessionAuth

BROKEN = "the connection broke"
START = """async (url) => {
  const { browserStore, createMovieBag } = await import("/index.js");
  window.store = browserStore();
  const bag = createMovieBag({ url, store });
  window.me = () => bag.GET("/api/users/me").then(
    ({ data, error }) => data?.email ?? error.error, () => "the connection broke");
  window.send = (method, path, body) =>
    bag[method](path, { body }).then(({ response }) => response.status);
}"""


class UserOfAClient(Protocol):
    """What the tests do with a client."""

    pair: Pair | None

    def me(self) -> str:
        """Return the email of the user, or the name of the error."""

    def me_at_once(self) -> list[str]:
        """Return the same of four requests at once, two in each tab or thread."""

    def send(self, method: str, path: str, body: Any = None) -> int:
        """Send a request; return the status of the response."""

    def close(self) -> None:
        """Close tabs and connections."""


class MemoryStore:
    """A pair in memory."""

    pair: Pair | None = None

    def get(self) -> Pair | None:
        return self.pair

    def set(self, pair: Pair | None) -> None:
        self.pair = pair


class PythonUser:
    """Two clients of Python with one session."""

    def __init__(self, url: str) -> None:
        self.store = MemoryStore()
        auth = SessionAuth(url, self.store)
        self.clients = [httpx.Client(base_url=url, auth=auth, timeout=30) for _ in "ab"]

    @property
    def pair(self) -> Pair | None:
        return self.store.pair

    @pair.setter
    def pair(self, pair: Pair | None) -> None:
        self.store.pair = pair

    def me(self, client: int = 0) -> str:
        try:
            body = self.clients[client].get("/api/users/me").json()
        except httpx.TransportError:
            return BROKEN
        return str(body.get("email") or body["error"])

    def me_at_once(self) -> list[str]:
        with ThreadPoolExecutor(4) as pool:
            return [*pool.map(self.me, [0, 1, 0, 1])]

    def send(self, method: str, path: str, body: Any = None) -> int:
        return self.clients[0].request(method, path, json=body).status_code

    def close(self) -> None:
        for client in self.clients:
            client.close()


class TypeScriptUser:
    """Two tabs of a browser with the client of TypeScript."""

    def __init__(self, context: BrowserContext, page_url: str, url: str) -> None:
        self.tabs = [self._open(context, page_url, url) for _ in "ab"]

    def _open(self, context: BrowserContext, page_url: str, url: str) -> Page:
        tab = context.new_page()
        tab.goto(page_url)
        tab.evaluate(START, url)
        return tab

    @property
    def pair(self) -> Pair | None:
        stored: Pair | None = self.tabs[0].evaluate("store.get()")
        return stored

    @pair.setter
    def pair(self, pair: Pair | None) -> None:
        self.tabs[0].evaluate("(pair) => store.set(pair)", pair)

    def me(self) -> str:
        return str(self.tabs[0].evaluate("me()"))

    def me_at_once(self) -> list[str]:
        for tab in self.tabs:
            tab.evaluate("() => { window.found = Promise.all([me(), me()]); }")
        return [email for tab in self.tabs for email in tab.evaluate("window.found")]

    def send(self, method: str, path: str, body: Any = None) -> int:
        return int(self.tabs[0].evaluate("(sent) => send(...sent)", [method, path, body]))

    def close(self) -> None:
        for tab in self.tabs:
            tab.close()


def modules(built: Path, npm: Path) -> dict[str, str]:
    """Return the modules of the client of TypeScript as a page loads them, by their paths."""
    found = {f"/{path.name}": path.read_text() for path in (built / "dist").glob("*.js")}
    found["/openapi-fetch.js"] = (npm / "openapi-fetch/dist/index.mjs").read_text()
    library = '"openapi-fetch"'
    assert library in found["/index.js"]
    found["/index.js"] = found["/index.js"].replace(library, '"/openapi-fetch.js"')
    return found
