"""Whatever text an import holds as a hash, it is refused, or verified within the ceilings."""

from hypothesis import given
from hypothesis import strategies as st

from infra import foreign_hashes
from infra.foreign_hashes import PARSERS, UnknownHash, parse, spend

# Not more than these are computed here; the ceilings themselves would take a second each.
CHEAP = {"bcrypt": 32, "pbkdf2_sha256": 10_000, "phpass": 257, "argon2": 1000, "scrypt": 5000}
NUMBERS = st.sampled_from([0, 1, 2, 3, 4, 5, 8, 16, 17, 32, 64, 100, 2**13, 2**16, 10**6, 10**7])
BASE64 = st.text("ABab01+/=", max_size=90)
SALTS = st.text(st.characters(codec=None, exclude_characters="$"), max_size=20)
BCRYPT_TEXTS = st.text("./Aaz09eOu", min_size=53, max_size=53)
DIGESTS, LONG_DIGESTS = (st.text("0af", min_size=it, max_size=it) for it in (64, 128))
HASHES = st.one_of(
    st.builds("$2{}${:02}${}".format, st.sampled_from("abxy"), NUMBERS, BCRYPT_TEXTS),
    st.builds(
        "$argon2{}$v=19$m={},t={},p={}${}${}".format,
        *(st.sampled_from(["i", "d", "id"]), NUMBERS, NUMBERS, NUMBERS, BASE64, BASE64),
    ),
    st.builds("pbkdf2_sha256${}${}${}".format, NUMBERS, SALTS, BASE64),
    st.builds("pbkdf2:sha256:{}${}${}".format, NUMBERS, SALTS, DIGESTS),
    st.builds("scrypt${}${}${}${}${}".format, NUMBERS, SALTS, NUMBERS, NUMBERS, BASE64),
    st.builds(
        "scrypt:{}:{}:{}${}${}".format,
        NUMBERS,
        NUMBERS,
        NUMBERS,
        SALTS,
        LONG_DIGESTS,
    ),
    st.builds("$P${}".format, st.text("./0123ABCDEF", min_size=31, max_size=31)),
    st.builds(
        "firebase_scrypt${}${}${}${}${}${}".format,
        *(NUMBERS, NUMBERS, BASE64, BASE64, BASE64, BASE64),
    ),
    *(st.from_regex(pattern) for pattern in PARSERS),
    st.text(st.characters(codec=None)),
)


def work(found):
    """Return how much a check computes, and at most how many bytes it occupies."""
    name, *parameters = found.kind.split()
    numbers = [int(it) for it in parameters if it.isdecimal()]
    if name == "argon2":
        kib, passes, _ = numbers
        return kib * passes, 1024 * kib
    if name == "scrypt":
        n, r, p = numbers
        return n * r * p, 128 * n * r
    return found.cost, 0


CEILINGS = {
    "bcrypt": 2**14,
    "pbkdf2_sha256": 1_000_000,
    "phpass": 2**16 + 1,
    "argon2": 2**19,
    "scrypt": 2**21,
}


@given(HASHES, st.binary(max_size=100))
def test_hash_is_refused_or_within_the_ceilings(text, secret):
    try:
        found = parse(text)
    except UnknownHash:
        return
    units, memory = work(found)
    name = found.kind.partition(" ")[0]
    assert units <= CEILINGS[name]
    assert memory <= foreign_hashes.MAX_MEMORY_BYTES
    if units <= CHEAP[name]:
        assert found.matches(secret) in (True, False)
        spend(found.kind, found.cost, secret)
