"""Copies of the emails that were sent, for development's /dev/mail. Production keeps none."""

import time

import mongoengine as db

from database.models import META

KEPT = 100


class SentMail(db.Document):
    """A copy of an email that was sent; id, arguments and created_at are those of its job."""

    arguments: dict[str, str] = db.DictField()
    created_at: float = db.FloatField(required=True)
    sent_at: float = db.FloatField(default=time.time)
    subject: str = db.StringField()
    text: str = db.StringField()
    html: str = db.StringField()

    meta = META
    state = "sent"

    @classmethod
    def prune(cls) -> None:
        """Delete all copies except the newest."""
        for copy in cls.objects.only("id").order_by("-sent_at").skip(KEPT):
            copy.delete()
