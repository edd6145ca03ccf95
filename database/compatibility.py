"""The database operations that Movie-bag relies on, each checked on a collection of its own.

Not every server that speaks MongoDB's protocol gets all of them right.
"""

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mongoengine.connection import get_db
from pymongo import ReturnDocument
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError

from database.db import DATABASE_ERRORS, ensure_indexes
from database.documents import DOCUMENTS

Documents = Collection[dict[str, Any]]

# The one document of a collection when a check begins.
USER = {
    "_id": 1,
    "email": "ada@example.com",
    "version": 0,
    "sessions": {"a": {"generation": 0}, "b": {}},
}
# On a server whose updates are not atomic, two updates happened in nine rounds of ten.
THREADS = 16
ROUNDS = 20


def unique_index_on_insert(documents: Documents) -> bool:
    """A unique index rejects a second document with the same value."""
    documents.create_index("email", unique=True)
    return _is_duplicate(lambda: documents.insert_one({"_id": 2, "email": USER["email"]})) and (
        documents.count_documents({}) == 1
    )


def unique_index_on_update(documents: Documents) -> bool:
    """A unique index rejects an update to a value that another document has."""
    documents.create_index("email", unique=True)
    other = {"_id": 2, "email": "eve@example.com"}
    documents.insert_one(other)
    change = {"$set": {"email": USER["email"]}}
    return (
        _is_duplicate(lambda: documents.update_one({"_id": 2}, change))
        and _is_duplicate(lambda: documents.find_one_and_update({"_id": 2}, change))
        and documents.find_one({"_id": 2}) == other
    )


def conditional_update(documents: Documents) -> bool:
    """A conditional update happens once, and reports whether it did."""
    condition = {"_id": 1, "version": 0}
    reset = {"$set": {"sessions": {}}, "$inc": {"version": 1}}
    first = documents.update_one(condition, reset).matched_count
    second = documents.update_one(condition, reset).matched_count
    stored = documents.find_one({"_id": 1})
    return (first, second) == (1, 0) and stored == {**USER, "version": 1, "sessions": {}}


def simultaneous_updates(documents: Documents) -> bool:
    """Of simultaneous updates with the same condition, exactly one happens."""

    def update(version: int) -> int:
        condition = {"_id": 1, "version": version}
        return documents.update_one(condition, {"$inc": {"version": 1}}).matched_count

    with ThreadPoolExecutor(THREADS) as pool:
        matched = [sum(pool.map(update, [version] * THREADS)) for version in range(ROUNDS)]
    return matched == [1] * ROUNDS


def nested_update(documents: Documents) -> bool:
    """One update changes several nested fields and returns the new document."""
    update = {
        "$inc": {"sessions.a.generation": 1},
        "$set": {"sessions.a.replaced.g0": 1.5, "sessions.c": {"generation": 0}},
        "$unset": {"sessions.b": 1, "sessions.a.replaced.missing": 1},
    }
    sessions = {"a": {"generation": 1, "replaced": {"g0": 1.5}}, "c": {"generation": 0}}
    returned = documents.find_one_and_update(
        {"_id": 1, "sessions.a.generation": 0}, update, return_document=ReturnDocument.AFTER
    )
    return returned == documents.find_one({"_id": 1}) == {**USER, "sessions": sessions}


def nested_parents(documents: Documents) -> bool:
    """One update sets, increments and removes nested fields whose parents may be missing."""
    update = {
        "$set": {"factors.totp": {"step": 5}, "factors.codes": {}, "sessions": {}},
        "$inc": {"version": 1},
        "$unset": {"factors.pending": 1, "sessions_of_before": 1},
    }
    documents.update_one({"_id": 1}, update)
    documents.update_one(
        {"_id": 1}, {"$set": {"factors.pending": {"step": 0}, "factors.codes.a": 1}}
    )
    other_step = {"_id": 1, "factors.totp.step": {"$lt": 5}}
    absent = {"_id": 1, "factors.totp.step": {"$exists": False}}
    unmatched = [documents.update_one(it, update).matched_count for it in (other_step, absent)]
    documents.update_one({"_id": 1, "factors.codes.a": {"$exists": True}}, update)
    factors = {"totp": {"step": 5}, "codes": {}}
    changed = {"version": 2, "sessions": {}, "factors": factors}
    return unmatched == [0, 0] and documents.find_one({"_id": 1}) == {**USER, **changed}


