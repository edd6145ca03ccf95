"""How easy a password is to guess, estimated by zxcvbn."""

import re
import threading
from dataclasses import dataclass

from zxcvbn import zxcvbn

# 72 characters of the worst kind take 2.5 s, 24 about as long as a bcrypt hash.
ESTIMATED_CHARACTERS = 24

# zxcvbn keeps the user's own words in a global variable.
_lock = threading.Lock()


@dataclass(frozen=True)
class Strength:
    """A score from 0 (worst) to 4, and sentences that say why it is not better."""

    score: int
    reasons: list[str]


def estimate_strength(password: str, personal: list[str]) -> Strength:
    """Return the strength of a password; words of the personal texts count as guessable."""
    words = [word for text in personal for word in (text, *re.split(r"[\s@.-]+", text))]
    with _lock:
        estimate = zxcvbn(password[:ESTIMATED_CHARACTERS], words)
    feedback = estimate["feedback"]
    warning = feedback["warning"] or "This password is too easy to guess."
    return Strength(estimate["score"], [warning, *feedback["suggestions"]])
