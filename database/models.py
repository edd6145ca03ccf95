"""The documents that are stored, and every atomic update of them as a named method.

Two conventions make them work on every MongoDB-compatible server: times are seconds since the
epoch, and references to other documents are ids as 24 hex digits.

Some methods use pymongo directly, because a mongoengine queryset costs 150 µs per document: a
tenth of a request that is made often (docs/performance.md).
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import mongoengine as db
from bson import ObjectId
from pymongo import ReturnDocument

from database.db import insert_missing, rare

USER = "user"
ADMIN = "admin"
ROLES = (USER, ADMIN)
# For how many generations a session remembers how each was replaced.
REMEMBERED_GENERATIONS = 8
# Unknown fields, of a later version, are ignored; database.db.ensure_indexes creates the indexes.
META = {"strict": False, "auto_create_index": False}

# A document, a part of one or an update, as pymongo takes and returns them: plain dicts.
Stored = dict[str, Any]

NO_SESSIONS: Stored = {"set__sessions": {}, "unset__pending_change": True}
# What a response with tokens says of a user.
IN_TOKENS = ("email", "role", "verified_at")


class Session(db.EmbeddedDocument):
    """One login and its refreshes; its key in User.sessions is its id.

    `generation` counts its pairs of tokens; services/session_grace.py decides about earlier ones.
    `rotated` has the time at which each of the last few generations was refreshed, `refreshed_by`
    the client that did it, under keys like g7: a bare 7 in a path could mean a place in a list.
    `without_grace` lists the generations that a change of the password, or a reauthentication,
    replaced. `auth_time` is when the user last proved who they are, `amr` by what (RFC 8176).
    `ip` is that of the login or of the last refresh. `uses_cookie` is set where the client is a
    browser that keeps the refresh token in a cookie.
    """

    generation: int = db.IntField(default=0)
    created_at: float = db.FloatField(default=time.time)
    last_used_at: float = db.FloatField(default=time.time)
    user_agent: str = db.StringField(default="")
    ip: str = db.StringField(default="")
    rotated: dict[str, float] = db.MapField(db.FloatField())
    refreshed_by: dict[str, dict[str, str]] = db.MapField(db.DictField())
    without_grace: list[int] = db.ListField(db.IntField())
    auth_time: int = db.IntField(default=lambda: int(time.time()))
    amr: list[str] = db.ListField(db.StringField())
    uses_cookie: bool | None = db.BooleanField()

    meta = {"strict": False}


class User(db.Document):
    """An account with its sessions.

    They share a document, so that what must change together changes in one conditional update: a
    password reset sets the hash, increments `password_version` and empties `sessions`, or does
    nothing. `logins` counts the sessions ever created: the version that add_session checks.
    What the fields from `email_version` to `former_emails` mean is in database/emails.py,
    `factors` in database/factors.py, `api_keys` in database/api_keys.py, those from `disabled_at`
    on in database/users.py.
    """

    email: str = db.StringField(required=True)
    email_version: int = db.IntField(default=0)
    verified_at: float | None = db.FloatField()
    confirmed_token: str | None = db.StringField()
    pending_change: dict[str, str] = db.DictField()
    former_emails: dict[str, Stored] = db.MapField(db.DictField())
    password: str = db.StringField(required=True)
    password_version: int = db.IntField(default=0)
    name: str | None = db.StringField()
    locale: str | None = db.StringField()
    factors: dict[str, Stored] = db.DictField()
    role: str = db.StringField(default=USER)
    created_at: float = db.FloatField(default=time.time)
    logins: int = db.IntField(default=0)
    sessions: dict[str, Session] = db.MapField(db.EmbeddedDocumentField(Session))
    disabled_at: float | None = db.FloatField()
    invited_at: float | None = db.FloatField()
    name_keys: list[str] = db.ListField(db.StringField())
    devices: Stored = db.DictField()
    sweep_at: float | None = db.FloatField()
    foreign_kind: str | None = db.StringField()
    api_keys: dict[str, Stored] = db.MapField(db.DictField())

    meta = {
        **META,
        "indexes": [
            {"fields": ["email"], "unique": True},
            ("role", "id"),
            "name_keys",
            *rare("factors.totp.secret.key", "disabled_at", "sweep_at", "foreign_kind", "password"),
        ],
    }

    @property
    def is_admin(self) -> bool:
        """Return whether the user may manage other users."""
        return self.role == ADMIN

    @property
    def is_verified(self) -> bool:
        """Return whether the user has proved that the email is theirs."""
        return self.verified_at is not None

    @property
    def is_disabled(self) -> bool:
        """Return whether an operator has switched the account off."""
        return self.disabled_at is not None

    @property
    def has_totp(self) -> bool:
        """Return whether a login asks for a code besides the password."""
        return bool(self.factors.get("totp"))

    @classmethod
    def get_by_id(cls, user_id: object) -> "User | None":
        """Return the user with this id, without the sessions."""
        user: User | None = cls.objects(id=user_id).exclude("sessions").first()
        return user

    @classmethod
    def get_by_email(cls, email: str) -> "User | None":
        """Return the user with this email, without the sessions."""
        stored = cls._get_collection().find_one({"email": email}, {"sessions": 0})
        return cls._from_stored(stored) if stored else None

    @classmethod
    def get_with_session(cls, user_id: str, session_id: str) -> "tuple[User, Stored] | None":
        """Return a user and one session as stored, in one read; None if either is missing."""
        stored = cls._get_collection().find_one({"_id": ObjectId(user_id)})
        return cls._with_session(stored or {}, session_id)

    @classmethod
    def _with_session(cls, stored: Stored, session_id: str) -> "tuple[User, Stored] | None":
        session = stored.get("sessions", {}).get(session_id)
        return (cls._from_stored(stored), session) if session else None

    @classmethod
    def _from_stored(cls, stored: Stored) -> "User":
        stored.pop("sessions", None)  # mongoengine would build a document for each
        user: User = cls._from_son(stored)
        return user

    def read_sessions(self) -> dict[str, Stored] | None:
        """Return the sessions as stored, by id, and update `logins`, which add_session checks.

        Return None if the user was deleted or the password was changed since the user was read.
        """
        as_read = User.objects(id=self.id, password_version=self.password_version)
        stored = as_read.only("sessions", "logins").as_pymongo().first()
        if stored is None:
            return None
        self.logins = stored.get("logins", 0)
        sessions: dict[str, Stored] = stored.get("sessions", {})
        return sessions

    def add_session(
        self, session_id: str, session: Session, evict: Iterable[str], sweep_at: float
    ) -> bool:
        """Add a session that expires at sweep_at or later, and remove others; return whether.

        It is not if the user changed the password or logged in elsewhere since read_sessions.
        """
        update: Stored = {
            "$set": {f"sessions.{session_id}": session.to_mongo()},
            "$inc": {"logins": 1},
            "$min": {"sweep_at": sweep_at},
        }
        if removed := {f"sessions.{evicted}": 1 for evicted in evict}:
            update["$unset"] = removed
        as_read = {"password_version": self.password_version, "logins": self.logins}
        return bool(User.objects(id=self.id, **as_read).update_one(__raw__=update))

    @classmethod
    def refresh_session(
        cls, user_id: str, session_id: str, generation: int, client: Stored, created_since: float
    ) -> "tuple[User, Stored] | None":
        """Increment the generation of a session; return what tokens say of its user, and it.

        Return None, and change nothing, unless the session is at this generation and not older. It
        remembers when and by which client its last few generations were replaced.
        """
        session, now = f"sessions.{session_id}", time.time()
        key, oldest = f"g{generation}", f"g{generation - REMEMBERED_GENERATIONS}"
        update = {
            "$inc": {f"{session}.generation": 1},
            "$set": {
                f"{session}.last_used_at": now,
                f"{session}.ip": client["ip"],
                f"{session}.rotated.{key}": now,
                f"{session}.refreshed_by.{key}": client,
            },
            "$unset": {f"{session}.rotated.{oldest}": 1, f"{session}.refreshed_by.{oldest}": 1},
        }
        condition = {
            "_id": ObjectId(user_id),
            "disabled_at": None,
            f"{session}.generation": generation,
            f"{session}.created_at": {"$gte": created_since},
        }
        stored = cls._get_collection().find_one_and_update(
            condition, update, [*IN_TOKENS, session], return_document=ReturnDocument.AFTER
        )
        return cls._with_session(stored or {}, session_id)

    def replace_session(self, session_id: str, former: Stored, session: Stored) -> bool:
        """Store a session instead of the one that was read; return whether that was still there.

        It is not if the session was refreshed or revoked, or the password changed, meanwhile.
        """
        path, as_read = f"sessions.{session_id}", {"password_version": self.password_version}
        condition = {"_id": self.id, **as_read, f"{path}.generation": former["generation"]}
        return bool(User.objects(__raw__=condition).update_one(__raw__={"$set": {path: session}}))

    @classmethod
    def revoke_session(cls, user_id: object, session_id: str) -> bool:
        """Remove a session; return whether it was there."""
        session = f"sessions.{session_id}"
        condition = {"_id": ObjectId(str(user_id)), f"{session}.generation": {"$exists": True}}
        return bool(cls.objects(__raw__=condition).update_one(__raw__={"$unset": {session: 1}}))

    @classmethod
    def revoke_all_sessions(cls, user_id: object) -> None:
        """Remove every session of a user, and a change of the email that waits."""
        cls.objects(id=user_id).update_one(**NO_SESSIONS)

    def change_credentials(
        self, changes: Stored, only_if: Stored, keep_sessions: Mapping[str, Stored] | None
    ) -> bool:
        """Set credentials, increment their versions and revoke sessions, or do nothing.

        Nothing happens unless password_version is as it was read and `only_if` matches. Mailed
        links carry a version or the id of a change that waits, so they are void afterwards, and so
        is a second factor that is being added. None keeps every session. Return whether it
        happened.
        """
        condition = {"_id": self.id, "password_version": self.password_version, **only_if}
        sessions = {} if keep_sessions is None else {"sessions": dict(keep_sessions)}
        of_password = {"foreign_kind": 1, "invited_at": 1} if "password" in changes else {}
        update = {
            "$set": {**changes, **sessions},
            "$inc": {"password_version": 1, "email_version": 1},
            "$unset": {"pending_change": 1, "factors.pending_totp": 1, **of_password},
        }
        return bool(User.objects(__raw__=condition).update_one(__raw__=update))

    def replace_hash(self, new_hash: str) -> None:
        """Store another hash of the same password, unless the stored one has changed meanwhile."""
        as_read = User.objects(id=self.id, password=self.password)
        as_read.update_one(set__password=new_hash, unset__foreign_kind=True)


class Job(db.Document):
    """Something to do in the background: a row of the job queue.

    It is due at `run_at`. Claiming it moves `run_at` ahead, which leases the job: if the worker
    crashes, the lease expires and the job is due again. `attempts` counts the claims and so is
    the fencing token: who holds an older one can't change the job. Jobs of one `lane` have one
    destination. `waits_for_service` says whether the last attempt failed because all jobs do.
    The jobs of each `queue` have a thread of their own; most have the one of jobs without a queue.
    """

    QUEUED = "queued"
    FAILED = "failed"

    kind: str = db.StringField(required=True)
    arguments: dict[str, str] = db.DictField()
    state: str = db.StringField(default=QUEUED)
    created_at: float = db.FloatField(required=True)
    run_at: float = db.FloatField(required=True)
    attempts: int = db.IntField(default=0)
    last_error: str | None = db.StringField()
    queue: str | None = db.StringField()
    lane: str | None = db.StringField()
    waits_for_service: bool = db.BooleanField(default=False)
    # The time.monotonic() at which this process renewed the lease; not stored.
    resumed_at = 0.0

    meta = {
        **META,
        "indexes": [
            ("queue", "state", "run_at", "lane"),
            ("state", "kind", "created_at"),
            ("waits_for_service", "created_at"),
            *rare("arguments.email", "arguments.user_id", "arguments.to"),
        ],
    }

    @classmethod
    def insert(
        cls,
        kind: str,
        arguments: Mapping[str, str],
        run_at: float,
        lane: str | None = None,
        queue: str | None = None,
    ) -> str:
        """Store a job that is due at run_at and return its id."""
        job = {"kind": kind, "arguments": dict(arguments), "state": cls.QUEUED, "attempts": 0}
        job |= {"created_at": run_at, "run_at": run_at, "lane": lane}
        job |= {"queue": queue} if queue else {}
        return str(cls._get_collection().insert_one(job).inserted_id)

    @classmethod
    def claim(cls, job_ids: Iterable[ObjectId], lease_seconds: float) -> "Job | None":
        """Lease the oldest of these jobs that are due; None if none is."""
        now = time.time()
        stored = cls._get_collection().find_one_and_update(
            {"_id": {"$in": [*job_ids]}, "state": cls.QUEUED, "run_at": {"$lte": now}},
            {"$set": {"run_at": now + lease_seconds}, "$inc": {"attempts": 1}},
            sort=[("_id", 1)],
            return_document=ReturnDocument.AFTER,
        )
        job: Job | None = stored and cls._from_son(stored)
        return job

    @property
    def age(self) -> float:
        """Return the seconds since the job was enqueued."""
        return time.time() - self.created_at

    def update_claimed(self, **update: Any) -> bool:
        """Change the job unless another worker has claimed it; return whether it was changed."""
        return bool(Job.objects(id=self.id, attempts=self.attempts).update_one(**update))

    def delete_claimed(self) -> bool:
        """Delete the job unless another worker has claimed it; return whether it was deleted."""
        claimed = {"_id": self.id, "attempts": self.attempts}
        return bool(self._get_collection().delete_one(claimed).deleted_count)


class Movie(db.Document):
    """A movie in the bag. `added_by` is its owner's id, `name_casefold` is there to search in."""

    name: str = db.StringField(required=True)
    name_casefold: str = db.StringField(required=True)
    casts: list[str] = db.ListField(db.StringField())
    genres: list[str] = db.ListField(db.StringField())
    added_by: str = db.StringField(required=True)

    meta = {
        **META,
        "indexes": [
            {"fields": ["name"], "unique": True},
            ("name", "name_casefold"),
            ("genres", "name"),
            "added_by",
        ],
    }

    @classmethod
    def find_page(cls, query: Stored, limit: int) -> Iterator[Stored]:
        """Yield the first movies by name that match, as stored."""
        # Who stops early has read at most a batch too much: 64 movies of the largest size are 4 MB.
        yield from cls._get_collection().find(query, sort=[("name", 1)], limit=limit, batch_size=64)

    @classmethod
    def insert_new(cls, movies: list[Stored]) -> int:
        """Insert the movies whose names are not taken; return the number inserted."""
        return insert_missing(cls._get_collection(), movies)