def nested_limits(documents: Documents) -> bool:
    """A nested counter stops at its limit, and one that is missing is null in a condition."""
    begin = {"until": 9, "count": 1}
    condition = {"_id": 1, "tries.day.until": None, "tries.minute.until": None}
    tries: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (condition, {"$set": {"tries.day": begin}}),
        (condition, {"$set": {"tries.day": begin}}),
        (
            {**condition, "tries.day.until": 9, "tries.day.count": {"$lt": 3}},
            {"$inc": {"tries.day.count": 1}, "$set": {"tries.minute": begin}},
        ),
        ({"_id": 1, "tries.day.count": {"$lt": 2}}, {"$inc": {"tries.day.count": 1}}),
        ({"_id": 1, "tries.year.count": {"$lt": 2}}, {"$inc": {"tries.year.count": 1}}),
    ]
    matched = [documents.update_one(*one).matched_count for one in tries]
    stored = {"day": {"until": 9, "count": 2}, "minute": begin}
    return matched == [1, 0, 1, 0, 0] and documents.find_one({"_id": 1}) == {
        **USER,
        "tries": stored,
    }


def nested_condition(documents: Documents) -> bool:
    """A nested field can be a condition while its document is left out of the result."""
    condition = {"_id": 1, "email": USER["email"]}
    hidden = {"sessions": 0}
    found = documents.find_one({**condition, "sessions.a.generation": 0}, hidden)
    other = documents.find_one({**condition, "sessions.a.generation": 1}, hidden)
    return found == {**condition, "version": 0} and other is None


def claim(documents: Documents) -> bool:
    """A sorted find-and-update changes the first matching document and returns it."""
    times = {10: 4, 11: 3, 12: 5}
    documents.insert_many([{"_id": n, "state": "queued", "run_at": t} for n, t in times.items()])
    claimed = {"state": "queued", "run_at": 99.5, "attempts": 1}
    first, second, none = _claim(documents), _claim(documents), _claim(documents)
    return (first, second, none) == ({"_id": 11, **claimed}, {"_id": 10, **claimed}, None)


def lanes(documents: Documents) -> bool:
    """Values, and with null missing fields too, can be left out; one of several ids is claimed."""
    named = {10: "a", 11: "b", 12: None}
    documents.insert_many([{"_id": n, "run_at": 1, "lane": lane} for n, lane in named.items()])
    documents.insert_one({"_id": 13, "run_at": 1})
    for left_out, expected in (([], [10, 11, 12, 13]), (["a"], [11, 12, 13]), (["a", None], [11])):
        condition = {"run_at": {"$lte": 1}, "lane": {"$nin": left_out}}
        found = documents.find(condition, ["lane"], sort=[("run_at", 1)], limit=50)
        if sorted(document["_id"] for document in found) != expected:
            return False
    any_of = {"_id": {"$in": [13, 11]}, "run_at": {"$lte": 1}}
    claimed = documents.find_one_and_update(any_of, {"$set": {"run_at": 9}}, sort=[("_id", 1)])
    return (
        claimed is not None
        and claimed["_id"] == 11
        and documents.delete_many(any_of).deleted_count == 1
    )


def order_and_limit(documents: Documents) -> bool:
    """Documents after an id come in its order, up to a limit."""
    kinds = {6: "a", 3: "b", 5: "a", 4: "a"}
    documents.insert_many([{"_id": number, "kind": kind} for number, kind in kinds.items()])
    found = documents.find({"_id": {"$gt": 1}, "kind": {"$ne": "b"}}).sort("_id", 1).limit(2)
    return [document["_id"] for document in found] == [4, 5]


def search(documents: Documents) -> bool:
    """A search by regular expression and list element comes in the order of an index."""
    documents.create_index("name", unique=True)
    documents.create_index([("genres", 1), ("name", 1)])
    names = ["c (1)", "a (1)", "b", "d (1)"]
    documents.insert_many([{"name": name, "genres": ["Crime", "Drama"]} for name in names])
    documents.insert_one({"name": "aa (1)", "genres": ["War"]})
    query = {"name": {"$gt": "a", "$regex": r"\ \(1"}, "genres": "Drama"}
    found = documents.find(query).sort("name", 1).limit(2)
    return [document["name"] for document in found] == ["a (1)", "c (1)"]


