"""Development's inbox: copies of the mails that were sent. In production none is kept."""

from bson import ObjectId
from flask import current_app

from config import DEVELOPMENT
from database.models import Mail
from services.mail_service import SUBJECTS

KEPT = 100
# Read so many at once: among them there are wishes that are for no mail, and copies to drop.
READ = 2 * KEPT


def is_open() -> bool:
    """Say whether copies are kept."""
    return bool(current_app.config["APP_ENV"] == DEVELOPMENT)


def newest() -> list[Mail]:
    """Return the newest mails, waiting, sent or given up, without what they say."""
    wishes = Mail.objects.exclude("text", "html").order_by("-id").limit(READ)
    return [wish for wish in wishes if wish.kind in SUBJECTS][:KEPT]


def find(mail_id: str) -> Mail | None:
    """Return the mail with that id."""
    mail: Mail | None = Mail.objects(id=mail_id).first() if ObjectId.is_valid(mail_id) else None
    return mail if mail and mail.kind in SUBJECTS else None


def prune() -> None:
    """Drop all copies but the newest."""
    sent = Mail.objects(state=Mail.SENT).only("id").order_by("-due_at").limit(READ)
    for copy in list(sent.as_pymongo())[KEPT:]:
        Mail.objects(id=copy["_id"]).delete()
