"""Password hashes of other systems, as these write them: verified until the first login here.

Each is one text that says how it was made. What takes time, the algorithm and its costs, must not
tell whose password is checked. So a hash has a `kind` and, within its kind, a `cost` in units of
equal time: a check that spends what is left up to the highest cost of each kind takes as long as
any other.

A hash whose costs are above the ceilings is refused: to verify it would occupy a core or memory for
too long.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass

import bcrypt
from argon2 import Type, low_level
from argon2.exceptions import Argon2Error
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

MAX_CHARACTERS = 1024
MAX_BCRYPT_ROUNDS = 14
MAX_PBKDF2_ITERATIONS = 1_000_000
MAX_MEMORY_BYTES = 64 * 1024 * 1024
# Each is less than a second on a slow core.
MAX_ARGON2_KIB = 2**19  # memory times passes
MAX_SCRYPT_BLOCKS = 2**21  # N * r * p
# Its loop is in Python: 30 ms. WordPress has 2**13.
MAX_PHPASS_LOG2 = 16
MAX_LANES = 16
# N must be less than 2**(16 * r) (RFC 7914, 2).
MAX_SCRYPT_N_AT_R1 = 2**15
MIN_SCRYPT_N = 16
# The digest and the key of a real project have 64.
MIN_FIREBASE_BYTES = 32
BCRYPT_BYTES = 72
UNKNOWN = "Not a hash of a known kind."
PHPASS_DIGITS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

NUMBER = "([0-9]{1,7})"
SALT = "([^$]+)"
BASE64 = "([A-Za-z0-9+/]*={0,2})"
# The last digit of a salt has two bits; bcrypt raises if there are more.
BCRYPT_DIGITS = r"[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}"
BCRYPT = re.compile(rf"\$2[aby]\$([0-9]{{2}})\${BCRYPT_DIGITS}\Z")
ARGON2 = re.compile(
    rf"(?:argon2)?(\$argon2(id|i|d)\$v=19\$m={NUMBER},t={NUMBER},p={NUMBER}\${BASE64}\${BASE64})\Z"
)
PBKDF2_DJANGO = re.compile(rf"pbkdf2_sha256\${NUMBER}\${SALT}\${BASE64}\Z")
PBKDF2_WERKZEUG = re.compile(rf"pbkdf2:sha256:{NUMBER}\${SALT}\$([0-9a-f]{{64}})\Z")
SCRYPT_DJANGO = re.compile(rf"scrypt\${NUMBER}\${SALT}\${NUMBER}\${NUMBER}\${BASE64}\Z")
SCRYPT_WERKZEUG = re.compile(rf"scrypt:{NUMBER}:{NUMBER}:{NUMBER}\${SALT}\$([0-9a-f]{{128}})\Z")
PHPASS = re.compile(r"\$[PH]\$([./0-9A-Za-z])([./0-9A-Za-z]{8})([./0-9A-Za-z]{22})\Z")
FIREBASE = re.compile(
    rf"firebase_scrypt\${NUMBER}\${NUMBER}\${BASE64}\${BASE64}\${BASE64}\${BASE64}\Z"
)
ARGON2_TYPES = {"id": Type.ID, "i": Type.I, "d": Type.D}


class UnknownHash(ValueError):
    """A text is no hash of a known kind, or costs too much; the message says which."""


@dataclass(frozen=True)
class ForeignHash:
    """A hash of another system: its kind, its cost, and whether a password matches it."""

    kind: str
    cost: int
    matches: Callable[[bytes], bool]


def parse(text: str) -> ForeignHash:
    """Return the hash that a text is; raises UnknownHash."""
    if len(text) <= MAX_CHARACTERS and text.isprintable():  # half of a surrogate pair is not
        for pattern, read in PARSERS.items():
            if found := pattern.match(text):
                return read(found)
    raise UnknownHash(UNKNOWN)


def spend(kind: str, cost: int, secret: bytes) -> None:
    """Take as long as to verify a password by a hash of this kind and cost."""
    if cost:
        name, *parameters = kind.split()
        SPENDERS[name](secret, cost, *parameters)


def _require(is_affordable: bool) -> None:
    if not is_affordable:
        raise UnknownHash("The hash costs too much to verify.")


def _bcrypt(found: re.Match[str]) -> ForeignHash:
    hashed, rounds = found[0].encode(), int(found[1])
    _require(4 <= rounds <= MAX_BCRYPT_ROUNDS)

    def matches(secret: bytes) -> bool:
        # Other systems cut a password off there, and at a NUL.
        return bcrypt.checkpw(secret[:BCRYPT_BYTES], hashed) and b"\0" not in secret

    return ForeignHash("bcrypt", 2**rounds, matches)


def _spend_bcrypt(secret: bytes, cost: int) -> None:
    for rounds in range(4, MAX_BCRYPT_ROUNDS + 1):
        if cost & 2**rounds:
            bcrypt.checkpw(secret[:BCRYPT_BYTES], f"$2b${rounds:02}${'.' * 53}".encode())


def _argon2(found: re.Match[str]) -> ForeignHash:
    text, variant = found[1], found[2]
    kib, passes, lanes = (int(number) for number in found.group(3, 4, 5))
    affordable = 1024 * kib <= MAX_MEMORY_BYTES and kib * passes <= MAX_ARGON2_KIB
    _require(affordable and 1 <= lanes <= MAX_LANES and kib >= 8 * lanes and passes >= 1)

    def matches(secret: bytes) -> bool:
        try:
            return low_level.verify_secret(text.encode(), secret, ARGON2_TYPES[variant])
        except Argon2Error:
            return False

    return ForeignHash(f"argon2 {variant} {kib} {passes} {lanes}", 1, matches)


def _spend_argon2(secret: bytes, _: int, variant: str, kib: str, passes: str, lanes: str) -> None:
    costs = int(passes), int(kib), int(lanes)
    low_level.hash_secret_raw(secret, bytes(16), *costs, 32, ARGON2_TYPES[variant])


def _pbkdf2(salt: bytes, iterations: int, digest: bytes) -> ForeignHash:
    _require(1 <= iterations <= MAX_PBKDF2_ITERATIONS)

    def matches(secret: bytes) -> bool:
        return _equal(hashlib.pbkdf2_hmac("sha256", secret, salt, iterations), digest)

    return ForeignHash("pbkdf2_sha256", iterations, matches)


def _spend_pbkdf2(secret: bytes, cost: int) -> None:
    hashlib.pbkdf2_hmac("sha256", secret, b"", cost)


def _scrypt(salt: bytes, costs: tuple[int, int, int], digest: bytes) -> ForeignHash:
    _require_scrypt(*costs)

    def matches(secret: bytes) -> bool:
        return _equal(_compute_scrypt(secret, salt, costs), digest)

    n, r, p = costs
    return ForeignHash(f"scrypt {n} {r} {p}", 1, matches)


def _require_scrypt(n: int, r: int, p: int) -> None:
    is_power = n >= MIN_SCRYPT_N and n & (n - 1) == 0 and (r > 1 or n <= MAX_SCRYPT_N_AT_R1)
    affordable = 128 * n * r <= MAX_MEMORY_BYTES and n * r * p <= MAX_SCRYPT_BLOCKS
    _require(is_power and r >= 1 and 1 <= p <= MAX_LANES and affordable)


def _compute_scrypt(secret: bytes, salt: bytes, costs: tuple[int, int, int]) -> bytes:
    n, r, p = costs
    # OpenSSL needs a little more than the memory of the algorithm.
    return hashlib.scrypt(secret, salt=salt, n=n, r=r, p=p, maxmem=3 * MAX_MEMORY_BYTES)


def _spend_scrypt(secret: bytes, _: int, *costs: str) -> None:
    n, r, p = map(int, costs)
    _compute_scrypt(secret, b"", (n, r, p))


def _phpass(found: re.Match[str]) -> ForeignHash:
    log2, salt, digest = PHPASS_DIGITS.index(found[1]), found[2].encode(), found[3]
    _require(log2 <= MAX_PHPASS_LOG2)

    def matches(secret: bytes) -> bool:
        computed = _phpass_text(_compute_phpass(secret, salt, 2**log2))
        return _equal(computed.encode(), digest.encode())

    return ForeignHash("phpass", 2**log2 + 1, matches)  # one for the salt


def _compute_phpass(secret: bytes, salt: bytes, iterations: int) -> bytes:
    digest = _md5(salt + secret)
    for _ in range(iterations):
        digest = _md5(digest + secret)
    return digest


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _phpass_text(digest: bytes) -> str:
    """Return bytes in base 64, least significant digits first, of each three bytes."""
    texts = []
    for start in range(0, len(digest), 3):
        part = digest[start : start + 3]
        number = int.from_bytes(part, "little")
        texts += [PHPASS_DIGITS[number >> 6 * place & 63] for place in range(len(part) + 1)]
    return "".join(texts)


def _spend_phpass(secret: bytes, cost: int) -> None:
    _compute_phpass(secret, bytes(8), cost - 1)


def firebase_text(
    hashed: str, salt: str, signer_key: str, separator: str, rounds: int, memory: int
) -> str:
    """Return a hash of Firebase with the parameters of its project as one text."""
    return f"firebase_scrypt${rounds}${memory}${separator}${signer_key}${salt}${hashed}"


def _firebase(found: re.Match[str]) -> ForeignHash:
    rounds, memory = int(found[1]), int(found[2])
    _require(memory <= 20)
    costs = 2**memory, rounds, 1
    _require_scrypt(*costs)
    separator, signer_key, salt, digest = map(_decode, found.group(3, 4, 5, 6))
    if not MIN_FIREBASE_BYTES <= len(signer_key) == len(digest):
        raise UnknownHash(UNKNOWN)  # every password would match, or one in a few

    def matches(secret: bytes) -> bool:
        key = _compute_scrypt(secret, salt + separator, costs)[:32]
        encryptor = Cipher(AES(key), CTR(bytes(16))).encryptor()
        return _equal(encryptor.update(signer_key), digest)

    return ForeignHash(f"scrypt {costs[0]} {rounds} 1", 1, matches)


def _equal(computed: bytes, digest: bytes) -> bool:
    return hmac.compare_digest(computed, digest)


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise UnknownHash(UNKNOWN) from None


PARSERS: dict[re.Pattern[str], Callable[[re.Match[str]], ForeignHash]] = {
    BCRYPT: _bcrypt,
    ARGON2: _argon2,
    PBKDF2_DJANGO: lambda it: _pbkdf2(it[2].encode(), int(it[1]), _decode(it[3])),
    PBKDF2_WERKZEUG: lambda it: _pbkdf2(it[2].encode(), int(it[1]), bytes.fromhex(it[3])),
    SCRYPT_DJANGO: lambda it: _scrypt(
        it[2].encode(), (int(it[1]), int(it[3]), int(it[4])), _decode(it[5])
    ),
    SCRYPT_WERKZEUG: lambda it: _scrypt(
        it[4].encode(), (int(it[1]), int(it[2]), int(it[3])), bytes.fromhex(it[5])
    ),
    PHPASS: _phpass,
    FIREBASE: _firebase,
}
SPENDERS: dict[str, Callable[..., None]] = {
    "argon2": _spend_argon2,
    "bcrypt": _spend_bcrypt,
    "pbkdf2_sha256": _spend_pbkdf2,
    "phpass": _spend_phpass,
    "scrypt": _spend_scrypt,
}
