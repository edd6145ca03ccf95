"""API keys of admins, for other services."""

from typing import Any

from flask_restful import Resource

from database.models import Stored, User
from schemas.api_keys import CreateKeySchema, KeySchema, NewKeySchema
from schemas.base import MessageSchema
from services import api_key_service, errors
from services.token_claims import Claims
from web.decorators import body, no_input, response
from web.proofs import recent_session, requires_admin
from web.rate_limits import limit_by_user


class ApiKeys(Resource):
    """The API keys of an admin."""

    @requires_admin
    @no_input
    @response(KeySchema, many=True, name="listKeys")
    def get(self, user: User, claims: Claims) -> list[Stored]:
        """List the keys of the user, newest first."""
        return api_key_service.list_all(user)

    @requires_admin
    @recent_session
    @limit_by_user("WRITES")
    @body(CreateKeySchema)
    @response(NewKeySchema, errors.ConflictError, name="createKey", location="/api/keys/{id}")
    def post(self, user: User, claims: Claims, **fields: Any) -> dict[str, Any]:
        """Create a key. The response alone has its text."""
        return api_key_service.create(user, **fields)


class ApiKey(Resource):
    """One API key."""

    @requires_admin
    @no_input
    @response(KeySchema, errors.KeyNotExistsError, name="getKey")
    def get(self, user: User, claims: Claims, key_id: str) -> Stored:
        """Return the key, without its text."""
        return api_key_service.get(user, key_id)

    @requires_admin
    @no_input
    @response(MessageSchema, errors.KeyNotExistsError, name="removeKey")
    def delete(self, user: User, claims: Claims, key_id: str) -> dict[str, str]:
        """Remove the key: it opens nothing from now on."""
        api_key_service.remove(user, key_id)
        return {"message": "The key is removed"}
