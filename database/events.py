"""The security events that are kept, to be read by users and operators."""

import time

import mongoengine as db
from bson import ObjectId
from mongoengine import Document
from pymongo.errors import DuplicateKeyError

from database.db import ensure_indexes
from database.models import META, Stored

SECONDS_PER_DAY = 86400


class StoredEvent(Document):
    """What happened to an account, once, or `count` times since `at`.

    `user_id` is whom it happened to, `by` another user who did it, or "shell". `key` is what
    several have in common that are counted in one document. `outlives_user` is set on the event
    that remains of a deleted user.
    """

    event: str = db.StringField(required=True)
    user_id: str | None = db.StringField()
    by: str | None = db.StringField()
    ip: str | None = db.StringField()
    at: float = db.FloatField(default=time.time)
    count: int = db.IntField(default=1)
    key: str | None = db.StringField()
    outlives_user: bool | None = db.BooleanField()

    meta = {
        **META,
        "indexes": [
            ("user_id", "id"),
            ("event", "id"),
            "at",
            {"fields": ["key"], "unique": True, "sparse": True},
        ],
    }

    @classmethod
    def insert(cls, fields: Stored) -> None:
        """Store an event; fields without a value are left out."""
        ensure_indexes(cls)
        cls._get_collection().insert_one(_to_store(fields))

    @classmethod
    def add(cls, key: str, fields: Stored, number: int = 1) -> None:
        """Store an event, or add to the count of the one with this key."""
        ensure_indexes(cls)  # the unique key lets one of two inserts at once succeed
        update = {"$inc": {"count": number}, "$setOnInsert": _to_store(fields)}
        try:
            cls._get_collection().update_one({"key": key}, update, upsert=True)
        except DuplicateKeyError:  # another process has just inserted it
            cls._get_collection().update_one({"key": key}, {"$inc": {"count": number}})

    @classmethod
    def find_page(cls, filters: Stored, limit: int, after: str | None) -> "list[StoredEvent]":
        """Return the newest events that match, older than `after`."""
        earlier = {"id__lt": ObjectId(after)} if after else {}
        return list(cls.objects(**filters, **earlier).order_by("-id").limit(limit))

    @classmethod
    def delete_older(cls, days: int) -> None:
        """Delete the events that are older than so many days."""
        cls.objects(at__lt=time.time() - days * SECONDS_PER_DAY).delete()


def _to_store(fields: Stored) -> Stored:
    """Return an event as it is stored; its id begins with its time, so that ids are in its order.

    A job stores some events later than they happened.
    """
    id_ = ObjectId(int(fields["at"]).to_bytes(4, "big") + ObjectId().binary[4:])
    return {"_id": id_, **{name: it for name, it in fields.items() if it}}
