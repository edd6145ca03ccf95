"""Hashes that the next login replaces: of fewer rounds, or of another system. Counted by index."""

from database.hash_kinds import HashKind
from database.models import User

MIN_ROUNDS = 4


def count_by_rounds(rounds: int) -> dict[int, int]:
    """Return how many users have a bcrypt hash of each lower number of rounds."""
    return {lower: _count_of(lower) for lower in range(MIN_ROUNDS, rounds)}


def _count_of(rounds: int) -> int:
    beginning = f"$2b${rounds:02}"
    # "%" follows "$" in ASCII.
    hashes = {"password": {"$gte": f"{beginning}$", "$lt": f"{beginning}%"}}
    return int(User.objects(__raw__=hashes).count())


def count_by_kind() -> dict[str, int]:
    """Return how many users have a hash of each kind of other systems."""
    return {it.kind: int(User.objects(foreign_kind=it.kind).count()) for it in HashKind.objects}
