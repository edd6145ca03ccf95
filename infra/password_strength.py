"""How easy a password is to guess, estimated by zxcvbn."""

import re
import threading
from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from zxcvbn import matching, zxcvbn
from zxcvbn.frequency_lists import FREQUENCY_LISTS

# 72 characters of the worst kind take 2.5 s, 24 about as long as a bcrypt hash.
ESTIMATED_CHARACTERS = 24
# Several times the number of words in zxcvbn's largest dictionary.
FILTER_BYTES = 1 << 18

# zxcvbn keeps the user's own words in a global variable.
_lock = threading.Lock()


class RankedWords:
    """Ranks by word, as zxcvbn looks them up, in a tenth of the memory that a dict takes.

    Of a word only its hash of 64 bits is kept, so one in 10^14 other words is taken for one.
    """

    def __init__(self, ranks: Mapping[str, int]) -> None:
        pairs = sorted((hash(word), rank) for word, rank in ranks.items())
        self._hashes = array("q", (hashed for hashed, _ in pairs))
        self._ranks = array("H", (rank for _, rank in pairs))
        self._filter = bytearray(FILTER_BYTES)
        for hashed in self._hashes:
            self._filter[hashed % FILTER_BYTES] = True

    def __contains__(self, word: str) -> bool:
        """Return whether a word has a rank."""
        hashed = hash(word)
        # This is all for most parts of a password, of which zxcvbn tries up to a million.
        if not self._filter[hashed % FILTER_BYTES]:
            return False
        index = bisect_left(self._hashes, hashed)
        return index < len(self._hashes) and self._hashes[index] == hashed

    def __getitem__(self, word: str) -> int:
        """Return the rank of a word that is contained."""
        return self._ranks[bisect_left(self._hashes, hash(word))]


@cache
def shrink_dictionaries() -> None:
    """Replace zxcvbn's dicts: their 94,000 words are a sixth of the memory of a process.

    It takes a twelfth of the time of a start, so the first password waits for it, unless a server
    with several processes does it before.
    """
    for name, ranks in matching.RANKED_DICTIONARIES.items():
        matching.RANKED_DICTIONARIES[name] = RankedWords(ranks)
    FREQUENCY_LISTS.clear()


@dataclass(frozen=True)
class Strength:
    """A score from 0 (worst) to 4, and sentences that say why it is not better."""

    score: int
    reasons: list[str]


def estimate_strength(password: str, personal: list[str]) -> Strength:
    """Return the strength of a password; words of the personal texts count as guessable."""
    words = [word for text in personal for word in (text, *re.split(r"[\s@.-]+", text))]
    with _lock:
        shrink_dictionaries()
        estimate = zxcvbn(password[:ESTIMATED_CHARACTERS], words)
    feedback = estimate["feedback"]
    warning = feedback["warning"] or "This password is too easy to guess."
    return Strength(estimate["score"], [warning, *feedback["suggestions"]])
