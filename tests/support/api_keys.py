"""API keys of an admin, and what another service asks with one."""

import time
from typing import Any

import requests

from database.models import User
from infra.api_keys import digest, generate
from tests.support.client import ApiClient

KEY_ID = "0123456789abcdef"
KEY = {"name": "Billing", "scopes": ["introspect"]}


def create_key(api: ApiClient, operator: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Create an API key of an admin and return it."""
    response = api.post("/api/keys", token=operator["token"], json=KEY | fields)
    assert response.status_code == 200, response.text
    key: dict[str, Any] = response.json()
    return key


def ask(api: ApiClient, key: str | None, token: Any, **parameters: str) -> requests.Response:
    """Ask about a token with an API key."""
    sent = {"token": token, **parameters}
    return api.post("/api/auth/introspect", token=key, data=sent)


def store_key(user: User) -> str:
    """Give a user of any role an API key, with the id KEY_ID; return its text."""
    text = generate(str(user.id))
    now = {"created_at": time.time(), "expires_at": None, "last_used_at": None}
    key = {**KEY, "digest": digest(text), **now}
    user.modify(**{f"set__api_keys__{KEY_ID}": key})
    return text
