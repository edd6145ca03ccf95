"""The private keys that sign access tokens, read from PEM; other services get the public parts."""

import hashlib
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm, OKPAlgorithm
from marshmallow import ValidationError, fields

from setting_checks import split

PEM = "-----BEGIN"
END = re.compile(rb"-----END [A-Z ]*PRIVATE KEY-----")
MAX_PEM_BYTES = 16 * 1024
# What a thumbprint is made of (RFC 7638 §3.2, RFC 8037 §2).
IDENTIFYING = ("crv", "kty", "x", "y")


@dataclass(frozen=True, eq=False)
class TokenKey:
    """A key of tokens: its `kid`, its algorithm, where it is, what signs and what verifies.

    Each is equal to itself alone, so that what a process remembers of a key is of this very one.
    """

    kid: str
    algorithm: str
    source: str = field(repr=False)
    signing: Any = field(repr=False)
    verifying: Any = field(repr=False)

    @property
    def jwk(self) -> dict[str, str]:
        """Return the public key as other services read it (RFC 7517)."""
        about = {"kid": self.kid, "alg": self.algorithm, "use": "sig"}
        return _public_part(self.verifying) | about


class PrivateKeys(fields.String):
    """The setting JWT_PRIVATE_KEYS, read once: a file may be replaced meanwhile, or be a pipe."""

    def _deserialize(self, *args: Any, **options: Any) -> Any:
        try:
            return tuple(read_private_keys(super()._deserialize(*args, **options)))
        except ValueError as error:
            raise ValidationError(str(error)) from None


def read_private_keys(text: str) -> Iterator[TokenKey]:
    r"""Yield the keys of JWT_PRIVATE_KEYS: paths of PEM files, or PEM with `\n` for line breaks.

    Raises:
        ValueError: with a sentence that names the key by its place in the list, never by its text.
    """
    for number, part in enumerate(split(text), 1):
        try:
            yield token_key(load_pem_private_key(_read_pem(part), password=None), part)
        except OSError as error:
            raise ValueError(f"Key {number} can't be read: {error.strerror}.") from None
        except (ValueError, TypeError, UnsupportedAlgorithm):
            wanted = "a private key of P-256 or Ed25519, as PEM without a passphrase"
            raise ValueError(f"Key {number} must be {wanted}.") from None


def _read_pem(part: str) -> bytes:
    if part.startswith(PEM):
        pem = part.replace(r"\n", "\n").encode()
    else:
        with Path(part).open("rb") as file:
            pem = file.read(MAX_PEM_BYTES)
    if len(END.findall(pem)) > 1:  # of several, the first alone would be read
        raise ValueError
    return pem


def as_setting(keys: Iterable[TokenKey]) -> str:
    """Return JWT_PRIVATE_KEYS with keys as PEM, for a process that must not read the files."""
    return ",".join(to_pem(key.signing).decode().replace("\n", r"\n") for key in keys)


def to_pem(private_key: Any) -> bytes:
    """Return what a PEM file of a private key has."""
    pem: bytes = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def token_key(private_key: Any, source: str) -> TokenKey:
    """Return a private key as one of tokens; raises ValueError if it is of another kind.

    Its `source` is the path of its file, or, for a key that is PEM itself, says so.
    """
    match private_key:
        case EllipticCurvePrivateKey(curve=SECP256R1()):
            algorithm = "ES256"
        case Ed25519PrivateKey():
            algorithm = "EdDSA"
        case _:
            raise ValueError
    public_key = private_key.public_key()
    kid = _thumbprint(_public_part(public_key))
    where = f"<the PEM of {kid}>" if source.startswith(PEM) else source
    return TokenKey(kid, algorithm, where, private_key, public_key)


def _public_part(public_key: Any) -> dict[str, str]:
    kind = ECAlgorithm if hasattr(public_key, "curve") else OKPAlgorithm
    part: dict[str, str] = kind.to_jwk(public_key, as_dict=True)
    return {name: part[name] for name in IDENTIFYING if name in part}


def _thumbprint(public_part: dict[str, str]) -> str:
    """Return what identifies a public key (RFC 7638)."""
    text = json.dumps(public_part, sort_keys=True, separators=(",", ":"))
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
