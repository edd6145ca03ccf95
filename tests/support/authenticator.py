"""A software authenticator: it creates passkeys and signs with them, wrongly if a test wants it."""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ORIGIN = "https://movie-bag.example"

# COSE's numbers of the algorithms.
ES256 = -7
EDDSA = -8
RS256 = -257

# The flags in the authenticator data.
PRESENT = 1 << 0
VERIFIED = 1 << 2
BACKUP_ELIGIBLE = 1 << 3
BACKED_UP = 1 << 4
ATTESTED = 1 << 6
EXTENDED = 1 << 7


def to_text(data: bytes) -> str:
    """Encode as base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def to_bytes(text: str) -> bytes:
    """Decode base64url with or without padding."""
    return urlsafe_b64decode(text + "==")


def generate_key(algorithm: int) -> Any:
    """Return a new private key."""
    if algorithm == ES256:
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == EDDSA:
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


@dataclass
class Passkey:
    """A discoverable credential of an authenticator."""

    user_handle: bytes
    algorithm: int
    key: Any
    credential_id: bytes
    sign_count: int

    def sign(self, data: bytes) -> bytes:
        """Sign with the private key."""
        arguments = {
            ES256: (ec.ECDSA(SHA256()),),
            EDDSA: (),
            RS256: (padding.PKCS1v15(), SHA256()),
        }
        signature: bytes = self.key.sign(data, *arguments[self.algorithm])
        return signature

    def cose_key(self) -> dict[int, Any]:
        """Return the public key as COSE's map."""
        public = self.key.public_key()
        if self.algorithm == EDDSA:
            return {1: 1, 3: EDDSA, -1: 6, -2: public.public_bytes_raw()}
        numbers = public.public_numbers()
        if self.algorithm == ES256:
            x, y = (number.to_bytes(32, "big") for number in (numbers.x, numbers.y))
            return {1: 2, 3: ES256, -1: 1, -2: x, -3: y}
        return {1: 3, 3: RS256, -1: numbers.n.to_bytes(256, "big"), -2: b"\1\0\1"}

    def public_key(self) -> str:
        """Return the public key as a browser adds it beside the attestation object."""
        der = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        return to_text(self.key.public_key().public_bytes(*der))

    def attested_data(self, cose_key: bytes | None = None) -> bytes:
        """Return what the authenticator data says of a new credential, and of its key in CBOR."""
        if cose_key is None:
            cose_key = cbor2.dumps(self.cose_key())
        return (
            bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + cose_key
        )


def new_passkey(
    user_handle: bytes, algorithm: int = ES256, credential_id: bytes = b"", sign_count: int = 0
) -> Passkey:
    """Create a passkey; sign_count 0 is an authenticator that does not count."""
    credential_id = credential_id or secrets.token_bytes(32)
    return Passkey(user_handle, algorithm, generate_key(algorithm), credential_id, sign_count)


def client_data(ceremony: str, challenge: str, changes: dict[str, Any]) -> bytes:
    """Return what the browser says of a ceremony."""
    said = {"type": ceremony, "challenge": challenge, "origin": ORIGIN, "crossOrigin": False}
    return json.dumps(said | changes).encode()


def authenticator_data(rp_id: str, flags: int, sign_count: int, end: bytes) -> bytes:
    """Return what the authenticator says of a ceremony; the end is a new credential, if any."""
    rp_id_hash = hashlib.sha256(rp_id.encode()).digest()
    return rp_id_hash + bytes([flags]) + sign_count.to_bytes(4, "big") + end


def credential_json(credential_id: bytes, response: dict[str, Any]) -> dict[str, Any]:
    """Return a credential as `credential.toJSON()` does in a browser."""
    return {
        "id": to_text(credential_id),
        "rawId": to_text(credential_id),
        "type": "public-key",
        "authenticatorAttachment": "platform",
        "clientExtensionResults": {},
        "response": response,
    }


def attestation_object(
    passkey: Passkey, fmt: str, auth_data: bytes, client_bytes: bytes, statement: Any
) -> bytes:
    """Return an attestation object; `packed` is self attestation, unless a statement is given."""
    if statement is None and fmt == "packed":
        signature = passkey.sign(auth_data + hashlib.sha256(client_bytes).digest())
        statement = {"alg": passkey.algorithm, "sig": signature}
    return cbor2.dumps({"fmt": fmt, "attStmt": statement or {}, "authData": auth_data})


def registration(
    passkey: Passkey,
    options: dict[str, Any],
    *,
    fmt: str = "none",
    statement: Any = None,
    rp_id: str | None = None,
    flags: int = PRESENT | VERIFIED,
    end: bytes | None = None,
    client: dict[str, Any] | None = None,
    response: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the credential of a registration.

    `client` changes members of the client data (type, challenge, origin, crossOrigin),
    `response` those beside the attestation object; `end` replaces the passkey's attested data.
    """
    rp_id, end = rp_id or options["rp"]["id"], end or passkey.attested_data()
    auth_data = authenticator_data(rp_id, flags | ATTESTED, passkey.sign_count, end)
    client_bytes = client_data("webauthn.create", options["challenge"], client or {})
    signed = attestation_object(passkey, fmt, auth_data, client_bytes, statement)
    members = {
        "clientDataJSON": to_text(client_bytes),
        "attestationObject": to_text(signed),
        "authenticatorData": to_text(auth_data),
        "publicKey": passkey.public_key(),
        "publicKeyAlgorithm": passkey.algorithm,
        "transports": ["internal", "hybrid"],
    }
    return credential_json(passkey.credential_id, members | (response or {}))


def assertion(
    passkey: Passkey,
    options: dict[str, Any],
    *,
    rp_id: str | None = None,
    flags: int = PRESENT | VERIFIED,
    sign_count: int | None = None,
    end: bytes = b"",
    client: dict[str, Any] | None = None,
    response: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the credential of a login; the passkey's count rises, if it counts."""
    if sign_count is None:
        passkey.sign_count += passkey.sign_count > 0
        sign_count = passkey.sign_count
    auth_data = authenticator_data(rp_id or options["rpId"], flags, sign_count, end)
    client_bytes = client_data("webauthn.get", options["challenge"], client or {})
    signature = passkey.sign(auth_data + hashlib.sha256(client_bytes).digest())
    members = {
        "clientDataJSON": to_text(client_bytes),
        "authenticatorData": to_text(auth_data),
        "signature": to_text(signature),
        "userHandle": to_text(passkey.user_handle),
    }
    return credential_json(passkey.credential_id, members | (response or {}))
