"""Clients that use the API without a pause, and remember what they were told."""

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
    """Signs up, logs in, adds movies and refreshes, over and over; notes what was acknowledged."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(daemon=True)
        self.url, self.name = url, name
        self.accounts: list[str] = []
        self.movies: list[str] = []
        self.pair: dict[str, str] = {}
        self.answers: list[tuple[float, float, int]] = []  # begin, seconds, status
        self.wrong: list[str] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        round_ = 0
        while not self.stopping.is_set():
            try:
                self._round(f"{self.name}-{round_}")
            except Exception as error:
                self.wrong.append(repr(error))
                return
            round_ += 1

    def _round(self, name: str) -> None:
        account = {"email": f"{name}@example.com", "password": PASSWORD}
        if self.ask("POST", "/api/auth/signup", json=account):
            self.accounts.append(account["email"])
            self.pair = self.pair or self.ask("POST", "/api/auth/login", json=account) or {}
        if not self.pair:
            return
        movie = {"name": f"Film {name}", "casts": ["Ada"], "genres": ["Drama"]}
        if added := self.ask("POST", "/api/movies", self.pair["token"], json=movie):
            self.movies.append(added["id"])
        self.ask("GET", "/api/movies?limit=2")
        self.ask("GET", "/api/auth/verify", self.pair["token"])
        while not self.refresh() and not self.stopping.is_set():
            pass  # it may have happened, and the access token be dead: nothing else goes before

    def refresh(self) -> bool:
        """Trade the refresh token; say whether the answer was the next pair."""
        pair = self.ask("POST", "/api/auth/refresh", self.pair["refresh_token"])
        self.pair = pair or self.pair
        return bool(pair)

    def ask(self, method: str, path: str, token: str = "", **more: Any) -> Any:
        """Return the answer of a 200, None for a 503; anything else is noted as wrong."""
        begin = time.monotonic()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = requests.request(method, self.url + path, headers=headers, timeout=60, **more)
        self.answers.append((begin, time.monotonic() - begin, answer.status_code))
        if answer.status_code == 200:
            return answer.json()
        if answer.status_code != 503 or answer.json() != UNAVAILABLE:
            self.wrong.append(f"{method} {path} {answer.status_code} {answer.text}")
        elif int(answer.headers["Retry-After"]) < 1:
            self.wrong.append(json.dumps(dict(answer.headers)))
        return None


class Load:
    """Some clients at once, and what they found together."""

    def __init__(self, url: str, count: int) -> None:
        self.clients = [Client(url, f"client{number}") for number in range(count)]

    @property
    def wrong(self) -> list[str]:
        return [each for client in self.clients for each in client.wrong]

    def seconds(self, status: int) -> list[float]:
        """Return how long each answer of this status took."""
        return [
            took for client in self.clients for _, took, code in client.answers if code == status
        ]

    def all_answered_since(self, moment: float) -> bool:
        """Say whether each client was served with something that it asked after moment."""
        return all(
            any(begin > moment and status == 200 for begin, _, status in client.answers)
            for client in self.clients
        )

    def lost(self) -> list[str]:
        """Return what was acknowledged, and is not there."""
        return [each for client in self.clients for each in _lost(client)]


def _lost(client: Client) -> Iterator[str]:
    for email in client.accounts:
        account = {"email": email, "password": PASSWORD}
        if not client.ask("POST", "/api/auth/login", json=account):
            yield email
    for movie in client.movies:
        if not client.ask("GET", f"/api/movies/{movie}"):
            yield movie
    if not client.refresh() or not client.ask("GET", "/api/auth/verify", client.pair["token"]):
        yield f"the session of {client.name}"


@contextmanager
def load_on(url: str, count: int = 8) -> Iterator[Load]:
    """Put clients to work; at the end wait for the answer that each is waiting for."""
    load = Load(url, count)
    for client in load.clients:
        client.start()
    try:
        yield load
    finally:
        for client in load.clients:
            client.stopping.set()
        for client in load.clients:
            client.join()
