"""Requests about passkeys, by users whose device is a software authenticator."""

from typing import Any

import requests

from database.models import Job, User
from tests.support.authenticator import (
    ES256,
    Passkey,
    assertion,
    new_passkey,
    registration,
    to_bytes,
)
from tests.support.client import ApiClient
from tests.support.factor_client import reauthenticate

NAME = "Ada's phone"


def creation_options(api: ApiClient, token: str) -> dict[str, Any]:
    """Return options for a new passkey of the user of an access token."""
    response = api.post("/api/auth/passkeys/options", token=token)
    assert response.status_code == 200, response.text
    options: dict[str, Any] = response.json()
    return options


def make_passkey(options: dict[str, Any], algorithm: int = ES256, **about: Any) -> Passkey:
    """Create a passkey of the user of creation_options."""
    return new_passkey(to_bytes(options["user"]["id"]), algorithm, **about)


def add(api: ApiClient, token: str, credential: Any, **fields: Any) -> requests.Response:
    body = {"credential": credential} | fields
    return api.post("/api/auth/passkeys", token=token, json=body)


def add_passkey(api: ApiClient, token: str, sign_count: int = 0, **changes: Any) -> Passkey:
    """Create and store a passkey of the user of an access token; `registration` is changed so."""
    options = creation_options(api, token)
    passkey = make_passkey(options, sign_count=sign_count)
    response = add(api, token, registration(passkey, options, **changes), name=NAME)
    assert response.status_code == 200, response.text
    return passkey


def listed(api: ApiClient, token: str) -> list[dict[str, Any]]:
    """Return the passkeys of the user of an access token."""
    response = api.get("/api/auth/passkeys", token=token)
    assert response.status_code == 200, response.text
    passkeys: list[dict[str, Any]] = response.json()
    return passkeys


def login_options(api: ApiClient) -> dict[str, Any]:
    """Return options for a login, or a reauthentication, by passkey."""
    response = api.post("/api/auth/login/passkey/options")
    assert response.status_code == 200, response.text
    options: dict[str, Any] = response.json()
    return options


def send_login(api: ApiClient, credential: Any) -> requests.Response:
    return api.post("/api/auth/login/passkey", json={"credential": credential})


def log_in(api: ApiClient, passkey: Passkey, **changes: Any) -> requests.Response:
    """Log in by passkey with a challenge of its own, and what `assertion` changes."""
    return send_login(api, assertion(passkey, login_options(api), **changes))


def reauthenticate_by(
    api: ApiClient, token: str, passkey: Passkey, **changes: Any
) -> requests.Response:
    """Reauthenticate by passkey, with a challenge of its own, and what `assertion` changes."""
    credential = assertion(passkey, login_options(api), **changes)
    return reauthenticate(api, token, credential=credential)


def stored_session() -> Any:
    """Return the only session of the only user."""
    (session,) = User.objects.get().sessions.values()
    return session


def queued_mails() -> list[str]:
    """Return the kinds of the emails that are queued, oldest first."""
    return [job.arguments["mail"] for job in Job.objects.order_by("created_at")]
