"""bcrypt hashes, computed in a bounded pool of low-priority threads.

A hash takes a quarter of a second of a core by design. A request that waits for the pool occupies
a thread but no processor time; a refused client retries at once, which costs more. So the queue
is long, and a server has threads for all who wait and 16 for other requests.
"""

import base64
import hashlib
import hmac
import os
import re
import sys
import threading
import unicodedata
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from typing import TypeVar

from flask_bcrypt import Bcrypt

from infra import foreign_hashes
from infra.foreign_hashes import ForeignHash, UnknownHash

# A container may have fewer cores than its machine; macOS can't tell.
CORES = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
# About as many as two cores compute within WAIT_SECONDS.
MAX_QUEUED = 60
WAIT_SECONDS = 10.0
SERVER_THREADS = CORES + MAX_QUEUED + 16
# Other threads win, but not all: with 5, clients that send without a pause left logins a quarter.
NICENESS = 1
BCRYPT_BYTES = 72
# What a stored hash ends with if its prehash is an HMAC. Without it: an earlier version's SHA-256.
HMAC_MARK = "#hmac"
# What a stored hash of another system begins with; the rest is as that system wrote it.
FOREIGN = "foreign:"
NO_MATCH = ForeignHash("", 0, lambda _: False)
# A constant for domain separation, not a secret: a key that changes would void passwords.
HMAC_KEY = b"movie-bag password prehash"
# What an earlier version's prehash looks like: 32 bytes as base64.
SHA256_PREHASH = re.compile(rb"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")

T = TypeVar("T")

bcrypt = Bcrypt()


class PoolFull(Exception):
    """Too many hashes are queued, or the queue did not advance within WAIT_SECONDS."""


def _lower_priority() -> None:
    """Give other threads precedence; only Linux has a priority per thread."""
    if sys.platform == "linux":
        thread = os.PRIO_PROCESS, threading.get_native_id()
        with suppress(OSError):  # a sandbox may forbid it
            os.setpriority(*thread, os.getpriority(*thread) + NICENESS)


_slots = threading.BoundedSemaphore(CORES + MAX_QUEUED)
_pool = ThreadPoolExecutor(CORES, "hashing", _lower_priority)


def run(function: Callable[..., T], *args: object) -> T:
    """Return what function returns in the pool, where as many run at once as there are cores.

    Raises:
        PoolFull: too many are queued, or it did not begin within WAIT_SECONDS.
    """
    if not _slots.acquire(blocking=False):
        raise PoolFull
    try:
        future = _pool.submit(function, *args)
        wait([future], WAIT_SECONDS)
        if future.cancel():  # it has not begun
            raise PoolFull
        return future.result()
    finally:
        _slots.release()


def normalize(password: str) -> str:
    """Return one form for all the ways to type a character (NIST SP 800-63B §3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def prehash(password: str, mark: str = HMAC_MARK) -> bytes:
    """Return the bytes for bcrypt; what bcrypt can't tell apart is digested, never truncated.

    bcrypt takes 72 bytes, and repeats a shorter password with a NUL in between. The result must
    not be a password itself: byte FF is in no UTF-8. Without the mark it is: see is_outdated.
    """
    secret = _encode(password)
    if not _is_digested(secret):
        return secret
    if mark:
        return b"\xff" + base64.b64encode(hmac.digest(HMAC_KEY, secret, "sha256"))
    return base64.b64encode(hashlib.sha256(secret).digest())


def _encode(password: str) -> bytes:
    return normalize(password).encode()


def _is_digested(secret: bytes) -> bool:
    return len(secret) > BCRYPT_BYTES or b"\0" in secret


def hash_password(password: str, rounds: int) -> str:
    """Return the bcrypt hash of a password; raises PoolFull.

    It is marked if the prehash matters: processes of an earlier version verify all others.
    """
    secret = _encode(password)
    mark = HMAC_MARK if _is_digested(secret) or SHA256_PREHASH.fullmatch(secret) else ""
    hashed: bytes = run(bcrypt.generate_password_hash, prehash(password), rounds)
    return hashed.decode() + mark


def verify_password(
    password: str, stored: str | None, rounds: int, foreign: Mapping[str, int]
) -> bool:
    """Return whether stored is a hash of password; raises PoolFull.

    For None and for a hash of fewer rounds it takes as long as for a hash of `rounds`: the time
    must not tell which emails have an account (timing side channel). For the same reason it also
    spends the costs of the kinds of foreign hashes that other accounts have.
    """
    typed = password.encode()
    if stored and (other := _foreign_hash(stored)):
        left = {**foreign, other.kind: max(foreign.get(other.kind, 0) - other.cost, 0)}
        return run(_verify_foreign, typed, other, rounds, left)
    hashed, mark, _ = (stored or dummy_hash(rounds)).partition(HMAC_MARK)
    secret = prehash(password, mark)
    return run(_verify, secret, hashed, rounds, foreign, typed) and bool(stored)


def is_outdated(password: str, stored: str, rounds: int) -> bool:
    """Return whether to replace a hash of password, which has just been verified.

    What looks like a SHA-256 prehash may be one, typed by somebody who knows the password's digest
    from elsewhere: such a hash stays, so that the password still logs in.
    """
    if stored.startswith(FOREIGN):
        return True
    if stored.endswith(HMAC_MARK):
        return rounds_of(stored) < rounds
    secret = _encode(password)
    if SHA256_PREHASH.fullmatch(secret):
        return False
    return _is_digested(secret) or rounds_of(stored) < rounds


def _verify(
    secret: bytes, stored: str, rounds: int, foreign: Mapping[str, int], typed: bytes
) -> bool:
    for missing in range(rounds_of(stored), rounds):  # each round doubles the time
        bcrypt.check_password_hash(dummy_hash(missing), secret)
    _spend(foreign, typed)
    return bool(bcrypt.check_password_hash(stored, secret))


def _verify_foreign(
    secret: bytes, stored: ForeignHash, rounds: int, left: Mapping[str, int]
) -> bool:
    bcrypt.check_password_hash(dummy_hash(rounds), b"")
    _spend(left, secret)
    return stored.matches(secret)


def _foreign_hash(stored: str) -> ForeignHash | None:
    """Return a hash of another system as an import stored it; None if it is one of ours."""
    if not stored.startswith(FOREIGN):
        return None
    try:
        return foreign_hashes.parse(stored.removeprefix(FOREIGN))
    except UnknownHash:  # another version stored it
        return NO_MATCH


def _spend(foreign: Mapping[str, int], typed: bytes) -> None:
    for kind, cost in foreign.items():
        foreign_hashes.spend(kind, cost, typed)


def rounds_of(stored: str) -> int:
    """Return the cost of a bcrypt hash, the exponent of a power of two."""
    return int(stored[4:6])


def dummy_hash(rounds: int) -> str:
    """Return a hash that no password has."""
    return f"$2b${rounds:02}${'.' * 53}"
