"""Wrong codes of a user: counted in the user's document, across tokens, processes and restarts.

Six digits can be guessed, so RATELIMIT_MFA_PER_USER limits the tries. The update that accepts a
code and the one that counts a wrong one have the same condition: that the limits have room. So of
any number of simultaneous guesses no more are looked at than the limits allow.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from flask import current_app
from limits import parse_many

from database import factors
from database.models import Stored, User
from services import errors
from services.link_service import find_user

# How often a request reads a user again whom other requests have changed since.
ATTEMPTS = 20

# Uses up a code if a condition holds, and returns whether it did. FindUse looks at a user as just
# read: it returns that function, or None for a wrong code.
Use = Callable[[Stored], bool]
FindUse = Callable[[User], Use | None]


class Room(NamedTuple):
    """Room for one more try: the condition that there is, and the update that counts the try."""

    condition: Stored
    update: Stored


def try_code(user: User, find_use: FindUse, only_if: Stored | None = None) -> bool:
    """Use up what find_use finds for a user, or count a wrong try; return whether it was right.

    Either needs that `only_if` still matches the user.

    Raises:
        TooManyRequestsError: there were too many wrong tries.
        BadTokenError: the user was deleted.
        ConflictError: the user is changed again and again.
    """
    for _ in range(ATTEMPTS):
        room, use = _find_room(user), find_use(user)
        condition = {**room.condition, **(only_if or {})}
        if use and use(condition):
            return True
        if use is None and (not room.update or factors.count_try(user, condition, room.update)):
            return False
        user = find_user(user.id)  # it was changed since it was read
    raise errors.ConflictError


def _find_room(user: User) -> Room:
    """Return the room of a user as it was read; raises TooManyRequestsError if there is none."""
    config, now = current_app.config, time.time()
    room = Room({}, {})
    limits = parse_many(config["RATELIMIT_MFA_PER_USER"]) if config["RATELIMIT_ENABLED"] else []
    for limit in limits:
        seconds = limit.get_expiry()
        key = f"{limit.amount}_{seconds}"
        path = f"factors.tries.{key}"
        window = user.factors.get("tries", {}).get(key, {})
        room.condition[f"{path}.until"] = window.get("until")
        if window.get("until", 0) <= now:
            room.update.setdefault("$set", {})[path] = {"until": now + seconds, "count": 1}
        elif window["count"] < limit.amount:
            room.condition[f"{path}.count"] = {"$lt": limit.amount}
            room.update.setdefault("$inc", {})[f"{path}.count"] = 1
        else:
            left = int(window["until"] - now) + 1
            raise errors.TooManyRequestsError(left, "MFA_PER_USER", str(user.id))
    return room
