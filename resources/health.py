"""What a load balancer asks, however it asks: no token, and any query will do."""

from flask_restful import Resource

from resources.answers import StatusSchema
from resources.request import answers
from services import health_service
from services.errors import ServiceUnavailableError

Answer = tuple[dict[str, str], int, dict[str, str]]

NOW_ONLY = {"Cache-Control": "no-store"}


class Health(Resource):
    """The process."""

    @answers(StatusSchema)
    def get(self) -> Answer:
        """Say that it lives; touches nothing."""
        return {"status": "alive"}, 200, NOW_ONLY


class Readiness(Resource):
    """All that the process needs in order to serve."""

    @answers(StatusSchema, ServiceUnavailableError)
    def get(self) -> Answer:
        """Say that it is there."""
        health_service.check()
        return {"status": "ready"}, 200, NOW_ONLY
