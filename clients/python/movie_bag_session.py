"""The session of a user: requests get its access token, which is refreshed once it has expired."""

import re
import threading
from collections.abc import AsyncGenerator, Generator
from typing import Any, Protocol

import httpx

# During an upgrade, a machine may not know the token of another one: BadTokenError.
REFRESH = {"ExpiredTokenError", "SupersededTokenError", "BadTokenError"}
# There an access token would be taken for the token of a link.
PUBLIC = re.compile(r"/api/auth/(signup|login|refresh|forgot|reset|invite|email/)")
NEXT_PAIR = re.compile(r"/api/auth/(login(/mfa|/passkey)?|refresh|password|reauthenticate)\Z")

Pair = dict[str, Any]
Flow = Generator[httpx.Request, httpx.Response, httpx.Response]


class Store(Protocol):
    """Where the pair is kept, for all threads; None: log in."""

    def get(self) -> Pair | None:
        """Return the pair that was stored last."""

    def set(self, pair: Pair | None) -> None:
        """Store the next pair."""


class SessionAuth(httpx.Auth):
    """Adds the access token to the requests of all threads, and keeps each next pair in a store.

    It is for `httpx.Client`, because its lock is of threads.
    """

    requires_response_body = True

    def __init__(self, url: str, store: Store) -> None:
        """Take the URL of the API."""
        self.url = url
        self.store = store
        self.lock = threading.Lock()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send a request; if its access token was replaced, refresh and send it again."""
        response = yield from self._deliver(request)
        used = request.headers.get("Authorization", "")
        if response.status_code != 401 or not used:
            return
        error = response.json()["error"]
        if error == "SessionEndedError" and used == self._authorization():
            self.store.set(None)
        if error in REFRESH:
            with self.lock:
                is_refreshed = yield from self._refresh(used)
            if is_refreshed:
                yield from self._deliver(request)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Refuse `httpx.AsyncClient`: the lock would stop the loop of all its tasks."""
        raise TypeError("SessionAuth is for httpx.Client")
        yield request  # httpx wants a generator

    def _authorization(self) -> str:
        pair = self.store.get()
        return f"Bearer {pair['token']}" if pair else ""

    def _deliver(self, request: httpx.Request) -> Flow:
        if not NEXT_PAIR.search(request.url.path):
            return (yield from self._send(request))
        with self.lock:  # no other thread refreshes meanwhile
            return (yield from self._send(request))

    def _send(self, request: httpx.Request) -> Flow:
        request.headers["Authorization"] = self._authorization()
        if PUBLIC.search(request.url.path) or not request.headers["Authorization"]:
            del request.headers["Authorization"]
        response = yield request
        if response.is_success and NEXT_PAIR.search(request.url.path):
            self.store.set(response.json())
        return response

    def _refresh(self, used: str) -> Generator[httpx.Request, httpx.Response, bool]:
        """Exchange the refresh token, unless another thread has done so; return whether it is."""
        pair = self.store.get()
        if pair is None or used != self._authorization():
            return pair is not None
        body = {"refresh_token": pair["refresh_token"]}
        response = yield from self._send(
            httpx.Request("POST", f"{self.url}/api/auth/refresh", json=body)
        )
        if response.status_code == 401:
            self.store.set(None)
        return bool(response.is_success)
