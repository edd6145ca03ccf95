"""Which keys can be guessed: who has one signs tokens of any user, or decrypts stored secrets."""

import hashlib
import os
import re
from collections.abc import Iterator
from functools import lru_cache

from zxcvbn import zxcvbn

# SHA-256 of keys that anyone can look up.
PUBLISHED = {
    "d7216bdac69fffbaf53745b97d03b68954eb1e4bc86e21e8ecb7536d4d6a1433": "the Movie-bag tutorial",
    "2598f7d6adc142d88161630f3db12ab2bd3403521c281811e5e1ce60d4ac5d76": "Flask's documentation",
    "570dad43de1af4c925f92c16a68a50936da42b7dd6fdeb24850507a1199aac89": "FastAPI's documentation",
    "8b1b17a9740c068accab5c3d0d652c8e3cc13206e70bb73b42ea41d4c2de3c12": "RFC 7515",
    "0330b11998cbc9abd5a585e755cb5df2f73f1a5632fdcc2abb19e05e3eceddb9": "RFC 7520",
    "3354cfcf65c7b2e6840ea6f880aede239750cb1d063950c4e8fd9fbf9ec73a32": "a tutorial of Spring",
    "5df73e1aa59d8f332c2f5fd6ea1c37d0f2266b623ea3c4efe6cb3d577fd6a5e1": "another of Spring",
    "bf0b62edab9c25ed15d8ad7487c3e0a987c279f477c98cc00863147ecb4d9d71": "another of Spring",
}
PLACEHOLDER = re.compile("secret|change.?me|example|password|placeholder|your.?key", re.IGNORECASE)
# No generator writes blanks, or letters of one case without a digit.
PHRASE = re.compile(r"\s|\A([a-z\W_]+|[A-Z\W_]+)\Z")
# zxcvbn takes 15 ms for so many. Of 32 random ones, 10^29 and more guesses are usual, and the worst
# of 1,500 took 10^26.9.
ESTIMATED_CHARACTERS = 32
MIN_GUESSES_LOG10 = 26
GENERATE = "`APP_ENV=development flask --app app secret`"


def reasons_against(keys: list[str], min_bytes: int, advice: str = "") -> Iterator[str]:
    """Yield what is wrong with keys, each by its place in the list, never by its text.

    `advice` follows each that can be guessed.
    """
    lengths = [len(os.fsencode(key)) for key in keys]
    if min(lengths, default=0) < min_bytes:
        yield f"Needs at least {min_bytes} bytes in production."
    for number, (key, length) in enumerate(zip(keys, lengths, strict=True), 1):
        if length >= min_bytes and is_guessable(key):
            # A key that only verifies matters as much: it signs for who has guessed it.
            yield f"Key {number} can be guessed: generate another, {GENERATE}. {advice}".rstrip()


@lru_cache(8)  # half of what it takes to create an application, which the tests do 5,000 times
def is_guessable(key: str) -> bool:
    """Return whether a key is published, a placeholder, or made of words, repeats or sequences."""
    is_published = hashlib.sha256(os.fsencode(key)).hexdigest() in PUBLISHED
    if is_published or PLACEHOLDER.search(key) or PHRASE.search(key):
        return True
    text = re.sub(r"[-_.\s]", "", key) or "-"
    # One half that is random is enough.
    halves = (text[:ESTIMATED_CHARACTERS], text[-ESTIMATED_CHARACTERS:])
    return all(zxcvbn(half)["guesses_log10"] < MIN_GUESSES_LOG10 for half in halves)
