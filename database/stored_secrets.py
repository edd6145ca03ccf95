"""The secrets of authenticator apps, which are stored encrypted: found by the key, replaced."""

from collections.abc import Iterable, Iterator

from bson import ObjectId
from pymongo import UpdateOne

from database.db import BATCH_SIZE, ensure_indexes
from database.factors import TOTP_TEXT
from database.models import Stored, User

PATH = "factors.totp.secret"
KEY = f"{PATH}.key"
# Not the nested field alone, which not every server returns nested.
FIELDS = ["factors"]


def key_ids_in_use() -> Iterator[str]:
    """Yield the id of each key that encrypts a secret: one read each, off the index."""
    ensure_indexes(User)
    key_id = ""
    users = User._get_collection()
    while user := users.find_one({KEY: {"$gt": key_id}}, FIELDS, sort=[(KEY, 1)]):
        key_id = _secret(user)["key"]
        yield key_id


def count_users(key_ids: Iterable[str], limit: int) -> int:
    """Return how many users have a secret under one of these keys, up to a limit."""
    return int(User._get_collection().count_documents({KEY: {"$in": [*key_ids]}}, limit=limit))


def find_batch(key_id: str, skipped: list[ObjectId]) -> dict[ObjectId, Stored]:
    """Return some of the secrets under a key by user, without users that are skipped."""
    query = {KEY: key_id, "_id": {"$nin": skipped}}
    found = User._get_collection().find(query, FIELDS, limit=BATCH_SIZE)
    return {user["_id"]: _secret(user) for user in found}


def replace(changes: dict[ObjectId, tuple[Stored, Stored]]) -> int:
    """Store each user's new secret, unless the old one is gone; return how many were stored."""
    updates = [
        UpdateOne({"_id": user_id, TOTP_TEXT: old["text"]}, {"$set": {PATH: new}})
        for user_id, (old, new) in changes.items()
    ]
    return int(User._get_collection().bulk_write(updates, ordered=False).modified_count)


def _secret(user: Stored) -> Stored:
    secret: Stored = user["factors"]["totp"]["secret"]
    return secret
