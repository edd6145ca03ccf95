"""Clients that use the API without a pause, and note what the responses confirmed."""

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

PASSWORD = "correct horse battery"
UNAVAILABLE = {
    "message": "The service is busy, try again in a moment",
    "status": 503,
    "error": "ServiceUnavailableError",
}


class Client(threading.Thread):
    """Signs up, logs in, adds movies and refreshes, over and over; notes what was confirmed.

    A response must come within `seconds`; a late one counts as wrong.
    """

    def __init__(self, url: str, name: str, seconds: float) -> None:
        super().__init__(daemon=True)
        self.url, self.name, self.seconds = url, name, seconds
        self.accounts: list[str] = []
        self.movies: list[str] = []
        self.pair: dict[str, str] = {}
        self.responses: list[tuple[float, int]] = []  # when it was requested, its status
        self.wrong: list[str] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        for number in itertools.count():
            if self.stopping.is_set():
                return
            try:
                self._use(f"{self.name}-{number}")
            except Exception as error:
                self.wrong.append(repr(error))
                return

    def _use(self, name: str) -> None:
        account = {"email": f"{name}@example.com", "password": PASSWORD}
        if self.send("POST", "/api/auth/signup", json=account):
            self.accounts.append(account["email"])
            self.pair = self.pair or self.send("POST", "/api/auth/login", json=account) or {}
        if not self.pair:
            return
        movie = {"name": f"Film {name}", "casts": ["Ada"], "genres": ["Drama"]}
        if added := self.send("POST", "/api/movies", self.pair["token"], json=movie):
            self.movies.append(added["id"])
        self.send("GET", "/api/movies?limit=2")
        self.send("GET", "/api/auth/verify", self.pair["token"])
        while not self.refresh() and not self.stopping.is_set():
            pass  # without the response of a refresh that was done, the access token is revoked

    def refresh(self) -> bool:
        """Exchange the refresh token; return whether the response was the next pair."""
        pair = self.send("POST", "/api/auth/refresh", self.pair["refresh_token"])
        self.pair = pair or self.pair
        return bool(pair)

    def send(self, method: str, path: str, token: str = "", **options: Any) -> Any:
        """Return the body of a 200, None for a 503; any other response is noted as wrong."""
        begin = time.monotonic()
        options["headers"] = {"Authorization": f"Bearer {token}"} if token else {}
        response = requests.request(method, self.url + path, timeout=self.seconds, **options)
        self.responses.append((begin, response.status_code))
        if response.status_code == 200:
            return response.json()
        if response.status_code != 503 or response.json() != UNAVAILABLE:
            self.wrong.append(f"{method} {path} {response.status_code} {response.text}")
        elif int(response.headers["Retry-After"]) < 1:
            self.wrong.append(json.dumps(dict(response.headers)))
        return None


class Workload:
    """Several clients at the same time, and what all of them noted."""

    def __init__(self, url: str, count: int, seconds: float) -> None:
        self.clients = [Client(url, f"client{number}", seconds) for number in range(count)]

    @property
    def wrong(self) -> list[str]:
        return [problem for client in self.clients for problem in client.wrong]

    def count(self, status: int) -> int:
        """Return how many responses had this status."""
        return sum(code == status for client in self.clients for _, code in client.responses)

    def all_served_since(self, moment: float) -> bool:
        """Return whether each client got a 200 to a request that it sent after moment."""
        return all(
            any(begin > moment and status == 200 for begin, status in client.responses)
            for client in self.clients
        )

    def lost(self) -> list[str]:
        """Return what was confirmed and is not stored."""
        return [missing for client in self.clients for missing in _lost(client)]


def _lost(client: Client) -> Iterator[str]:
    for email in client.accounts:
        account = {"email": email, "password": PASSWORD}
        if not client.send("POST", "/api/auth/login", json=account):
            yield email
    for movie in client.movies:
        if not client.send("GET", f"/api/movies/{movie}"):
            yield movie
    if not client.refresh() or not client.send("GET", "/api/auth/verify", client.pair["token"]):
        yield f"the session of {client.name}"


@contextmanager
def workload_on(url: str, seconds: float, count: int = 8) -> Iterator[Workload]:
    """Run clients that want each response within seconds; at the end await their last ones."""
    workload = Workload(url, count, seconds)
    for client in workload.clients:
        client.start()
    try:
        yield workload
    finally:
        for client in workload.clients:
            client.stopping.set()
        for client in workload.clients:
            client.join()
