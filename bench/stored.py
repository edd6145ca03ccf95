"""Users, movies, jobs and events in any number, as the product stores them; each has a number."""

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from bson import ObjectId
from mongoengine import Document
from pymongo.database import Database

from database.events import StoredEvent
from database.models import ADMIN, Job, Movie, Stored, User
from database.users import name_keys
from infra.password_hashing import hash_password
from services.event_service import Event
from services.mail_kinds import RESET_PASSWORD
from services.mail_queue import SEND_EMAIL

PASSWORD = "correct horse battery"
# The least that bcrypt allows: with 12, it would be most of what signup, login and reset take.
ROUNDS = 4
BATCH_SIZE = 5_000
HOUR = 3600
SYLLABLES = ("an", "bel", "cor", "da", "el", "fi", "gra", "ho", "in", "jo", "ka", "li", "mo", "ne")
GENRE, OTHER_GENRE, RARE_GENRE = "Drama", "Comedy", "Silent film"
# So many movies have the rare genre, and so many users are disabled, whatever the size.
RARE = 100


def id_of(number: int) -> str:
    """Return the id of a user, movie, job or event: they are in the order of their numbers."""
    return f"65{number:022x}"


def email(number: int) -> str:
    """Return the email of a user: in another order than the users."""
    return f"{_random(number).randbytes(3).hex()}-{number}@example.com"


def movie_name(number: int) -> str:
    """Return the name of a movie."""
    return f"{_name(number)} and the number {number}"


def _random(number: int) -> random.Random:
    return random.Random(number)  # noqa: S311 (no secret)


def _name(number: int) -> str:
    chosen = _random(number).choices(SYLLABLES, k=5)
    return f"{''.join(chosen[:2])} {''.join(chosen[2:])}".title()


def user_hash() -> str:
    """Return a hash of PASSWORD."""
    return hash_password(PASSWORD, ROUNDS)


def users(size: int) -> Callable[[int], Stored]:
    """Return a function that returns the document of a user; the first one is an admin."""
    now = time.time()
    template = User(email="-", password=user_hash(), verified_at=now)
    stored = dict(template.to_mongo())

    def user(number: int) -> Stored:
        name = _name(number)
        own: Stored = {"_id": ObjectId(id_of(number)), "email": email(number)}
        own |= {"name": name, "name_keys": name_keys(name)}
        own |= {} if number else {"role": ADMIN}
        own |= {"disabled_at": now} if is_rare(number, size) else {}
        return {**stored, **own}

    return user


def is_rare(number: int, size: int) -> bool:
    """Return whether a movie has the rare genre, and a user is disabled."""
    return number < size and number % (size // RARE) == 1


def movies(size: int) -> Callable[[int], Stored]:
    """Return a function that returns the document of a movie; each user has added one."""

    def movie(number: int) -> Stored:
        name, genre = movie_name(number), RARE_GENRE if is_rare(number, size) else OTHER_GENRE
        return {
            "_id": ObjectId(id_of(number)),
            "name": name,
            "name_casefold": name.casefold(),
            "casts": [_name(number + 1), _name(number + 2)],
            "genres": [GENRE, genre],
            "added_by": id_of(number),
        }

    return movie


def job(number: int) -> Stored:
    """Return the document of an email that failed, or whose next attempt is hours away."""
    now, kind = time.time(), {"kind": SEND_EMAIL, "lane": f"receiver-{number % 50}.example"}
    arguments = {"mail": RESET_PASSWORD, "user_id": id_of(number), "to": email(number)}
    times = {"created_at": now - HOUR, "run_at": now + HOUR * (1 + number % 20)}
    states = {"attempts": 5, "waits_for_service": False, "last_error": "451 Try again later"}
    states["state"] = (Job.QUEUED, Job.FAILED)[number % 2]
    return {"_id": ObjectId(id_of(number)), "arguments": arguments, **kind, **times, **states}


def event(number: int) -> Stored:
    """Return the document of the signup of a user."""
    signup = {"event": Event.SIGNUP.value, "user_id": id_of(number), "ip": "192.0.2.1"}
    return {"_id": ObjectId(id_of(number)), **signup, "at": time.time() - HOUR}


def fill(database: Database[Any], size: int) -> Iterator[tuple[type[Document], int, float]]:
    """Store users, movies and events, so many each, and a tenth of that in jobs.

    Yield of each kind the number and the seconds. There are no indexes yet.
    """
    kinds: dict[type[Document], tuple[Callable[[int], Stored], int]] = {
        User: (users(size), size),
        Movie: (movies(size), size),
        StoredEvent: (event, size),
        Job: (job, size // 10),
    }
    for document, (describe, number) in kinds.items():
        begin, collection = time.monotonic(), database[document._get_collection_name()]
        for first in range(0, number, BATCH_SIZE):
            numbers = range(first, min(first + BATCH_SIZE, number))
            collection.insert_many([describe(it) for it in numbers], ordered=False)
        yield document, number, time.monotonic() - begin
