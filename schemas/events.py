"""Requests and responses of security events."""

from typing import Any

from marshmallow import fields, post_dump
from marshmallow.validate import OneOf

from schemas.base import EXAMPLE_ID, IdSchema, RequestSchema, Text, Timestamp
from schemas.fields import Id, IdCursor, Limit, LimitedText
from services.event_service import STORED

NAMES = sorted(event.value for event in STORED)
NAME = {"title": "EventName"}
ABOUT_COUNT = "How often it happened within an hour since `at`; missing if that was once."


class EventPageSchema(RequestSchema):
    """A part of the list of a user's events."""

    limit = Limit()
    after = IdCursor()


class AllEventsPageSchema(EventPageSchema):
    """A part of the list of all events."""

    user = Id("Only the events of the user with this id.", attribute="user_id")
    event = LimitedText(100, NAME | {"description": "Only these."}, validate=OneOf(NAMES))


class EventSchema(IdSchema):
    """What happened to an account; `by` is the id of another user who did it, or `shell`."""

    event = fields.String(required=True, validate=OneOf(NAMES), metadata=NAME)
    user = Text(example=EXAMPLE_ID, attribute="user_id", allow_none=True)
    by = Text(example=EXAMPLE_ID, allow_none=True)
    ip = Text(example="203.0.113.7", allow_none=True)
    at = Timestamp(about="The time of it, or of the first of several.")
    count = fields.Integer(metadata={"examples": [3], "description": ABOUT_COUNT})

    @post_dump
    def _leave_out(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        if data["count"] == 1:
            del data["count"]
        return data


class OwnEventSchema(EventSchema):
    """An event as the user sees it: without the IP of somebody else."""

    ip = Text(
        example="203.0.113.7",
        about="Missing if somebody else did it.",
        allow_none=True,
        required=False,
    )

    @post_dump
    def _leave_out_ip(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        if data["by"]:
            del data["ip"]
        return data
