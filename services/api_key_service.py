"""API keys: what other services show instead of a user's token."""

import hmac
import secrets
import time
from typing import Any

from database import api_keys
from database.models import Stored, User
from database.users import is_active_admin
from infra.api_keys import digest, generate, owner_of
from services import errors, event_service
from services.event_service import Event

# What a key may be for; each needs an admin.
INTROSPECT = "introspect"
SCOPES = (INTROSPECT,)
MAX_KEYS = 20
# How often the last use of a key is stored, in seconds.
USE_SECONDS = 60


def create(
    user: User, name: str, scopes: list[str], expires_at: float | None = None
) -> dict[str, Any]:
    """Create a key of an admin and return it with its text, which nothing shows again.

    Raises:
        ConflictError: the user has too many, or was changed meanwhile.
    """
    if len(user.api_keys) >= MAX_KEYS:
        raise errors.ConflictError(f"You have {MAX_KEYS} API keys already: remove one first")
    key_id, text = secrets.token_hex(8), generate(str(user.id))
    given = {"name": name, "scopes": scopes, "expires_at": expires_at}
    key = {**given, "digest": digest(text), "created_at": time.time(), "last_used_at": None}
    if not api_keys.add_key(user, key_id, key):
        raise errors.ConflictError
    event_service.record(Event.API_KEY_CREATED, user_id=user.id)
    return {**key, "id": key_id, "key": text}


def list_all(user: User) -> list[Stored]:
    """Return the keys of a user with their ids, newest first."""
    keys = [{**key, "id": key_id} for key_id, key in user.api_keys.items()]
    return sorted(keys, key=lambda key: -key["created_at"])


def get(user: User, key_id: str) -> Stored:
    """Return a key of a user; raises KeyNotExistsError."""
    if key_id not in user.api_keys:
        raise errors.KeyNotExistsError
    return {**user.api_keys[key_id], "id": key_id}


def remove(user: User, key_id: str) -> None:
    """Remove a key of a user; raises KeyNotExistsError."""
    get(user, key_id)  # first, because its id becomes a part of an update
    if not api_keys.remove_key(user, key_id):
        raise errors.KeyNotExistsError
    event_service.record(Event.API_KEY_REMOVED, user_id=user.id)


def authenticate(text: str, scope: str) -> User:
    """Return the owner of a key, who is an admin now, and note its use.

    Raises:
        BadTokenError: there is no such key, or its owner is disabled.
        ExpiredTokenError
        ForbiddenError: it is not for this scope, or its owner is no admin any more.
    """
    owner_id = owner_of(text)
    user = User.get_by_id(owner_id) if owner_id else None
    if user is None or user.is_disabled:
        raise errors.BadTokenError
    key_id, key = _find(user, digest(text))
    now = time.time()
    if key["expires_at"] is not None and key["expires_at"] <= now:
        raise errors.ExpiredTokenError
    if scope not in key["scopes"] or not is_active_admin(user):
        event_service.record(Event.ACCESS_DENIED, user_id=user.id)
        raise errors.ForbiddenError
    if (key["last_used_at"] or 0) + USE_SECONDS <= now:
        api_keys.note_use(user, key_id, key, now)
    return user


def _find(user: User, of_key: str) -> tuple[str, Stored]:
    for key_id, key in user.api_keys.items():
        if hmac.compare_digest(key["digest"], of_key):
            return key_id, key
    raise errors.BadTokenError