def unordered_insert(documents: Documents) -> bool:
    """An unordered insert skips duplicates, inserts the others and counts them."""
    documents.create_index("email", unique=True)
    emails = ["b@example.com", USER["email"], "c@example.com", "b@example.com"]
    try:
        documents.insert_many([{"email": email} for email in emails], ordered=False)
    except BulkWriteError as error:
        return bool(error.details["nInserted"] == documents.count_documents({}) - 1 == 2)
    return False


def conditional_delete(documents: Documents) -> bool:
    """A conditional deletion happens once, and reports whether it did."""
    unmatched = documents.delete_many({"_id": 1, "version": 9}).deleted_count
    first = documents.delete_many({"_id": 1, "version": 0}).deleted_count
    second = documents.delete_many({"_id": 1, "version": 0}).deleted_count
    return (unmatched, first, second) == (0, 1, 0)


def find_and_delete(documents: Documents) -> bool:
    """A document is found and deleted once; null in a condition matches a missing field."""
    challenges = [
        {"_id": "a", "purpose": "login"},
        {"_id": "b", "purpose": "login", "user_id": "1"},
    ]
    documents.insert_many(challenges)

    def spend(text: str, user_id: str | None) -> dict[str, Any] | None:
        condition = {"_id": text, "purpose": "login", "user_id": user_id}
        return documents.find_one_and_delete(condition)

    tried = [("a", "1"), ("a", None), ("a", None), ("b", None), ("b", "1"), ("b", "1")]
    expected = [None, challenges[0], None, None, challenges[1], None]
    return [spend(*one) for one in tried] == expected and documents.count_documents({}) == 1


def upsert(documents: Documents) -> bool:
    """An upsert changes the document that matches, inserts one, or its id is a duplicate."""
    documents.insert_many([{"_id": 2, "owner": "a", "until": 5}, {"_id": 3, "owner": "b"}])

    def is_refused(number: int) -> bool:
        own, update = {"_id": number, "owner": "a"}, {"$max": {"until": 4}}
        return _is_duplicate(lambda: documents.update_one(own, update, upsert=True))

    refused = [is_refused(number) for number in (2, 3, 4)]
    stored = list(documents.find({"_id": {"$gt": 1}}, sort=[("_id", 1)]))
    expected = [
        {"_id": 2, "owner": "a", "until": 5},
        {"_id": 3, "owner": "b"},
        {"_id": 4, "owner": "a", "until": 4},
    ]
    return refused == [False, True, False] and stored == expected


CHECKS: tuple[Callable[[Documents], bool], ...] = (
    unique_index_on_insert,
    unique_index_on_update,
    conditional_update,
    simultaneous_updates,
    nested_update,
    nested_parents,
    nested_limits,
    nested_condition,
    claim,
    lanes,
    order_and_limit,
    search,
    unordered_insert,
    conditional_delete,
    find_and_delete,
    upsert,
)


def run_checks() -> list[str]:
    """Return a sentence for each check that the connected database fails."""
    try:
        for document in DOCUMENTS:
            ensure_indexes(document)
    except DATABASE_ERRORS as error:
        return [f"The indexes can't be created: {error}"]
    problems = [problem for check in CHECKS if (problem := run_check(check))]
    for document in DOCUMENTS:
        missing = document.compare_indexes()["missing"]
        problems += [f"{document.__name__} lacks the index {fields}." for fields in missing]
    return problems


def run_check(check: Callable[[Documents], bool]) -> str | None:
    """Return a sentence if the connected database fails a check."""
    documents = get_db()[f"compatibility_{secrets.token_hex(4)}"]
    try:
        documents.insert_one(dict(USER))
        return None if check(documents) else f"Failed: {check.__doc__}"
    except PyMongoError as error:
        return f"Failed: {check.__doc__} ({error})"
    finally:
        documents.drop()


def _is_duplicate(write: Callable[[], Any]) -> bool:
    try:
        write()
    except DuplicateKeyError:
        return True
    return False


def _claim(documents: Documents) -> dict[str, Any] | None:
    """Claim the first of the jobs that are due at 4.5."""
    return documents.find_one_and_update(
        {"state": "queued", "run_at": {"$lte": 4.5}},
        {"$set": {"run_at": 99.5}, "$inc": {"attempts": 1}},
        sort=[("run_at", 1)],
        return_document=ReturnDocument.AFTER,
    )
