"""What responses say of the device of a user."""

from typing import Any

from database.models import Stored
from infra.user_agent import describe
from schemas.base import Computed

DEVICE: dict[str, Any] = {
    "type": "string",
    "examples": ["Firefox on Linux"],
    "description": "Its browser and system, if they are known.",
}


class Device(Computed):
    """The browser and the system of a session."""

    def __init__(self) -> None:
        """Read the user agent."""
        super().__init__(_device_of, **DEVICE)


def _device_of(session: Stored) -> str:
    return describe(session.get("user_agent", ""))
