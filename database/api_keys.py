"""API keys: what `User.api_keys` holds by the id of a key, and each update of it.

A key has its `name`, `scopes`, `digest`, `created_at`, and `expires_at` and `last_used_at` or None.
They are a part of the user, so that what takes an account back takes its keys away in one update.
"""

from database.models import ADMIN, Stored, User

# What change_credentials sets to remove them.
NO_KEYS: Stored = {"api_keys": {}}


def add_key(user: User, key_id: str, key: Stored) -> bool:
    """Store a key of an admin as user was read; return whether nothing has changed meanwhile."""
    as_read = {"password_version": user.password_version, "role": ADMIN, "disabled_at": None}
    path = f"api_keys.{key_id}"
    condition = {"_id": user.id, **as_read}
    return bool(User.objects(__raw__=condition).update_one(__raw__={"$set": {path: key}}))


def remove_key(user: User, key_id: str) -> bool:
    """Remove a key; return whether it was there."""
    path = f"api_keys.{key_id}"
    condition = {"_id": user.id, f"{path}.digest": {"$exists": True}}
    return bool(User.objects(__raw__=condition).update_one(__raw__={"$unset": {path: 1}}))


def note_use(user: User, key_id: str, key: Stored, at: float) -> None:
    """Store when a key was used last, unless it was removed or used since it was read."""
    path = f"api_keys.{key_id}"
    as_read = {f"{path}.{name}": key[name] for name in ("digest", "last_used_at")}
    update = {"$set": {f"{path}.last_used_at": at}}
    User.objects(__raw__={"_id": user.id, **as_read}).update_one(__raw__=update)
