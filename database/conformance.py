"""What the product needs of a database, each tried on a collection of its own.

Not every server that speaks MongoDB's protocol does all of it right.
"""

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mongoengine.connection import get_db
from pymongo import ReturnDocument
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, PyMongoError

from database.db import DATABASE_ERRORS, ensure_indexes
from database.models import DOCUMENTS, exactly

Documents = Collection[dict[str, Any]]
USER = {"_id": 1, "email": "a", "version": 0, "sessions": {"s": {"generation": 0}, "t": {}}}
AT_0 = {"_id": 1, "sessions.s.generation": 0}
# On a server where both of two updates happen, they did in nine rounds of ten.
THREADS, ROUNDS = 16, 20


def unique_index(documents: Documents) -> bool:
    """A unique index refuses a second document with the same value."""
    documents.create_index("email", unique=True)
    try:
        documents.insert_one({"_id": 2, "email": "a"})
    except DuplicateKeyError:
        return documents.count_documents({}) == 1
    return False


def unique_update(documents: Documents) -> bool:
    """A unique index refuses, by whatever error, a change to a value that another has."""
    documents.create_index("email", unique=True)
    documents.insert_one({"_id": 2, "email": "b"})
    try:
        documents.update_one({"_id": 2}, {"$set": {"email": "a"}})
    except OperationFailure:
        return documents.find_one({"_id": 2}) == {"_id": 2, "email": "b"}
    return False


def conditional_update(documents: Documents) -> bool:
    """An update on a condition happens once, and says whether it did."""
    reset = {"$set": {"sessions": {}}, "$inc": {"version": 1}}
    counts = [documents.update_one({"_id": 1, "version": 0}, reset).matched_count for _ in "12"]
    return counts == [1, 0] and _user(documents) == {**USER, "version": 1, "sessions": {}}


def simultaneous_updates(documents: Documents) -> bool:
    """Of simultaneous updates on one condition one happens."""

    def update(version: int) -> int:
        at_version = {"_id": 1, "version": version}
        return documents.update_one(at_version, {"$inc": {"version": 1}}).matched_count

    with ThreadPoolExecutor(THREADS) as pool:
        won = [sum(pool.map(update, [version] * THREADS)) for version in range(ROUNDS)]
    return won == [1] * ROUNDS


def nested_update(documents: Documents) -> bool:
    """`$inc`, `$set` and `$unset` reach into a nested document, and return the whole, in one."""
    update = {
        "$inc": {"sessions.s.generation": 1},
        "$set": {"sessions.s.rotated.g0": 1.5, "sessions.u": {"generation": 0}},
        "$unset": {"sessions.t": 1, "sessions.s.rotated.none": 1},
    }
    returned = documents.find_one_and_update(AT_0, update, return_document=ReturnDocument.AFTER)
    after = {"s": {"generation": 1, "rotated": {"g0": 1.5}}, "u": {"generation": 0}}
    return returned == _user(documents) == {**USER, "sessions": after}


def nested_condition(documents: Documents) -> bool:
    """A nested field is a condition, of which the answer need not show the document."""
    found = documents.find_one({**AT_0, "email": exactly("a")}, {"sessions": 0})
    other = documents.find_one({**AT_0, "sessions.s.generation": 1})
    return found == {"_id": 1, "email": "a", "version": 0} and other is None


def find_and_modify(documents: Documents) -> bool:
    """The first by order is changed and returned as it is then, and none where none fits."""
    documents.insert_many([{"_id": n, "state": "waiting", "due_at": n + 0.5} for n in (4, 3, 5)])
    taken = [
        documents.find_one_and_update(
            {"state": "waiting", "due_at": {"$lte": 4.5}},
            {"$set": {"due_at": 99.5}, "$inc": {"attempts": 1}},
            sort=[("due_at", 1)],
            return_document=ReturnDocument.AFTER,
        )
        for _ in "123"
    ]
    after = {"state": "waiting", "due_at": 99.5, "attempts": 1}
    return taken == [{"_id": 3, **after}, {"_id": 4, **after}, None]


def order_and_limit(documents: Documents) -> bool:
    """Documents after an id, but for those of a kind, come in its order, as many as asked for."""
    documents.insert_many(
        [{"_id": n, "kind": kind} for n, kind in ((6, "a"), (3, "b"), (5, "a"), (4, "a"))]
    )
    found = documents.find({"_id": {"$gt": 1}, "kind": {"$ne": "b"}}).sort("_id", 1).limit(2)
    return [document["_id"] for document in found] == [4, 5]


def search(documents: Documents) -> bool:
    """A pattern finds a part of a text, a value an element of a list, in the order of an index."""
    documents.create_index("name", unique=True)
    movies = [{"name": name, "genres": ["a", "b"]} for name in ("c (1)", "a (1)", "b", "d (1)")]
    documents.insert_many(movies)
    query = {"name": {"$gt": "a", "$regex": r"\ \(1"}, "genres": exactly("b")}
    found = documents.find(query).sort("name", 1).limit(2)
    return [document["name"] for document in found] == ["a (1)", "c (1)"]


def unordered_insert(documents: Documents) -> bool:
    """Of many documents those that are there already are skipped, and counted."""
    documents.create_index("email", unique=True)
    try:
        documents.insert_many([{"email": email} for email in "bacb"], ordered=False)
    except BulkWriteError as error:
        return bool(error.details["nInserted"] == documents.count_documents({}) - 1 == 2)
    return False


def conditional_delete(documents: Documents) -> bool:
    """A deletion on a condition happens once, and says whether it did."""
    wrong = documents.delete_many({"_id": 1, "version": 9}).deleted_count
    counts = [documents.delete_many({"_id": 1, "version": 0}).deleted_count for _ in "12"]
    return [wrong, *counts] == [0, 1, 0]


NEEDS: tuple[Callable[[Documents], bool], ...] = (
    unique_index,
    unique_update,
    conditional_update,
    simultaneous_updates,
    nested_update,
    nested_condition,
    find_and_modify,
    order_and_limit,
    search,
    unordered_insert,
    conditional_delete,
)


def missing() -> list[str]:
    """Return a sentence for each need that the connected database does not meet."""
    try:
        for document in DOCUMENTS:
            ensure_indexes(document)
    except DATABASE_ERRORS as error:
        return [f"The indexes can't be made: {error}"]
    problems = [problem for need in NEEDS if (problem := problem_with(need))]
    for document in DOCUMENTS:
        lacking = document.compare_indexes()["missing"]
        problems += [f"{document.__name__} lacks the index {fields}." for fields in lacking]
    return problems


def problem_with(need: Callable[[Documents], bool]) -> str | None:
    """Return what need says when it is not met."""
    documents = get_db()[f"conformance_{secrets.token_hex(4)}"]
    try:
        documents.insert_one(dict(USER))
        return None if need(documents) else f"Not so: {need.__doc__}"
    except PyMongoError as error:
        return f"Not so: {need.__doc__} ({error})"
    finally:
        documents.drop()


def _user(documents: Documents) -> dict[str, Any]:
    return documents.find_one({"_id": 1}) or {}
