"""Every endpoint of the API with a valid body and the token it needs, read off the URL map."""

import time
from typing import Any

import pytest
from marshmallow.fields import Nested

from database.models import ADMIN, User
from database.passkeys import Passkey
from infra import one_time_codes, secret_box
from resources.routes import API_ROUTES
from services.token_service import ACCESS, REFRESH
from tests.support.api_keys import KEY_ID, store_key
from tests.support.settings import SECRETS_KEY
from web.json_response import JSON

TOKEN_NAMES = {(ACCESS,): "token", (ACCESS, REFRESH): "token", (REFRESH,): "refresh_token"}


TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
RECOVERY_CODE = "mzxw-6ytb-ojqx-ezlt-onqw-4ylo"


def _example(field: Any) -> Any:
    if "examples" in field.metadata:
        return field.metadata["examples"][0]
    if isinstance(field, Nested):
        return _examples(field.schema.fields)
    return [_example(field.inner)]


def _examples(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _example(field) for name, field in fields.items() if field.required}


def _endpoint(path: str, method: str, resource: Any) -> tuple[str, str, dict[str, Any], str | None]:
    operation = getattr(resource, method.lower()).operation
    schema = operation.body()
    sent = {name for name, field in schema.fields.items() if field.required} | {*schema.one_of[:1]}
    body = {name: _example(field) for name, field in schema.fields.items() if name in sent}
    return method, path, body, TOKEN_NAMES.get(operation.scopes)


# Method, path, valid body, and the name of the token in the response of login. Introspection, whose
# body is a form, is not among them.
ENDPOINTS = [
    _endpoint(path, method, resource)
    for path, resource in API_ROUTES.items()
    if path.startswith("/api/")
    for method in sorted(resource.methods)
    if getattr(resource, method.lower()).operation.media_type == JSON
]
EACH_ENDPOINT = pytest.mark.parametrize(
    ("method", "path", "body", "token"),
    ENDPOINTS,
    ids=[f"{method} {path}" for method, path, *_ in ENDPOINTS],
)


def path_for_admin(path: str) -> str:
    """Make the only user a verified admin, so that nothing but the request is wrong.

    Return the path with ids of the user.
    """
    user = User.objects.get()
    User.objects.update(set__role=ADMIN, set__verified_at=1.0)
    session_id = next(iter(user.sessions))
    store_key(user)
    path = path.replace("<user_id>", str(user.id)).replace("<session_id>", session_id)
    return path.replace("<key_id>", KEY_ID)


def path_of_passkey(path: str) -> str:
    """Store a passkey of the only user, if a path is one's, and return the path with its id."""
    if "<passkey_id>" not in path:
        return path
    user_id = str(User.objects.get().id)
    fields = {"user_id": user_id, "credential_id": "AA", "public_key": "AA", "name": "A phone"}
    passkey = Passkey.objects.first() or Passkey(**fields).save()
    return path.replace("<passkey_id>", str(passkey.id))


def store_totp(is_in_force: bool) -> None:
    """Give the only user a second factor, or one that its newest session is adding."""
    user = User.objects.get()
    now, session_id = time.time(), next(iter(user.sessions))
    stored = {"secret": secret_box.encrypt(TOTP_SECRET, [SECRETS_KEY])}
    totp = {**stored, "step": 0, "version": 0}
    pending = {**stored, "session_id": session_id, "created_at": now}
    codes = {one_time_codes.digest(RECOVERY_CODE): 0}
    in_force = {"totp": totp, "recovery_codes": codes}
    user.modify(set__factors=in_force if is_in_force else {"pending_totp": pending})
