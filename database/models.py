"""What is stored.

Times are seconds since the epoch: a date that is changed with `$set` comes back from the
embedded database as a string.
"""

import time

from mongoengine import (
    Document,
    EmbeddedDocument,
    EmbeddedDocumentField,
    FloatField,
    IntField,
    MapField,
    StringField,
)


class Session(EmbeddedDocument):
    """One login and all that was refreshed from it; its key in User.sessions is its id.

    `generation` counts the refreshes. A token of another generation is dead. `rotated` says
    when each of the last few generations was replaced, for the grace period.
    """

    generation: int = IntField(default=0)
    created_at: float = FloatField(default=time.time)
    last_used_at: float = FloatField(default=time.time)
    user_agent: str = StringField()
    rotated: dict[str, float] = MapField(FloatField())

    meta = {"strict": False}


class User(Document):
    """An account with its sessions.

    They share a document, so that what must change together does, in one conditional update:
    a reset sets the hash, counts `password_version` up and empties `sessions`, or does nothing.
    """

    email: str = StringField(required=True)
    password: str = StringField(required=True)
    password_version: int = IntField(default=0)
    name: str | None = StringField()
    created_at: float = FloatField(default=time.time)
    sessions: dict[str, Session] = MapField(EmbeddedDocumentField(Session))

    meta = {
        "strict": False,
        "auto_create_index": False,
        "indexes": [{"fields": ["email"], "unique": True}],
    }


class Mail(Document):
    """A wish for a mail, in the outbox. Who it goes to and what it says is found when it is sent.

    It is due at `due_at`; a claim moves that ahead, so that a claim which is not kept lapses.
    """

    WAITING = "waiting"
    GIVEN_UP = "given_up"

    kind: str = StringField(required=True)
    email: str = StringField(required=True)
    state: str = StringField(default=WAITING)
    created_at: float = FloatField(required=True)
    due_at: float = FloatField(required=True)
    attempts: int = IntField(default=0)
    last_error: str | None = StringField()

    meta = {"strict": False, "auto_create_index": False, "indexes": [("state", "due_at")]}


DOCUMENTS = (User, Mail)
