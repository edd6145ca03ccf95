"""Health checks for load balancers: without a token, with any query."""

from flask_restful import Resource

from schemas.base import ReadinessSchema, StatusSchema
from services import health_service
from services.errors import ServiceUnavailableError
from web.decorators import response

NO_STORE = {"Cache-Control": "no-store"}


class Health(Resource):
    """The process."""

    @response(StatusSchema, headers=NO_STORE, name="checkHealth")
    def get(self) -> dict[str, str]:
        """Check that the process is running; uses nothing else."""
        return {"status": "alive"}


class Readiness(Resource):
    """Everything that the process needs to serve."""

    @response(ReadinessSchema, ServiceUnavailableError, headers=NO_STORE, name="checkReadiness")
    def get(self) -> dict[str, str]:
        """Check readiness: the database decides, delayed mail is only reported."""
        return health_service.check()
