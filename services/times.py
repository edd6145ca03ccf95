"""Times, as answers show them."""

from datetime import UTC, datetime


def iso(seconds: float) -> str:
    """Return seconds since the epoch as ISO 8601 in UTC, with Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")[:-6] + "Z"
