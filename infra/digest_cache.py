"""Results that are remembered by the digest of what they were computed from.

A key that is a long text stays in memory as long as its result, and lies where the memory of
requests is: what they free around it can't be given back (docs/performance.md).
"""

import hashlib
from collections.abc import Callable, Hashable
from threading import Lock
from typing import TypeVar

from cachetools import LRUCache, cached

T = TypeVar("T")


def cached_by_digest(size: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Return a decorator that remembers the last so many results by the first argument's digest.

    The others must be hashable. An exception is not remembered.
    """
    return cached(LRUCache(size), _key, Lock(), info=True)


def _key(text: str, *others: Hashable) -> Hashable:
    return hashlib.sha256(text.encode()).digest(), *others
