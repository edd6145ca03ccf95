"""Every document class, and what belongs to a user: deletion goes through this one table."""

from dataclasses import dataclass

from mongoengine import Document

from database.models import Job, Movie, User
from database.sent_mail import SentMail

DOCUMENTS: tuple[type[Document], ...] = (User, Job, SentMail, Movie)


@dataclass(frozen=True)
class Ownership:
    """A document class whose `field` holds the `key` of the user that it belongs to."""

    document: type[Document]
    field: str
    key: str

    def delete_all(self, user: User, **condition: str) -> None:
        """Delete the documents of user that meet condition."""
        owner = {self.field: str(getattr(user, self.key))}
        self.document.objects(**owner, **condition).delete()


MOVIES = Ownership(Movie, "added_by", "id")
JOBS = Ownership(Job, "arguments__email", "email")
SENT_MAILS = Ownership(SentMail, "arguments__email", "email")
# Queued notices are sent even if their user is deleted; failed ones are deleted with the user.
NOTICES = Ownership(Job, "arguments__to", "email")
BELONGS_TO_USER = (MOVIES, JOBS, SENT_MAILS)
