"""Private keys of access tokens, and tokens that they sign by hand."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from private_keys import token_key
from tests.support.tokens import encode_part

EC_KEY, OTHER_EC_KEY = (generate_private_key(SECP256R1()) for _ in range(2))
ED_KEY = Ed25519PrivateKey.generate()
# By what signs access tokens: a private key, or JWT_SECRET_KEY.
KEYS: dict[str, Any] = {"ES256": EC_KEY, "EdDSA": ED_KEY, "HS256": None}


def pem(key: Any, passphrase: str = "") -> str:
    """Return a private key as a file has it, encrypted if there is a passphrase."""
    hidden = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden).decode())


def setting(*keys: Any) -> str | None:
    """Return JWT_PRIVATE_KEYS with these keys; None for no key."""
    return ",".join(pem(key).replace("\n", r"\n") for key in keys if key) or None


def kid_of(key: Any) -> str:
    return token_key(key, "").kid


def sign_by(key: Any, header: Any, claims: Any) -> str:
    """Return a token that a private key signs, whatever its header says."""
    text = f"{encode_part(header)}.{encode_part(claims)}"
    return f"{text}.{encode_part(_signature(key, text.encode()))}"


def _signature(key: Any, text: bytes) -> bytes:
    if not isinstance(key, EllipticCurvePrivateKey):
        return bytes(key.sign(text))
    numbers = decode_dss_signature(key.sign(text, ECDSA(SHA256())))
    return b"".join(number.to_bytes(32, "big") for number in numbers)
