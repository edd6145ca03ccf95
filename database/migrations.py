"""Changes of stored documents, each with a version: `flask --app app db upgrade`.

A migration can be interrupted and run again: it works through what is not changed yet. Processes
of the version before must be stopped first if they would store documents of the old form.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from mongoengine.connection import get_db
from pymongo import DeleteOne, UpdateOne
from pymongo.errors import DuplicateKeyError

from database.db import insert_missing, read_batches
from database.models import Job
from database.users import name_keys

COMMAND = "flask --app app db upgrade"
# The collection and the document that hold the version of what is stored.
VERSIONS = "schema_version"
CURRENT = {"_id": "current"}

Stored = dict[str, Any]
Progress = Callable[[int], None]

logger = logging.getLogger(__name__)


def rename_movie_fields(on_progress: Progress) -> None:
    """Order movies by `name` itself, without `key`; `folded` becomes `name_casefold`."""
    movies = get_db()["movie"]
    for name, index in movies.index_information().items():
        if any(field == "key" for field, _ in index["key"]):
            movies.drop_index(name)
    for batch in read_batches(movies):
        if updates := [_renamed(movie) for movie in batch if "key" in movie]:
            movies.bulk_write(updates, ordered=False)
        on_progress(len(batch))


def _renamed(movie: Stored) -> UpdateOne:
    update = {
        "$set": {"name_casefold": movie["name"].casefold()},
        "$unset": {"key": "", "folded": ""},
    }
    return UpdateOne({"_id": movie["_id"]}, update)


def move_mails_to_jobs(on_progress: Progress) -> None:
    """Turn what was in `mail` into jobs and copies of sent emails; `_id`, the Message-ID, stays."""
    mails = get_db()["mail"]
    for batch in read_batches(mails):
        for collection, converted in (("job", _job), ("sent_mail", _sent_mail)):
            documents = [document for mail in batch if (document := converted(mail))]
            if documents:  # those that an interrupted run has inserted are rejected
                insert_missing(get_db()[collection], documents)
        mails.bulk_write([DeleteOne({"_id": mail["_id"]}) for mail in batch], ordered=False)
        on_progress(len(batch))
    mails.drop()


def _job(mail: Stored) -> Stored | None:
    if mail["state"] == "sent":
        return None
    kind, arguments = "send_email", _mail_arguments(mail)
    if mail["kind"] == "forget":
        kind, arguments = "delete_movies", {"user_id": mail["email"]}
    return {
        "_id": mail["_id"],
        "kind": kind,
        "arguments": arguments,
        "state": Job.FAILED if mail["state"] == "given_up" else Job.QUEUED,
        "created_at": mail["created_at"],
        "run_at": mail["due_at"],
        "attempts": mail["attempts"],
        **({"last_error": mail["last_error"]} if mail.get("last_error") else {}),
    }


def _sent_mail(mail: Stored) -> Stored | None:
    if mail["state"] != "sent":
        return None
    copied = {name: mail[name] for name in ("_id", "created_at", "text", "html")}
    return {**copied, "arguments": _mail_arguments(mail), "sent_at": mail["due_at"]}


def _mail_arguments(mail: Stored) -> Stored:
    name = {"reset": "reset_password"}.get(mail["kind"], mail["kind"])
    return {"mail": name, "email": mail["email"]}


def index_users(on_progress: Progress) -> None:
    """Store what users are found by: the words of their name, and when a session may expire.

    The version before ignores both, so it may go on running.
    """
    users = get_db()["user"]
    for batch in read_batches(users, ("name", "sessions", "sweep_at")):
        if updates := [it for user in batch if (it := _indexed(user))]:
            users.bulk_write(updates, ordered=False)
        on_progress(len(batch))


def _indexed(user: Stored) -> UpdateOne | None:
    fields: Stored = {}
    if user.get("name"):
        fields["name_keys"] = name_keys(user["name"])
    if user.get("sessions") and "sweep_at" not in user:
        fields["sweep_at"] = 0.0  # the worker looks at once, and stores when to look again
    return UpdateOne({"_id": user["_id"]}, {"$set": fields}) if fields else None


# One per version, in order: the n-th leads from version n to n + 1.
MIGRATIONS: tuple[Callable[[Progress], None], ...] = (
    rename_movie_fields,
    move_mails_to_jobs,
    index_users,
)


def stored_version() -> int:
    """Return the version of the stored documents; an empty database has the latest.

    Raises:
        PyMongoError: the database is away.
    """
    database = get_db()
    if current := database[VERSIONS].find_one(CURRENT):
        return int(current["version"])
    is_old = any(database[name].find_one() for name in ("user", "mail", "movie"))
    version = 0 if is_old else len(MIGRATIONS)
    _store_version(version)
    return version


def upgrade(
    on_start: Callable[[str], None] = logger.info,
    on_progress: Progress = lambda _: None,
    again: bool = False,
) -> int:
    """Run the migrations that are due, in order; return how many those were.

    If none is and `again` is set, run the latest: for what earlier processes stored since.
    """
    due = MIGRATIONS[stored_version() :]
    if again and not due:
        due = MIGRATIONS[-1:]
    for version, migration in enumerate(due, len(MIGRATIONS) - len(due) + 1):
        on_start(f"Upgrading to version {version}: {(migration.__doc__ or '').splitlines()[0]}")
        migration(on_progress)
        _store_version(version)
    return len(due)


def count_due() -> int:
    """Return how many migrations are due, 0 if a later version has upgraded the database.

    Raises:
        PyMongoError: the database is away.
    """
    return max(len(MIGRATIONS) - stored_version(), 0)


def _store_version(version: int) -> None:
    values = {"version": version, "at": time.time()}
    with suppress(DuplicateKeyError):  # another process stored the first version
        get_db()[VERSIONS].update_one(CURRENT, {"$set": values}, upsert=True)
