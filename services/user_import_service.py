"""Users from another system, with the hashes of their passwords, and users for another system."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

from flask import current_app

from database import user_import
from database.db import ensure_indexes, read_all
from database.hash_kinds import HashKind
from database.models import USER, Stored, User
from database.users import name_keys
from infra import foreign_hashes
from infra.foreign_hashes import BCRYPT_DIGITS, UNKNOWN, UnknownHash
from infra.password_hashing import FOREIGN, rounds_of
from services import event_service
from services.errors import SchemaValidationError
from services.event_service import Event

# What the hash of an export begins with. The rest is ours, not that of another bcrypt.
OURS = "movie-bag:"
OUR_HASH = re.compile(rf"\$2b\$(0[4-9]|1[0-4])\${BCRYPT_DIGITS}(#hmac)?\Z")
# Every check of a password takes as long as all of them together.
MAX_KINDS = 8
EXPORTED = ("email", "name", "password", "verified_at", "created_at", "role", "locale")

# Makes one text of a hash and its salt, for a system that keeps them apart.
Combine = Callable[[str, str], str]


class UserImport:
    """An import in batches; an interrupted one is run again, and existing users are not touched."""

    def __init__(self, combine: Combine | None = None) -> None:
        """Take the function for hashes whose salt is a field of its own."""
        ensure_indexes(User)
        self._combine = combine
        self._kinds = HashKind.costs()

    def prepare(self, fields: dict[str, Any]) -> Stored:
        """Return the document of a user, from a line that was validated.

        Raises:
            SchemaValidationError: its hash is unknown, or costs too much.
        """
        try:
            password, kind = self._read_hash(fields.get("hash"), fields.get("salt"))
        except UnknownHash as error:
            raise SchemaValidationError({"hash": [str(error)]}) from None
        user = User(
            email=fields["email"],
            name=fields.get("name"),
            locale=fields.get("locale"),
            role=fields.get("role", USER),
            password=password,
            foreign_kind=kind,
            created_at=fields.get("created_at", time.time()),
            verified_at=time.time() if fields.get("verified") else None,
            disabled_at=time.time() if fields.get("disabled") else None,
            invited_at=time.time() if fields.get("invited") else None,
            name_keys=name_keys(fields.get("name")),
        )
        return dict(user.to_mongo())

    def _read_hash(self, text: str | None, salt: str | None) -> tuple[str, str | None]:
        """Return a hash as it is stored, and the kind of a foreign one."""
        if text is None:
            return "", None
        if text.startswith(OURS):
            return _read_our_hash(text.removeprefix(OURS)), None
        if (salt is None) == bool(self._combine):
            raise UnknownHash("A salt belongs to hashes of Firebase, and only to these.")
        combined = self._combine(text, salt or "") if self._combine else text
        parsed = foreign_hashes.parse(combined)
        self._note_kind(parsed.kind, parsed.cost)
        return FOREIGN + combined, parsed.kind

    def _note_kind(self, kind: str, cost: int) -> None:
        """Let logins take as long as this kind before the first user with it is stored."""
        if cost <= self._kinds.get(kind, 0):
            return
        if kind not in self._kinds and len(self._kinds) == MAX_KINDS:
            raise UnknownHash(f"There are {MAX_KINDS} kinds of hashes already.")
        HashKind.note(kind, cost)
        self._kinds[kind] = cost

    def store(self, users: list[Stored]) -> int:
        """Store the users whose email is not taken; return how many those were."""
        added = user_import.insert_new(users)
        for kind, cost in self._kinds.items():  # one may have been deleted as unused meanwhile
            HashKind.note(kind, cost)
        return added

    def seconds_per_check(self) -> float:
        """Return by how much the stored kinds prolong each check of a password, on this machine."""
        started = time.perf_counter()
        for kind, cost in self._kinds.items():
            foreign_hashes.spend(kind, cost, b"-")
        return time.perf_counter() - started

    def finish(self, added: int) -> None:
        """Record that users were imported."""
        if added:
            event_service.record(Event.USERS_IMPORTED, number=str(added))


def _read_our_hash(text: str) -> str:
    if not OUR_HASH.match(text):
        raise UnknownHash(UNKNOWN)
    if rounds_of(text) > current_app.config["BCRYPT_LOG_ROUNDS"]:
        # It would take longer than for any other user: the time would tell who has an account.
        raise UnknownHash("It has more rounds than BCRYPT_LOG_ROUNDS.")
    return text


def export() -> Iterator[dict[str, Any]]:
    """Yield every user as the import reads them, with the hash of the password."""
    event_service.record(Event.USERS_EXPORTED)
    for stored in read_all(User, *EXPORTED, "disabled_at", "invited_at"):
        yield {
            "email": stored["email"],
            **{name: stored[name] for name in ("name", "locale") if stored.get(name)},
            **_exported_hash(stored["password"]),
            "verified": stored.get("verified_at") is not None,
            "created_at": stored["created_at"],
            "role": stored.get("role", USER),
            "disabled": stored.get("disabled_at") is not None,
            "invited": stored.get("invited_at") is not None,
        }


def _exported_hash(password: str) -> dict[str, str]:
    if not password:
        return {}
    is_foreign = password.startswith(FOREIGN)
    return {"hash": password.removeprefix(FOREIGN) if is_foreign else OURS + password}
