"""The jobs of kind send_email: how they are queued, and to whom each email goes."""

from bson import ObjectId

from database.models import Job, Stored, User
from jobs import queue

# The kind of job that mail_service.send_email handles.
SEND_EMAIL = "send_email"


def enqueue(mail: str, email: str) -> str:
    """Queue an email to the user who has this email when it is sent; return the job's id."""
    return queue.enqueue(SEND_EMAIL, _lane_of(email), mail=mail, email=email)


def find_unneeded(jobs: list[Stored]) -> set[ObjectId]:
    """Return the ids of the jobs whose email no user has."""
    emails = {job["_id"]: job["arguments"].get("email") for job in jobs}
    users = User.objects(email__in=[*emails.values()]).only("email").as_pymongo()
    known = {user["email"] for user in users} | {None}  # a notice carries its recipient
    return {job_id for job_id, email in emails.items() if email not in known}


def enqueue_notice(mail: str, user: User) -> str:
    """Queue an email to this user, even if the user is deleted meanwhile; return the job's id."""
    recipient = {"to": user.email, "name": user.name or ""}
    return queue.enqueue(SEND_EMAIL, _lane_of(user.email), mail=mail, **recipient)


def get_recipient(job: Job) -> User | None:
    """Return the user who has the email of a job, or the recipient that a notice carries."""
    if "to" in job.arguments:
        return User(email=job.arguments["to"], name=job.arguments["name"])
    return User.get_by_email(job.arguments["email"])


def is_orphan(job: Job) -> bool:
    """Return whether the recipient that a notice carries is no user any more."""
    return "to" in job.arguments and User.get_by_email(job.arguments["to"]) is None


def _lane_of(email: str) -> str:
    """Return the end of the domain: its owner may make any number of names below it."""
    return ".".join(email.rpartition("@")[2].split(".")[-2:])
