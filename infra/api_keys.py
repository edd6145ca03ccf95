"""API keys: `mb_`, the id of their owner, a random part and a checksum.

By the prefix and the checksum, scanners find keys that leaked, and wrong ones are refused unread.
"""

import hashlib
import re
import secrets
import string
import zlib

PREFIX = "mb_"
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_LENGTH = 32  # 190 bits
CHECKSUM_LENGTH = 6
KEY = re.compile(
    rf"({PREFIX}([0-9a-f]{{24}})[0-9A-Za-z]{{{RANDOM_LENGTH}}})([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})"
)


def generate(owner_id: str) -> str:
    """Return a new key of an owner, whose id has 24 hex digits."""
    random = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    text = f"{PREFIX}{owner_id}{random}"
    return text + _checksum(text)


def owner_of(key: str) -> str | None:
    """Return the id of the owner whom a key names; None if it is no key."""
    match = KEY.fullmatch(key)
    return match[2] if match and _checksum(match[1]) == match[3] else None


def digest(key: str) -> str:
    """Return what is stored of a key. It is random, so that no slow hash is needed."""
    return hashlib.sha256(key.encode()).hexdigest()


def _checksum(text: str) -> str:
    """Return the CRC-32 of a text in base 62."""
    number, digits = zlib.crc32(text.encode()), ""
    while len(digits) < CHECKSUM_LENGTH:
        number, index = divmod(number, len(ALPHABET))
        digits = ALPHABET[index] + digits
    return digits
