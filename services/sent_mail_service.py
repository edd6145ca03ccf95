"""The emails of development's /dev/mail: copies of sent ones, and jobs that are not done yet."""

from bson import ObjectId

from database.models import Job
from database.sent_mail import KEPT, SentMail
from infra.mail_message import Message
from services.mail_queue import SEND_EMAIL


def keep(job: Job, message: Message) -> None:
    """Store a copy of an email that was sent, and delete the oldest."""
    copied = {"id": job.id, "arguments": job.arguments, "created_at": job.created_at}
    content = {"subject": message.subject, "text": message.body, "html": message.html}
    SentMail(**copied, **content).save()
    SentMail.prune()


def list_newest() -> list[Job | SentMail]:
    """Return the newest emails, each once: queued, failed or sent.

    The worker stores the copy of a sent email before it deletes the job.
    """
    jobs = Job.objects(kind=SEND_EMAIL).order_by("-id").limit(KEPT)
    copies = SentMail.objects.exclude("text", "html").order_by("-id").limit(KEPT)
    mails = {mail.id: mail for mail in (*jobs, *copies)}
    return [mails[mail_id] for mail_id in sorted(mails, reverse=True)[:KEPT]]


def find(mail_id: str) -> Job | SentMail | None:
    """Return the email with this id."""
    if not ObjectId.is_valid(mail_id):
        return None
    copy: SentMail | None = SentMail.objects(id=mail_id).first()
    return copy or Job.objects(id=mail_id, kind=SEND_EMAIL).first()
