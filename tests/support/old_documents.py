"""Documents as version 0 (commit d80bfce) stored them."""

import time
from typing import Any

from bson import ObjectId
from pymongo.database import Database

from database.documents import DOCUMENTS
from database.migrations import VERSIONS
from tests.support.client import ADA
from tests.support.users import hash_of_password

NOW = 1_795_000_000.5
MOVIES = ["Heat", "Ödipussi", "2012-05-05", "ß"]

Stored = dict[str, Any]


def old_movie(name: str) -> Stored:
    return {
        "name": name,
        "key": f"={name}",
        "folded": name.casefold(),
        "casts": ["Ada"],
        "genres": ["Crime"],
        "added_by": "0" * 24,
    }


def old_mail(kind: str, state: str = "waiting", email: str = ADA["email"], **fields: Any) -> Stored:
    mail = {"_id": ObjectId(), "kind": kind, "email": email, "state": state}
    return {**mail, "created_at": NOW, "due_at": NOW + 0.3, "attempts": 0, **fields}


def old_mails() -> dict[str, Stored]:
    return {
        "waiting reset": old_mail("reset"),
        "waiting notice": old_mail("password_changed"),
        "failed": old_mail("reset", "given_up", attempts=1, last_error="SMTP 550"),
        "sent": old_mail("reset", "sent", attempts=1, text="text", html="<p>html</p>"),
        "deletion": old_mail("forget", email="0" * 24),
    }


def old_user() -> Stored:
    """Return a user as version 2 (commit a4e947a) stored one, without what emails need now."""
    return {
        "email": ADA["email"],
        "password": hash_of_password(),
        "password_version": 0,
        "role": "user",
        "created_at": NOW,
        "logins": 0,
        "sessions": {},
    }


def old_job(mail: str, state: str = "queued", **recipient: str) -> Stored:
    """Return an email as version 2 queued one: for an address alone."""
    times = {"created_at": time.time(), "run_at": 0.0}
    arguments = {"mail": mail, **recipient}
    job = {"kind": "send_email", "state": state, "attempts": 0, "lane": "example.com"}
    return {**job, **times, "arguments": arguments}


def store_old_documents(database: Database[Stored], mails: dict[str, Stored]) -> None:
    """Store movies and mails with the indexes of version 0, and nothing else."""
    remove_old_documents(database)
    database["movie"].insert_many([old_movie(name) for name in MOVIES])
    database["movie"].create_index("key", unique=True)
    database["movie"].create_index([("key", 1), ("folded", 1)])
    database["movie"].create_index([("genres", 1), ("key", 1)], name="genres_key")
    database["mail"].insert_many(mails.values())
    database["mail"].create_index([("state", 1), ("due_at", 1)])


def remove_old_documents(database: Database[Stored]) -> None:
    """Drop the collections that an upgrade reads or writes, and create the indexes again."""
    for name in (VERSIONS, "movie", "mail", "job", "sent_mail"):
        database[name].drop()
    for document in DOCUMENTS:
        document.ensure_indexes()
