"""Kinds of foreign hashes that are stored: each check of a password takes as long as they do."""

import mongoengine as db

from database.models import META, User


class HashKind(db.Document):
    """A kind of hash of other systems, and the highest cost of those that are stored.

    infra/foreign_hashes.py says what that is. `foreign_kind` of a user is the `kind` of the hash.
    """

    kind: str = db.StringField(primary_key=True)
    cost: int = db.IntField(required=True)

    meta = META

    @classmethod
    def costs(cls) -> dict[str, int]:
        """Return the cost of each kind that is stored."""
        return {it["_id"]: it["cost"] for it in cls._get_collection().find()}

    @classmethod
    def note(cls, kind: str, cost: int) -> None:
        """Store that a hash of this kind and cost is stored, or is about to be."""
        cls._get_collection().update_one({"_id": kind}, {"$max": {"cost": cost}}, upsert=True)

    @classmethod
    def delete_unused(cls) -> None:
        """Delete the kinds of which no user has a hash any more."""
        for kind in cls.objects:
            if User.objects(foreign_kind=kind.kind).only("id").first() is None:
                kind.delete()
