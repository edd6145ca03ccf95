"""What is stored.

Times are seconds since the epoch: a date that is changed with `$set` comes back from the
embedded database as a string.
"""

import time
from typing import Any

import mongoengine as db


def exactly(text: str) -> dict[str, Any]:
    """Return the condition that a field is, or its list holds, a text that somebody chose.

    Compared in any other way, the embedded database takes 2012-05-05@example.com for a date.
    """
    return {"$all": [text]}


ROLES = USER, ADMIN = "user", "admin"


class Session(db.EmbeddedDocument):
    """One login and all that was refreshed from it; its key in User.sessions is its id.

    `generation` counts the refreshes. A token of another generation is dead. `rotated` says
    when each of the last few generations was replaced, for the grace period.
    """

    generation: int = db.IntField(default=0)
    created_at: float = db.FloatField(default=time.time)
    last_used_at: float = db.FloatField(default=time.time)
    user_agent: str = db.StringField(default="")
    rotated: dict[str, float] = db.MapField(db.FloatField())

    meta = {"strict": False}


class User(db.Document):
    """An account with its sessions.

    They share a document, so that what must change together does, in one conditional update:
    a reset sets the hash, counts `password_version` up and empties `sessions`, or does nothing.
    `logins` counts up with each new session, so that two at once see each other.
    """

    email: str = db.StringField(required=True)
    password: str = db.StringField(required=True)
    password_version: int = db.IntField(default=0)
    name: str | None = db.StringField()
    role: str = db.StringField(default=USER)
    created_at: float = db.FloatField(default=time.time)
    logins: int = db.IntField(default=0)
    sessions: dict[str, Session] = db.MapField(db.EmbeddedDocumentField(Session))

    meta = {
        "strict": False,
        "auto_create_index": False,
        "indexes": [{"fields": ["email"], "unique": True}, "role"],
    }

    @classmethod
    def with_email(cls, email: str) -> "User | None":
        """Return the user with that address, without the sessions."""
        stored = cls._get_collection().find_one({"email": exactly(email)}, {"sessions": 0})
        user: User | None = stored and cls._from_son(stored)
        return user

    @property
    def is_admin(self) -> bool:
        """Say whether the user looks after others."""
        return self.role == ADMIN


class Mail(db.Document):
    """A wish for a mail, in the outbox. Who it goes to and what it says is found when it is sent.

    It is due at `due_at`; a claim moves that ahead, so that a claim which is not kept lapses.
    Once sent it goes; in development it stays, sent at `due_at`, with a copy of what it said.
    """

    WAITING = "waiting"
    GIVEN_UP = "given_up"
    SENT = "sent"

    kind: str = db.StringField(required=True)
    email: str = db.StringField(required=True)
    state: str = db.StringField(default=WAITING)
    created_at: float = db.FloatField(required=True)
    due_at: float = db.FloatField(required=True)
    attempts: int = db.IntField(default=0)
    last_error: str | None = db.StringField()
    text: str | None = db.StringField()
    html: str | None = db.StringField()

    meta = {
        "strict": False,
        "auto_create_index": False,
        "indexes": [("state", "due_at"), "created_at"],
    }


class Movie(db.Document):
    """A movie in the bag. `added_by` is its owner's id in hex: so every server can match it.

    `key` is the name behind a sign that keeps it a text in every comparison (see exactly);
    `folded` is the name in no case, to search in.
    database.db makes one more index, on genres and key, where the server can use it.
    """

    name: str = db.StringField(required=True)
    key: str = db.StringField(required=True)
    folded: str = db.StringField(required=True)
    casts: list[str] = db.ListField(db.StringField())
    genres: list[str] = db.ListField(db.StringField())
    added_by: str = db.StringField(required=True)

    meta = {
        "strict": False,
        "auto_create_index": False,
        "indexes": [
            {"fields": ["key"], "unique": True},
            ("key", "folded"),
            "added_by",
        ],
    }


DOCUMENTS = (User, Mail, Movie)
