"""The jobs of kind send_email: how they are queued, and what each sends to whom."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from bson import ObjectId

from database.due_jobs import delete_due
from database.models import Job, Stored, User
from infra import metrics
from jobs import queue
from jobs.errors import RetryLater
from services import event_service, rate_limit_service
from services.errors import TooManyRequestsError
from services.event_service import SUM_SECONDS, Event
from services.link_service import FOR_DISABLED
from services.mail_kinds import CONFIRM_EMAIL, MAILS, RESET_PASSWORD, Letter

# The kind of job that mail_service.send_email handles.
SEND_EMAIL = "send_email"
# The emails that anonymous requests ask for, whose jobs have the `ip` of the client.
REQUESTS = {
    RESET_PASSWORD: Event.PASSWORD_RESET_REQUESTED,
    CONFIRM_EMAIL: Event.CONFIRMATION_REQUESTED,
}


def enqueue(mail: str, email: str, **details: str) -> str:
    """Queue an email to the user who has this email when it is sent; return the job's id."""
    return queue.enqueue(SEND_EMAIL, _lane_of(email), mail=mail, email=email, **details)


def enqueue_to(user: User, mail: str, to: str = "", **details: str) -> str:
    """Queue an email of a user to an address, theirs if none is given; return the job's id.

    It is not sent if the user is deleted meanwhile.
    """
    email = to or user.email
    arguments = {"user_id": str(user.id), "to": email, **details}
    return queue.enqueue(SEND_EMAIL, _lane_of(email), mail=mail, **arguments)


def enqueue_at(run_at: float, user: User, mail: str, **details: str) -> str:
    """Queue an email of a user that is due at run_at; return the job's id."""
    arguments = {"mail": mail, "user_id": str(user.id), "to": user.email, **details}
    return Job.insert(SEND_EMAIL, arguments, run_at, _lane_of(user.email))


def enqueue_notice(mail: str, user: User) -> str:
    """Queue an email to this user, even if the user is deleted meanwhile; return the job's id."""
    name = user.name if user.is_verified else None
    return enqueue_to(user, mail, name=name or "", locale=user.locale or "")


def may_send(mail: str, email: str) -> bool:
    """Count an email that an anonymous request asks for; return whether it may be sent.

    The limit is that of reset links. Each kind counts by itself: otherwise the moment at which
    `forgot` is refused would tell what other requests did, and so whether there is an account.
    """
    try:
        rate_limit_service.hit("FORGOT_PER_EMAIL", f"{mail} {email}")
    except TooManyRequestsError:
        return False
    return True


def find_unneeded(jobs: list[Stored]) -> set[ObjectId]:
    """Return the ids of the jobs whose email no user has.

    Anonymous requests are stored and deleted here; each is of the one worker that deletes it.
    """
    emails = {job["_id"]: job["arguments"].get("email") for job in jobs}
    named = [email for email in emails.values() if email]
    users = User.objects(email__in=named).only("email").as_pymongo()
    known = {user["email"] for user in users} | {None}  # other jobs name the user by id
    unneeded = {job_id for job_id, email in emails.items() if email not in known}
    requests = [job for job in jobs if job["_id"] in unneeded and _event_of(job)]
    deleted = delete_due(job["_id"] for job in requests) if requests else 0
    metrics.JOBS.labels(SEND_EMAIL, metrics.DONE).inc(deleted)
    store_requests(requests[:deleted])
    return unneeded


def _event_of(job: Stored) -> Event | None:
    """Return the event of an anonymous request that asked for the email of a job."""
    arguments = job["arguments"]
    return REQUESTS.get(arguments["mail"]) if "ip" in arguments else None


def store_requests(jobs: Iterable[Stored]) -> None:
    """Store the anonymous requests among these jobs, as one event of each IP and hour."""
    requests: defaultdict[tuple[Event, str, int], list[float]] = defaultdict(list)
    for job in jobs:
        if event := _event_of(job):
            hour = int(job["created_at"] // SUM_SECONDS)
            requests[event, job["arguments"]["ip"], hour].append(job["created_at"])
    for (event, ip, _), times in requests.items():
        event_service.store({"event": event, "ip": ip, "at": min(times)}, len(times))


def find_letter(job: Job) -> Letter | None:
    """Return what a job sends to whom now; None if it is not needed any more.

    Raises:
        RetryLater: it is not known yet.
    """
    arguments = job.arguments
    if "name" in arguments:  # a notice carries its recipient
        return _letter_of_notice(arguments)
    by_id = arguments.get("user_id")
    user = User.get_by_id(by_id) if by_id else User.get_by_email(arguments["email"])
    kind = MAILS[arguments["mail"]]
    try:
        letter = user and kind.find_letter(arguments["mail"], arguments, user)
        return letter if letter and not _has_void_link(letter) else None
    except RetryLater:
        if job.age < queue.LEASE_SECONDS:
            raise
        return None  # the request that queued it crashed; another try queues an email of its own


def _has_void_link(letter: Letter) -> bool:
    """Return whether an email has a link that does not work, because the user is disabled."""
    link = MAILS[letter.mail].link
    return bool(link and letter.user.is_disabled and link.scope not in FOR_DISABLED)


def _letter_of_notice(arguments: Mapping[str, str]) -> Letter:
    user = User(email=arguments["to"], locale=arguments.get("locale"))
    return Letter(arguments["mail"], user, user.email, arguments["name"] or None)


def is_orphan(job: Job) -> bool:
    """Return whether the user whom a job names by address and id exists no more."""
    arguments = job.arguments
    if "user_id" in arguments:
        return User.get_by_id(arguments["user_id"]) is None
    return "to" in arguments and User.get_by_email(arguments["to"]) is None


def _lane_of(email: str) -> str:
    """Return the end of the domain: its owner may make any number of names below it."""
    return ".".join(email.rpartition("@")[2].split(".")[-2:])
