"""Lists of any length, read a page at a time and printed as they are read."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from database.db import BATCH_SIZE

T = TypeVar("T")


def read_pages(list_page: Callable[..., tuple[list[T], str | None]], **filters: Any) -> Iterator[T]:
    """Yield everything that list_page returns, page by page."""
    after: str | None = ""
    while after is not None:
        page, after = list_page(BATCH_SIZE, after, **filters)
        yield from page
