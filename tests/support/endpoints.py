"""Every endpoint of the API with a valid body and the token it needs, read off the URL map."""

from typing import Any

import pytest

from database.models import ADMIN, User
from resources.routes import API_ROUTES
from services.token_service import ACCESS, REFRESH

TOKEN_NAMES = {(ACCESS,): "token", (ACCESS, REFRESH): "token", (REFRESH,): "refresh_token"}


def _example(field: Any) -> Any:
    if "examples" in field.metadata:
        return field.metadata["examples"][0]
    return [_example(field.inner)]


def _endpoint(path: str, method: str, resource: Any) -> tuple[str, str, dict[str, Any], str | None]:
    operation = getattr(resource, method.lower()).operation
    fields = operation.body().fields
    body = {name: _example(field) for name, field in fields.items() if field.required}
    return method, path, body, TOKEN_NAMES.get(operation.scopes)


# Method, path, valid body, and the name of the token in the response of login.
ENDPOINTS = [
    _endpoint(path, method, resource)
    for path, resource in API_ROUTES.items()
    if path.startswith("/api/")
    for method in sorted(resource.methods)
]
EACH_ENDPOINT = pytest.mark.parametrize(
    ("method", "path", "body", "token"),
    ENDPOINTS,
    ids=[f"{method} {path}" for method, path, *_ in ENDPOINTS],
)


def path_for_admin(path: str) -> str:
    """Make the only user an admin, so that nothing but the request is wrong; fill in its ids."""
    user = User.objects.get()
    User.objects.update(set__role=ADMIN)
    session_id = next(iter(user.sessions))
    return path.replace("<user_id>", str(user.id)).replace("<session_id>", session_id)
