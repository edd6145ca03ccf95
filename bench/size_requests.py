"""The requests that `make bench-sizes` measures, and what is put into them for each user."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from string import Template
from typing import Any

from flask import Flask
from mongoengine.connection import get_db

from bench import stored
from bench.load import request
from bench.servers import Server
from database.db import reconnect
from schemas.fields import NameCursor
from services import session_service, user_service
from services.link_service import LINKS, encode_link
from services.token_service import CONFIRM, PWD_RESET

# Requests of one measurement, one after the other, each of another user; of slow ones a few.
COUNT, FEW = 30, 3
USERS = 200
ANYONE, OWNER, ADMIN = "anyone", "owner", "admin"


@dataclass
class Site:
    """A database of some size, the server that uses it, and its users."""

    size: int
    settings: dict[str, Any]
    server: Server
    app: Flask

    def __post_init__(self) -> None:
        """Log some users in, from everywhere in the database."""
        self._numbers = itertools.count(self.size)
        self.unused = (f"new-{number}" for number in itertools.count())
        self._random = random.Random(self.size)  # noqa: S311 (no secret)
        self._user, self._movie = stored.users(self.size), stored.movies(self.size)
        enabled = [it for it in range(1, self.size) if not stored.is_rare(it, self.size)]
        self.users = [*self._values(self._random.sample(enabled, USERS))]
        self.admin = next(self._values([0]))["token"]

    def choose(self, count: int) -> list[dict[str, str]]:
        """Return some of the users."""
        return self._random.sample(self.users, count)

    def add(self, count: int) -> list[dict[str, str]]:
        """Store new users, each with a movie, for requests that can be sent once."""
        numbers = [*itertools.islice(self._numbers, count)]
        self.open()
        users = [{**self._user(number), "verified_at": None} for number in numbers]
        get_db()["user"].insert_many(users)
        get_db()["movie"].insert_many([self._movie(number) for number in numbers])
        return [*self._values(numbers)]

    def open(self) -> None:
        """Connect this process to the database."""
        self.app.config["MONGODB_URI"] = self.settings["MONGODB_URI"]
        reconnect(self.app)

    def _values(self, numbers: list[int]) -> Iterator[dict[str, str]]:
        """Yield what a request of each user may contain."""
        self.open()
        with self.app.app_context():
            for number in numbers:
                user = user_service.get(stored.id_of(number))
                tokens = session_service.create(user, "bench", session_service.BY_PASSWORD)
                links = {scope: encode_link(LINKS[scope], user) for scope in (PWD_RESET, CONFIRM)}
                yield {
                    **{name: tokens[name] for name in ("token", "refresh_token")},
                    **{scope: link.rpartition("/")[2] for scope, link in links.items()},
                    "id": str(user.id),
                    "email": user.email,
                    "beginning": user.email.partition("-")[0],
                    "movie": stored.id_of(number),
                    "after": NameCursor.encode(stored.movie_name(number)),
                }


@dataclass(frozen=True)
class Kind:
    """A kind of request: `by` whom, and whether each needs a user of its own (`once`).

    In path and body, `$id` is the id of the user whom a request is about, and so on.
    """

    method: str
    path: str
    by: str = OWNER
    body: str = ""
    once: bool = False
    about: str = ""
    count: int = COUNT

    @property
    def name(self) -> str:
        """Return what a table calls it."""
        path = self.path.replace("$", "")
        return f"{self.method} {path}{', ' * bool(self.about)}{self.about}"

    def requests(self, site: Site) -> list[str]:
        """Return requests, one of each user."""
        users = (site.add if self.once else site.choose)(self.count)
        return [self._request(site, values) for values in users]

    def _request(self, site: Site, values: dict[str, str]) -> str:
        values = {**values, "new": next(site.unused)}
        path, body = (Template(text).substitute(values) for text in (self.path, self.body))
        token = {OWNER: values["token"], ADMIN: site.admin}.get(self.by, "")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return request(self.method, path, body or None, **headers)


OLD, NEW = stored.PASSWORD, "another horse battery"
TO = '{"email": "$email"}'
TO_NEW = '{"email": "$new@example.com"}'
ACCOUNT = f'{{"email": "$email", "password": "{OLD}"}}'
NEW_ACCOUNT = f'{{"email": "$new@example.com", "password": "{OLD}"}}'
CURRENT = f'{{"current_password": "{OLD}"}}'
NEW_PASSWORD = f'{{"current_password": "{OLD}", "password": "{NEW}"}}'
NEW_EMAIL = f'{{"current_password": "{OLD}", "email": "$new@example.com"}}'
RESET = f'{{"reset_token": "$pwd_reset", "password": "{NEW}"}}'
MOVIE = '{"name": "$new", "casts": ["Ada Lovelace"], "genres": ["Drama"]}'
KINDS = (
    Kind("POST", "/api/auth/signup", ANYONE, NEW_ACCOUNT),
    Kind("POST", "/api/auth/login", ANYONE, ACCOUNT),
    Kind("POST", "/api/auth/refresh", ANYONE, '{"refresh_token": "$refresh_token"}', once=True),
    Kind("GET", "/api/auth/verify"),
    Kind("DELETE", "/api/auth/logout", once=True),
    Kind("GET", "/api/auth/sessions"),
    Kind("DELETE", "/api/auth/sessions", once=True),
    Kind("PUT", "/api/auth/password", body=NEW_PASSWORD, once=True),
    Kind("POST", "/api/auth/forgot", ANYONE, TO, about="known"),
    Kind("POST", "/api/auth/forgot", ANYONE, TO_NEW, about="unknown"),
    Kind("POST", "/api/auth/reset", ANYONE, RESET, once=True),
    Kind("POST", "/api/auth/email/confirm", ANYONE, '{"confirm_token": "$confirm"}', once=True),
    Kind("PUT", "/api/auth/email", body=NEW_EMAIL, once=True),
    Kind("GET", "/api/users/me"),
    Kind("PATCH", "/api/users/me", body='{"name": "Ada Lovelace"}'),
    Kind("DELETE", "/api/users/me", body=CURRENT, once=True),
    Kind("GET", "/api/users/me/events"),
    Kind("GET", "/api/users/me/export"),
    Kind("GET", "/api/users", ADMIN),
    Kind("GET", "/api/users?after=$id", ADMIN),
    Kind("GET", "/api/users?email=$email", ADMIN),
    Kind("GET", "/api/users?role=admin", ADMIN),
    Kind("GET", "/api/users?disabled=true", ADMIN, about="of 100"),
    Kind("GET", "/api/users?q=$beginning", ADMIN, about="of 1"),
    Kind("GET", "/api/users?q=zzz", ADMIN, about="of none"),
    Kind("GET", "/api/users?q=ho", ADMIN, about="of every seventh"),
    Kind("POST", "/api/users", ADMIN, TO_NEW, about="invitation"),
    Kind("GET", "/api/users/$id", ADMIN),
    Kind("PATCH", "/api/users/$id", ADMIN, '{"disabled": true}', once=True),
    Kind("GET", "/api/users/$id/sessions", ADMIN),
    Kind("POST", "/api/users/$id/reset", ADMIN),
    Kind("DELETE", "/api/users/$id", ADMIN, once=True),
    Kind("GET", "/api/events", ADMIN),
    Kind("GET", "/api/events?user=$id", ADMIN),
    Kind("GET", "/api/events?event=user_deleted", ADMIN),
    Kind("GET", "/api/movies", ANYONE),
    Kind("GET", "/api/movies?after=$after", ANYONE),
    Kind("GET", "/api/movies?genre=Drama", ANYONE, about="of all"),
    Kind("GET", "/api/movies?genre=Silent+film", ANYONE, about="of 100"),
    Kind("GET", "/api/movies?q=ho", ANYONE, about="of every third"),
    Kind("GET", "/api/movies?q=zzz", ANYONE, about="of none", count=FEW),
    Kind("GET", "/api/movies/$movie", ANYONE),
    Kind("POST", "/api/movies", body=MOVIE),
    Kind("PATCH", "/api/movies/$movie", body='{"genres": ["Drama"]}', once=True),
    Kind("DELETE", "/api/movies/$movie", once=True),
    Kind("GET", "/readyz", ANYONE),
)
