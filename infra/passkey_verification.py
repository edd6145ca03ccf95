"""What a device with passkeys returns (WebAuthn), verified by the library `webauthn`.

The library decodes all that CBOR can say before it verifies anything: 300 bytes can take minutes.
So what no device sends is refused first.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import cbor2
import webauthn
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    parse_client_data_json,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier

# Those that every device has one of: ES256, EdDSA, and RS256 for Windows Hello.
ALGORITHMS = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
MAX_RSA_BITS = 4096
# A browser that is asked for no attestation sends none, or one by the new key itself.
ATTESTATIONS = ("none", "packed")
# Of authenticator data (WebAuthn §6.1): what it has without a key, where the flags and the length
# of the credential's id are, and the flag of a key.
BARE_LENGTH = 37
FLAGS = 32
HAS_KEY = 0x40
ID_LENGTH = slice(53, 55)
ID = 55

Credential = dict[str, Any]


class InvalidCredential(Exception):
    """What a device returned can't be verified."""


class Registration(NamedTuple):
    """A new key of a device, as base64url, and what the device says about it."""

    credential_id: str
    public_key: str
    sign_count: int
    backed_up: bool


class _NoTags(dict[int, Any]):
    """The decoders of CBOR's tags: none, because CTAP2 forbids tags (CTAP 2.2, §8)."""

    def __missing__(self, tag: int) -> Any:
        raise ValueError("tag")


@contextmanager
def _refused() -> Iterator[None]:
    """Raise InvalidCredential: the library raises more than it documents about wrong bytes."""
    try:
        yield
    except Exception as error:
        raise InvalidCredential from error


def read_challenge(credential: Credential) -> str:
    """Return the challenge that a device has signed, as base64url; raises InvalidCredential."""
    with _refused():
        client_data = parse_client_data_json(_bytes(credential, "clientDataJSON"))
        if client_data.cross_origin:  # our pages are in no frame of another origin
            raise InvalidCredential
        return bytes_to_base64url(client_data.challenge)


def verify_registration(
    credential: Credential, challenge: str, rp_id: str, origins: list[str]
) -> Registration:
    """Return the key that a device has made, which is that of the attestation object.

    Raises:
        InvalidCredential
    """
    with _refused():
        _require_plain(_bytes(credential, "attestationObject"))
        verified = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=rp_id,
            expected_origin=origins,
            require_user_verification=True,
            supported_pub_key_algs=ALGORITHMS,
        )
        _require_usable(verified.credential_public_key)
        # The length of this id is limited, that of the attestation object's is not.
        if verified.credential_id != base64url_to_bytes(credential["id"]):
            raise InvalidCredential
        return Registration(
            credential["id"],
            bytes_to_base64url(verified.credential_public_key),
            verified.sign_count,
            verified.credential_backed_up,
        )


def _require_plain(attestation_object: bytes) -> None:
    """Refuse tags, and another encoding than the library expects when it looks for the end."""
    attestation = cbor2.loads(attestation_object, semantic_decoders=_NoTags())
    data = attestation["authData"]
    if attestation["fmt"] not in ATTESTATIONS or not data[FLAGS] & HAS_KEY:
        raise InvalidCredential
    key_and_extensions = data[ID + int.from_bytes(data[ID_LENGTH], "big") :]
    # Between these two bytes they are a list.
    items = cbor2.loads(b"\x9f" + key_and_extensions + b"\xff", semantic_decoders=_NoTags())
    if b"".join(map(cbor2.dumps, items)) != key_and_extensions:
        raise InvalidCredential


def _require_usable(public_key: bytes) -> None:
    """Refuse a key that is not on its curve, or so long that verifying with it takes long."""
    key = decoded_public_key_to_cryptography(decode_credential_public_key(public_key))
    if isinstance(key, RSAPublicKey) and key.key_size > MAX_RSA_BITS:
        raise InvalidCredential


def verify_signature(
    credential: Credential, challenge: str, public_key: str, rp_id: str, origins: list[str]
) -> tuple[int, bool]:
    """Return the sign count of a device that has signed, and whether its key is backed up.

    Who uses it compares the count with the stored one.

    Raises:
        InvalidCredential
    """
    with _refused():
        # We ask for no extension, so more is not sent, and no CBOR is decoded.
        if len(_bytes(credential, "authenticatorData")) != BARE_LENGTH:
            raise InvalidCredential
        verified = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=rp_id,
            expected_origin=origins,
            credential_public_key=base64url_to_bytes(public_key),
            credential_current_sign_count=0,
            require_user_verification=True,
        )
        return verified.new_sign_count, verified.credential_backed_up


def _bytes(credential: Credential, member: str) -> bytes:
    return base64url_to_bytes(credential["response"][member])
