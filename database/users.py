"""Users as operators see them: found by what they are, changed, switched off and on again.

`disabled_at` is when an operator switched the account off. `invited_at` is when the user was
invited, until they accept: so long they have no password. `name_keys` has what follows each
beginning of a word of the name, to find a user by. `devices` is described in database/devices.py.
`sweep_at` is when the first of the sessions may have expired (services/session_sweep.py).
"""

import re
from typing import Any

from bson import ObjectId

from database.api_keys import NO_KEYS
from database.db import read_batches
from database.models import ADMIN, NO_SESSIONS, Stored, User

LAST_CHARACTER = "\U0010ffff"
# A user without the sessions, of which an access check alone needs one.
SESSIONS = "sessions"


def name_keys(name: str | None) -> list[str]:
    """Return what follows each beginning of a word of a name, in any case: what it is found by."""
    text = (name or "").casefold()
    return [text[word.start() :] for word in re.finditer(r"\w+", text)]


def set_name(user: User, name: str | None) -> None:
    """Store another name, or none."""
    User.objects(id=user.id).update_one(set__name=name, set__name_keys=name_keys(name))


def set_locale(user: User, locale: str | None) -> None:
    """Store another language of emails."""
    User.objects(id=user.id).update_one(set__locale=locale)


def set_role(user: User, role: str) -> bool:
    """Store another role; return whether the user still exists. API keys are of admins alone."""
    changes: Stored = {"role": role, **({} if role == ADMIN else NO_KEYS)}
    return bool(User.objects(id=user.id).update_one(__raw__={"$set": changes}))


def enable(user: User) -> bool:
    """Switch an account on again; return whether it was off.

    A process of an earlier version may have logged the user in meanwhile: no session stays.
    """
    is_off = User.objects(id=user.id, disabled_at__gt=0)
    return bool(is_off.update_one(unset__disabled_at=True, **NO_SESSIONS))


def revoke_sessions_of_everyone() -> None:
    """Remove every session of every user, and each change of an email that waits."""
    for batch in read_batches(User._get_collection(), ["_id"]):
        User.objects(id__in=[user["_id"] for user in batch]).update(**NO_SESSIONS)


def is_active_admin(user: User) -> bool:
    """Return whether a user is an admin who can log in."""
    return user.is_admin and not user.is_disabled and user.invited_at is None


def find_active_admins() -> Any:
    """Return the admins who can log in: neither disabled nor only invited."""
    return User.objects(role=ADMIN, disabled_at=None, invited_at=None)


def find_page(filters: Stored, limit: int, after: str | None) -> list[User]:
    """Return the first users by id that match, without their sessions."""
    following = {"_id": {"$gt": ObjectId(after)}} if after else {}
    users = User.objects(__raw__={**_condition(**filters), **following})
    return list(users.exclude(SESSIONS).order_by("id").limit(limit))


def _condition(
    email: str | None = None,
    role: str | None = None,
    disabled: bool | None = None,
    q: str | None = None,
) -> Stored:
    condition: Stored = {}
    if email is not None:
        condition["email"] = email
    if role is not None:
        condition["role"] = role
    if disabled is not None:
        condition["disabled_at"] = {"$gt": 0} if disabled else None
    if q is not None:
        beginning = q.casefold()
        begins = {"$gte": beginning, "$lt": beginning + LAST_CHARACTER}
        condition["$or"] = [{"email": begins}, {"name_keys": {"$elemMatch": begins}}]
    return condition


def read_session(user_id: str, session_id: str) -> tuple[Stored, Stored] | None:
    """Return of a user what verify needs, and one session, as stored; None if either is missing.

    It reads less than User.get_with_session and creates no document (docs/performance.md).
    """
    fields = ("email", "disabled_at", f"sessions.{session_id}")
    stored = User._get_collection().find_one({"_id": ObjectId(user_id)}, fields) or {}
    session = stored.get("sessions", {}).get(session_id)
    return (stored, session) if session else None
