"""Emails that are verified, changed and restored: the updates of a user, and reserved emails.

`email_version` counts what voids a confirmation link, `verified_at` is when the email was proved
to be the user's, and `confirmed_token` the id of the token that did it. `pending_change` has the
`id` and the `email` of a change that waits for its confirmation. `former_emails` has the `email`
before each change that can be undone, `at`, when that was, and `version`, the password_version
before it, by the id of the change.
"""

import time
from collections.abc import Iterable, Iterator

import mongoengine as db
from pymongo.errors import DuplicateKeyError

from database.db import read_all
from database.models import META, User


class ReservedEmail(db.Document):
    """An email that no other user may take: its user may undo a change of it, or is taking it.

    Its id is the email, so that one user can have it reserved. No array in the user's document: a
    unique index over arrays is not reliable on every server.
    """

    email: str = db.StringField(primary_key=True)
    user_id: str = db.StringField(required=True)
    until: float = db.FloatField(required=True)

    meta = {**META, "indexes": ["user_id", "until"]}

    @classmethod
    def find_owner(cls, email: str, for_seconds: float = 0) -> str | None:
        """Return the id of the user for whom an email is reserved for longer, if it is."""
        reserved = cls.objects(email=email, until__gt=time.time() + for_seconds).first()
        return reserved and str(reserved.user_id)

    @classmethod
    def take(cls, email: str, user: User, seconds: float) -> bool:
        """Reserve an email unless it is reserved for another user; return whether it was."""
        for reserved in cls.objects(email=email, until__lte=time.time()):
            reserved.delete_expired()
        own = {"_id": email, "user_id": str(user.id)}
        update = {"$max": {"until": time.time() + seconds}}
        try:
            cls._get_collection().update_one(own, update, upsert=True)
        except DuplicateKeyError:  # it is there: for another user, or since just now for this one
            return bool(cls._get_collection().update_one(own, update).matched_count)
        return True

    @classmethod
    def keep(cls, user: User, until: float) -> None:
        """Reserve the email that a user has, even if another user is about to take it."""
        update = {"$set": {"user_id": str(user.id)}, "$max": {"until": until}}
        cls._get_collection().update_one({"_id": user.email}, update, upsert=True)

    @classmethod
    def release(cls, user: User, emails: Iterable[str]) -> None:
        """Let others take these emails of a user."""
        cls.objects(email__in=[*emails], user_id=str(user.id)).delete()

    @classmethod
    def find_expired(cls) -> "Iterator[ReservedEmail]":
        """Yield the emails that are not reserved any more."""
        yield from cls.objects(until__lte=time.time())

    def delete_expired(self) -> None:
        """Delete it, unless it was reserved again since it was read, and what it was kept for."""
        forget_former_email(self)
        ReservedEmail.objects(email=self.email, until=self.until).delete()


def find_unverified() -> Iterator[User]:
    """Yield every user whose email is not verified, with nothing but id and email."""
    for stored in read_all(User, "email", "verified_at"):
        if stored.get("verified_at") is None:
            yield User(id=stored["_id"], email=stored["email"])


def verify(user: User, token_id: str | None) -> bool:
    """Store that the email is the user's, unless it was verified or changed since it was read."""
    as_read = User.objects(id=user.id, email=user.email, verified_at=None)
    update = {"set__verified_at": time.time(), "set__confirmed_token": token_id}
    return bool(as_read.update_one(inc__email_version=1, **update))


def request_change(user: User, session_id: str, change: dict[str, str]) -> bool:
    """Store the change that waits, unless the session or the password was changed meanwhile.

    An empty one drops the change that waited before.
    """
    session = {f"sessions.{session_id}.generation": {"$exists": True}}
    condition = {"_id": user.id, "password_version": user.password_version, **session}
    update = {"$set": {"pending_change": change}}
    return bool(User.objects(__raw__=condition).update_one(__raw__=update))


def drop_change(user: User, change_id: str) -> bool:
    """Remove the change that waits, if it still is this one; return whether it was."""
    waiting = User.objects(id=user.id, pending_change__id=change_id)
    return bool(waiting.update_one(unset__pending_change=True))


def forget_former_email(reserved: ReservedEmail) -> None:
    """Remove the former emails of a user that were reserved by this, which has expired.

    A change since then reserved the email again: it can still be undone.
    """
    user = User.get_by_id(reserved.user_id)
    for change_id, former in (user.former_emails if user else {}).items():
        if former["email"] == reserved.email and former["at"] < reserved.until:
            field = f"former_emails.{change_id}"
            User.objects(id=reserved.user_id).update_one(__raw__={"$unset": {field: 1}})
