"""The stored events, as users and operators read them."""

from typing import Any

from database.events import StoredEvent


def list_page(
    limit: int, after: str | None = None, **filters: Any
) -> tuple[list[StoredEvent], str | None]:
    """Return events, the newest first, and the cursor of the next page if more follow.

    Filters are `user_id`, of whom they are about, and the name of the `event`.
    """
    page = StoredEvent.find_page(filters, limit + 1, after)
    return page[:limit], str(page[limit - 1].id) if len(page) > limit else None
