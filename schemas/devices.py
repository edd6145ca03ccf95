"""What responses say of the device of a user."""

from typing import Any

from marshmallow import fields

from database.models import Stored
from infra.user_agent import describe

DEVICE: dict[str, Any] = {
    "type": "string",
    "examples": ["Firefox on Linux"],
    "description": "Its browser and system, if they are known.",
}


class Device(fields.Function):
    """The browser and the system of a session."""

    def __init__(self) -> None:
        """Read the user agent."""
        super().__init__(_device_of, required=True, metadata=DEVICE)


def _device_of(session: Stored) -> str:
    return describe(session.get("user_agent", ""))
