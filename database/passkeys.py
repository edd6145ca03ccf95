"""Passkeys, and the challenges that a device signs to add one or to log in with one."""

import time
from collections.abc import Iterator

import mongoengine as db
from mongoengine import NotUniqueError

from database.db import ensure_indexes
from database.models import META, Stored, User


class Passkey(db.Document):
    """A key of a device, whose public half is stored.

    `sign_count` is the device's count of its uses; many count none and say 0. `version` is the
    user's password_version when it was added. `backed_up` says whether the key is on more devices.
    """

    user_id: str = db.StringField(required=True)
    credential_id: str = db.StringField(required=True)
    public_key: str = db.StringField(required=True)
    sign_count: int = db.IntField(default=0)
    transports: list[str] = db.ListField(db.StringField())
    name: str = db.StringField(required=True)
    created_at: float = db.FloatField(default=time.time)
    last_used_at: float | None = db.FloatField()
    backed_up: bool = db.BooleanField(default=False)
    version: int = db.IntField(default=0)

    meta = {**META, "indexes": [{"fields": ["credential_id"], "unique": True}, "user_id"]}

    def insert(self) -> bool:
        """Store it as a new one; return False if the device's key is stored already."""
        ensure_indexes(Passkey)
        try:
            self.save(force_insert=True)
        except NotUniqueError:
            return False
        return True

    @classmethod
    def find_all(cls, user: User) -> "Iterator[Passkey]":
        """Yield the passkeys of a user, oldest first."""
        yield from cls.objects(user_id=str(user.id)).order_by("created_at")

    @classmethod
    def find(cls, user: User, passkey_id: str) -> "Passkey | None":
        """Return the passkey of a user with this id."""
        passkey: Passkey | None = cls.objects(id=passkey_id, user_id=str(user.id)).first()
        return passkey

    @classmethod
    def count_of(cls, user: User) -> int:
        """Return how many passkeys a user has."""
        return int(cls.objects(user_id=str(user.id)).count())

    @classmethod
    def delete_added_after(cls, user: User, version: int) -> int:
        """Delete what a user added after this password_version; return how many it were."""
        return int(cls.objects(user_id=str(user.id), version__gt=version).delete())

    def use(self, sign_count: int, backed_up: bool) -> bool:
        """Store a use; return False, and change nothing, if the count has not risen.

        It has not if two devices have the key: one of them is a copy (WebAuthn §6.1.1).
        """
        lower = {"sign_count__lt": sign_count} if sign_count else {"sign_count": 0}
        update = {"sign_count": sign_count, "backed_up": backed_up, "last_used_at": time.time()}
        return bool(Passkey.objects(id=self.id, **lower).update_one(**update))

    def rename(self, name: str) -> bool:
        """Store another name; return whether the passkey still exists."""
        return bool(self.modify(name=name))

    def remove(self) -> bool:
        """Delete it; return whether this call did."""
        return bool(Passkey.objects(id=self.id).delete())


class Challenge(db.Document):
    """A random text that a device signs once; its id is the text, as base64url.

    Of a registration it belongs to a user. Spending it deletes it.
    """

    LOGIN = "login"
    REGISTER = "register"

    text: str = db.StringField(primary_key=True)
    purpose: str = db.StringField(required=True)
    user_id: str | None = db.StringField()
    expires_at: float = db.FloatField(required=True)

    meta = {**META, "indexes": ["user_id", "expires_at"]}

    @classmethod
    def insert(cls, text: str, purpose: str, user_id: str | None, expires_at: float) -> None:
        """Store a challenge, which only this user can spend if one is given."""
        ensure_indexes(cls)
        challenge = cls(text=text, purpose=purpose, user_id=user_id, expires_at=expires_at)
        challenge.save(force_insert=True)  # else it looks for another one first

    @classmethod
    def spend(cls, text: str, purpose: str, user_id: str | None) -> bool:
        """Delete a challenge; return whether it was there, for this purpose and user, in time."""
        own: Stored = {"_id": text, "purpose": purpose, "user_id": user_id}
        stored = cls._get_collection().find_one_and_delete(own)
        return bool(stored and stored["expires_at"] > time.time())

    @classmethod
    def delete_expired(cls) -> None:
        """Delete the challenges that nobody answered in time."""
        cls.objects(expires_at__lte=time.time()).delete()
