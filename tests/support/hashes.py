"""Hashes of known passwords, as other systems published or made them, and what a check computes."""

import hashlib
from collections import Counter
from typing import Any

import bcrypt
import pytest
from argon2 import low_level
from werkzeug.security import generate_password_hash

from infra import foreign_hashes, password_hashing

FIREBASE_KEY = (
    "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="
)
FIREBASE_HASH = (
    "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="
)
FIREBASE_SALT = "42xEC+ixf3L2lw=="

# By system: the password and its hash.
REAL_HASHES = {
    # The example of password_verify in PHP's manual.
    "bcrypt of PHP": (
        "rasmuslerdorf",
        "$2y$07$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq",
    ),
    # From jBCrypt's tests.
    "bcrypt of Java": ("abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
    # From the tests of the reference implementation.
    "argon2i": (
        "password",
        "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
    ),
    # Django writes its own name before it.
    "argon2id of Django": (
        "password",
        "argon2$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ"
        "$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    ),
    # From Django's tests of its hashers.
    "pbkdf2 of Django": (
        "lètmein",
        "pbkdf2_sha256$1000000$seasalt$r1uLUxoxpP2Ued/qxvmje7UH9PUJBkRrvf9gGPL7Cps=",
    ),
    "scrypt of Django": (
        "lètmein",
        "scrypt$16384$seasalt$8$5$ECMIUp+LMxMSK8xB/IVyba+KYGTI7FTnet025q/1f/vBAVnnP3hdYqJuRi+mJn6j"
        "i6ze3Fbb7JEFPKGpuEf5vw==",
    ),
    # From phpass's own test; phpBB writes $H$.
    "phpass of WordPress": ("test12345", "$P$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0"),
    "phpass of phpBB": ("test12345", "$H$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0"),
    # From the documentation of Firebase's scrypt.
    "Firebase": (
        "user1password",
        f"firebase_scrypt$8$14$Bw==${FIREBASE_KEY}${FIREBASE_SALT}${FIREBASE_HASH}",
    ),
    "pbkdf2 of Werkzeug": (
        "naïve password",
        generate_password_hash("naïve password", "pbkdf2:sha256:1000"),
    ),
    "scrypt of Werkzeug": (
        "naïve password",
        generate_password_hash("naïve password", "scrypt:1024:8:1"),
    ),
}


class ComputedUnits(Counter[str]):
    """Counts what checks of passwords compute: units of equal time by algorithm."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        for owner, name, units in (
            (bcrypt, "checkpw", lambda _, stored: _bcrypt_units(stored.decode())),
            (password_hashing.bcrypt, "check_password_hash", lambda it, _: _bcrypt_units(it)),
            (hashlib, "pbkdf2_hmac", lambda *given: ("pbkdf2", given[3])),
            (low_level, "verify_secret", lambda it, *_: (it.split(b"$")[3].decode(), 1)),
            (low_level, "hash_secret_raw", lambda _, __, *it: ("m={1},t={0},p={2}".format(*it), 1)),
            (foreign_hashes, "_compute_scrypt", lambda _, __, costs: (f"scrypt {costs}", 1)),
            (foreign_hashes, "_md5", lambda data: ("blocks of MD5", (len(data) + 8) // 64 + 1)),
        ):
            self._count(monkeypatch, owner, name, units)

    def _count(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, units: Any) -> None:
        function = getattr(owner, name)

        def counted(*given: Any) -> Any:
            algorithm, number = units(*given)
            self[algorithm] += number
            return function(*given)

        monkeypatch.setattr(owner, name, counted)


def _bcrypt_units(stored: str) -> tuple[str, int]:
    return "bcrypt", 2 ** password_hashing.rounds_of(stored)
