"""Sessions that have expired: found by `sweep_at`, the time at which the first of a user may have.

A login sets it to the expiry of its session unless it is earlier; a refresh does not move it.
"""

import time
from collections.abc import Iterable, Iterator

from database.models import Stored, User

BATCH_SIZE = 100
# Of one sweep, in which the worker sends no email for some seconds; the next one goes on.
MAX_BATCHES = 100


def find_due() -> Iterator[Stored]:
    """Yield some fields of each user of whom a session may have expired.

    Who gets another `sweep_at` before the next one is read does not come again.
    """
    for _ in range(MAX_BATCHES):
        due = User.objects(sweep_at__lte=time.time()).only("sessions", "logins", "sweep_at")
        batch = list(due.limit(BATCH_SIZE).as_pymongo())
        if not batch:
            return
        yield from batch


def remove_sessions(user: Stored, session_ids: Iterable[str], sweep_at: float | None) -> None:
    """Remove sessions of a user as find_due returned it, and store when to look again.

    Nothing happens if the user logged in or one of them was used meanwhile: they come again.
    """
    paths = [f"sessions.{session_id}" for session_id in session_ids]
    used = {f"{path}.last_used_at": _last_used(user, path) for path in paths}
    as_read = {"_id": user["_id"], "logins": user.get("logins"), **used}
    removed = dict.fromkeys(paths, 1)
    if sweep_at is None:
        update: Stored = {"$unset": {**removed, "sweep_at": 1}}
    else:
        update = {"$set": {"sweep_at": sweep_at}, **({"$unset": removed} if removed else {})}
    User.objects(__raw__=as_read).update_one(__raw__=update)


def _last_used(user: Stored, path: str) -> float:
    return float(user["sessions"][path.partition(".")[2]]["last_used_at"])
