"""The keys of stored secrets: whether each is there, and their rotation."""

from collections.abc import Iterator
from typing import NamedTuple

from bson import ObjectId

from database import stored_secrets
from database.models import Stored, User
from infra.secret_box import NoKeyOpens, decrypt, encrypt, key_id
from services import factor_service
from services.errors import ConflictError
from setting_sources import SettingsError

# To count a million takes longer than MONGODB_TIMEOUT.
COUNTED_USERS = 1000
REMOVE = "`flask --app app secret rotate --remove-lost` turns it off for them"


class Outcome(NamedTuple):
    """How many secrets were encrypted again, and how many could not be decrypted."""

    encrypted: int
    unreadable: int


def require_keys(keys: list[str]) -> None:
    """Refuse to start while a secret is stored whose key is missing.

    Raises:
        SettingsError: a key is missing; the message says for how many users.
    """
    if missing := _missing_key_ids(keys):
        count = stored_secrets.count_users(missing, COUNTED_USERS)
        users = "1 user" if count == 1 else f"{count} users"
        if count == COUNTED_USERS:
            users = f"{users} or more"
        message = f"The key that encrypts the second factor of {users} is missing: append it."
        raise SettingsError({"SECRETS_KEY": [message, f"If it is lost: {REMOVE}."]})


def _missing_key_ids(keys: list[str]) -> list[str]:
    known = set(map(key_id, keys))
    return [it for it in stored_secrets.key_ids_in_use() if it not in known]


def remove_lost(keys: list[str]) -> int:
    """Turn off the second factor of users whose key is missing; return how many those are."""
    return sum(map(_remove, _missing_key_ids(keys)))


def _remove(lost_key_id: str) -> int:
    removed = 0
    while batch := stored_secrets.find_batch(lost_key_id, []):
        removed += sum(_turn_off(user_id, lost_key_id) for user_id in batch)
    return removed


def _turn_off(user_id: ObjectId, lost_key_id: str) -> bool:
    """Turn off the second factor of a user and notify them, unless it was changed meanwhile."""
    user = User.get_by_id(user_id) or User()
    if not user.has_totp or user.factors["totp"]["secret"]["key"] != lost_key_id:
        return False
    try:
        factor_service.remove_totp(user)
    except ConflictError:
        return False
    return True


def encrypt_again(keys: list[str]) -> Outcome:
    """Encrypt every stored secret under the first key.

    It can be interrupted and run again: it works through what is under another key.

    Raises:
        SettingsError: as require_keys.
    """
    require_keys(keys)
    old = [it for it in stored_secrets.key_ids_in_use() if it != key_id(keys[0])]
    done = [_encrypt_from(it, keys) for it in old]
    return Outcome(sum(it.encrypted for it in done), sum(it.unreadable for it in done))


def _encrypt_from(old_key_id: str, keys: list[str]) -> Outcome:
    encrypted = 0
    unreadable: list[ObjectId] = []
    while batch := stored_secrets.find_batch(old_key_id, unreadable):
        changes = dict(_changes(batch, keys))
        unreadable += batch.keys() - changes.keys()
        encrypted += stored_secrets.replace(changes) if changes else 0
    return Outcome(encrypted, len(unreadable))


def _changes(
    batch: dict[ObjectId, Stored], keys: list[str]
) -> Iterator[tuple[ObjectId, tuple[Stored, Stored]]]:
    """Yield each user's secret as it is stored and as it will be."""
    for user_id, secret in batch.items():
        try:
            yield user_id, (secret, encrypt(decrypt(secret, keys), keys))
        except NoKeyOpens:
            continue
