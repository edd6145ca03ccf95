"""Every document class, and what belongs to a user: deletion goes through this one table."""

from dataclasses import dataclass
from typing import Any

from mongoengine import Document

from database.emails import ReservedEmail
from database.events import StoredEvent
from database.hash_kinds import HashKind
from database.models import Job, Movie, User
from database.passkeys import Challenge, Passkey
from database.sent_mail import SentMail

DOCUMENTS: tuple[type[Document], ...] = (
    User,
    HashKind,
    ReservedEmail,
    Passkey,
    Challenge,
    StoredEvent,
    Job,
    SentMail,
    Movie,
)


@dataclass(frozen=True)
class Ownership:
    """A document class whose `field` holds the `key` of the user that it belongs to."""

    document: type[Document]
    field: str
    key: str

    def find_all(self, user: User, **condition: Any) -> Any:
        """Return a queryset of the documents of user that meet condition."""
        owner = {self.field: str(getattr(user, self.key))}
        return self.document.objects(**owner, **condition)

    def delete_all(self, user: User, **condition: Any) -> None:
        """Delete the documents of user that meet condition, but what outlives the user."""
        kept = {"outlives_user": None} if self.document is StoredEvent else {}
        self.find_all(user, **condition, **kept).delete()


MOVIES = Ownership(Movie, "added_by", "id")
JOBS = Ownership(Job, "arguments__email", "email")
SENT_MAILS = Ownership(SentMail, "arguments__email", "email")
RESERVED_EMAILS = Ownership(ReservedEmail, "user_id", "id")
PASSKEYS = Ownership(Passkey, "user_id", "id")
CHALLENGES = Ownership(Challenge, "user_id", "id")
EVENTS = Ownership(StoredEvent, "user_id", "id")
# Queued notices are sent even if their user is deleted, other jobs that name the user are not;
# failed ones are deleted with the user.
JOBS_BY_ID = Ownership(Job, "arguments__user_id", "id")
NOTICES = Ownership(Job, "arguments__to", "email")  # as an earlier version stored them
SENT_MAILS_BY_ID = Ownership(SentMail, "arguments__user_id", "id")
BELONGS_TO_USER = (
    MOVIES,
    JOBS,
    SENT_MAILS,
    SENT_MAILS_BY_ID,
    RESERVED_EMAILS,
    PASSKEYS,
    CHALLENGES,
    EVENTS,
)
# What other requests may still add while a user is deleted: a job deletes it once more.
ADDED_MEANWHILE = (MOVIES, RESERVED_EMAILS, PASSKEYS, CHALLENGES, EVENTS)
