"""Security events."""

from typing import Any

from flask_restful import Resource

from database.events import StoredEvent
from database.models import User
from schemas.events import AllEventsPageSchema, EventPageSchema, EventSchema, OwnEventSchema
from services import event_reading
from services.token_claims import Claims
from web.decorators import query, requires_user, response
from web.proofs import requires_admin
from web.urls import next_page

Page = tuple[list[StoredEvent], dict[str, str]]


class MyEvents(Resource):
    """What happened to the account of a user."""

    @requires_user
    @query(EventPageSchema)
    @response(OwnEventSchema, many=True, name="listMyEvents")
    def get(self, user: User, claims: Claims, limit: int, after: str | None = None) -> Page:
        """List the events of the user, the newest first; the Link header leads to the next page.

        They are kept for EVENT_DAYS. The IP of somebody else, an admin say, is not shown.
        """
        events, cursor = event_reading.list_page(limit, after, user_id=str(user.id))
        return events, next_page("/api/users/me/events", limit=limit, after=cursor)


class Events(Resource):
    """What happened to all accounts."""

    @requires_admin
    @query(AllEventsPageSchema)
    @response(EventSchema, many=True, name="listEvents")
    def get(
        self, user: User, claims: Claims, limit: int, after: str | None = None, **filters: Any
    ) -> Page:
        """List events, the newest first; the Link header leads to the next page.

        For admins only.
        """
        events, cursor = event_reading.list_page(limit, after, **filters)
        sent = {name.removesuffix("_id"): it for name, it in filters.items()}
        return events, next_page("/api/events", limit=limit, after=cursor, **sent)
