"""The second factor of a user: what the field `factors` holds, and each update of it.

`totp` has the encrypted `secret` of an authenticator app, the time `step` of the last code that was
used, and `version`, the user's password_version when it was added. `pending_totp` is one that is
being added, with the `session_id` that may confirm it. `recovery_codes` has such a version of each
by its digest. `tries` counts wrong codes (services/code_tries.py).
"""

from typing import Any

from database.models import Stored, User
from database.passkeys import Passkey

# What change_credentials sets to remove it.
NO_FACTOR: Stored = {"factors.totp": {}, "factors.recovery_codes": {}}
TOTP_TEXT = "factors.totp.secret.text"


def describe_factors(user: User) -> Stored:
    """Return which ways to log in a user has besides the password."""
    return {
        "totp": user.has_totp,
        "passkeys": Passkey.count_of(user),
        "recovery_codes_left": len(user.factors.get("recovery_codes", {})),
    }


def added_later(user: User, version: int) -> Stored:
    """Return what change_credentials sets to remove what was added after this password_version."""
    if user.has_totp and user.factors["totp"]["version"] > version:
        return NO_FACTOR
    # They are made together: none is left if one is later.
    is_later = any(it > version for it in user.factors.get("recovery_codes", {}).values())
    return {"factors.recovery_codes": {}} if is_later else {}


def store_pending_totp(user: User, session_id: str, pending: Stored) -> bool:
    """Store a second factor that is being added; return whether it was.

    It is not if there is one already, or the session or the password was changed meanwhile.
    """
    condition = {
        "_id": user.id,
        "password_version": user.password_version,
        f"sessions.{session_id}.generation": {"$exists": True},
        TOTP_TEXT: {"$exists": False},
    }
    update = {"$set": {"factors.pending_totp": {**pending, "session_id": session_id}}}
    return bool(User.objects(__raw__=condition).update_one(__raw__=update))


def use_code(user: User, step: int, only_if: Stored, **counters: int) -> bool:
    """Store the time step of a code and increment counters of the user, or do nothing.

    Nothing happens if a code of this step or a later one was used meanwhile. Return whether it
    happened.
    """
    condition = {
        TOTP_TEXT: user.factors["totp"]["secret"]["text"],
        "factors.totp.step": {"$lt": step},
    }
    return _update(user, {**condition, **only_if}, {"$set": {"factors.totp.step": step}}, counters)


def use_recovery_code(user: User, digest: str, only_if: Stored, **counters: int) -> bool:
    """Remove a recovery code and increment counters of the user, or do nothing if it is gone."""
    path = f"factors.recovery_codes.{digest}"
    condition = {path: {"$exists": True}, **only_if}
    return _update(user, condition, {"$unset": {path: 1}}, counters)


def count_try(user: User, only_if: Stored, update: Stored) -> bool:
    """Count a wrong code; return whether a limit was left room for it."""
    return _update(user, only_if, update, {})


def _update(user: User, only_if: Stored, update: Stored, counters: dict[str, int]) -> bool:
    operators: dict[str, Any] = {**update, **({"$inc": counters} if counters else {})}
    return bool(User.objects(__raw__={"_id": user.id, **only_if}).update_one(__raw__=operators))
