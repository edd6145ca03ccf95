"""Encryption of what is stored and has to be read again, under keys that rotate."""

import base64
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# Domain separation: the same text may sign tokens, and its id tells nothing about either key.
# Constants of the product: another value would make every stored secret unreadable.
ENCRYPTION = b"movie-bag: encryption of stored secrets, version 1"
IDENTIFICATION = b"movie-bag: id of a key of stored secrets, version 1"
FERNET_KEY_BYTES = 32
KEY_ID_BYTES = 8


class NoKeyOpens(Exception):
    """A stored secret was encrypted under none of these keys, or was changed since."""


def encrypt(text: str, keys: Sequence[str]) -> dict[str, str]:
    """Encrypt a text under the first key; `key` of what is returned is the id of that key."""
    token = _fernet(keys[0]).encrypt(text.encode())
    return {"key": key_id(keys[0]), "text": token.decode()}


def decrypt(stored: dict[str, str], keys: Sequence[str]) -> str:
    """Return the text that was encrypted under one of the keys.

    Raises:
        NoKeyOpens: none of them opens it.
    """
    try:
        return MultiFernet([_fernet(key) for key in keys]).decrypt(stored["text"]).decode()
    except (InvalidToken, ValueError):  # ValueError: no keys at all, or no token
        raise NoKeyOpens from None


def key_id(key: str) -> str:
    """Return the id under which what a key encrypts is found."""
    return _derive(key, IDENTIFICATION, KEY_ID_BYTES).hex()


def _fernet(key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(_derive(key, ENCRYPTION, FERNET_KEY_BYTES)))


def _derive(key: str, purpose: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=purpose).derive(key.encode())
