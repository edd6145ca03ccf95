"""Every endpoint that takes a token: the scopes that it accepts, and how a token is sent to it."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import requests
from flask import Flask

from database.models import User
from infra import one_time_codes, secret_box
from services import factor_service
from services.link_service import LINKS
from services.token_service import ACCESS, CHANGE, CONFIRM, INVITE, MFA, PWD_RESET, REFRESH, UNDO
from tests.support.assertions import assert_error
from tests.support.client import NEW_PASSWORD, ApiClient
from tests.support.settings import SECRETS_KEY
from tests.support.tokens import decode_parts, link_token, store_changes

NO_TOKEN = "Bearer"
BAD_TOKEN = 'Bearer error="invalid_token"'
SCOPES = (ACCESS, REFRESH, MFA, *LINKS)
# They belong to a session, the others to a user.
SESSION_SCOPES = (ACCESS, REFRESH)
SECONDS = {
    ACCESS: 900,
    REFRESH: 2_592_000,
    MFA: 300,
    PWD_RESET: 600,
    CONFIRM: 86_400,
    CHANGE: 86_400,
    UNDO: 604_800,
    INVITE: 259_200,
}
# An endpoint that reads a token of this scope and changes nothing.
READING = {
    ACCESS: "verify",
    PWD_RESET: "page",
    CONFIRM: "confirm page",
    CHANGE: "confirm page",
    UNDO: "undo page",
    INVITE: "invite page",
}
NEW = {"password": NEW_PASSWORD}
RECOVERY_CODE = "mzxw-6ytb-ojqx-ezlt-onqw-4ylo"


class TokenEndpoint(NamedTuple):
    """An endpoint that takes a token of one of these scopes."""

    scopes: set[str]
    request: Callable[[ApiClient, str], requests.Response]


def send_in_body(method: str, path: str) -> Callable[[ApiClient, str], requests.Response]:
    """Return a function that sends a refresh token in the body."""
    return lambda api, token: api.request(method, path, json={"refresh_token": token})


def send_with_recovery_code(api: ApiClient, token: str) -> requests.Response:
    """Continue a login by a recovery code of store_factor."""
    body = {"mfa_token": token, "recovery_code": RECOVERY_CODE}
    return api.post("/api/auth/login/mfa", json=body)


def mailed(path: str, field: str, *scopes: str, **fields: str) -> dict[str, TokenEndpoint]:
    """Return an endpoint of mailed tokens twice: a token in the body, and as a bearer token."""

    def send_in_field(api: ApiClient, token: str) -> requests.Response:
        return api.post(path, json={field: token, **fields})

    def send_as_bearer(api: ApiClient, token: str) -> requests.Response:
        return api.post(path, token=token, json=fields or None)

    name = path.rpartition("/")[2]
    return {
        name: TokenEndpoint({*scopes}, send_in_field),
        f"{name} by bearer": TokenEndpoint({*scopes}, send_as_bearer),
    }


def page(url: str, *scopes: str) -> TokenEndpoint:
    """Return the page of a link."""
    return TokenEndpoint({*scopes}, lambda api, token: api.get(url.format(token)))


TOKEN_ENDPOINTS = {
    "verify": TokenEndpoint({ACCESS}, ApiClient.verify),
    "refresh": TokenEndpoint({REFRESH}, ApiClient.refresh),
    "logout": TokenEndpoint({ACCESS, REFRESH}, ApiClient.log_out),
    "refresh by body": TokenEndpoint({REFRESH}, send_in_body("POST", "/api/auth/refresh")),
    "logout by body": TokenEndpoint({REFRESH}, send_in_body("DELETE", "/api/auth/logout")),
    "sessions": TokenEndpoint(
        {ACCESS}, lambda api, token: api.get("/api/auth/sessions", token=token)
    ),
    "me": TokenEndpoint({ACCESS}, lambda api, token: api.get("/api/users/me", token=token)),
    "login/mfa": TokenEndpoint({MFA}, send_with_recovery_code),
    **mailed("/api/auth/reset", "reset_token", PWD_RESET, **NEW),
    **mailed("/api/auth/invite", "invite_token", INVITE, **NEW),
    "page": page("/reset/{}", PWD_RESET),
    **mailed("/api/auth/email/confirm", "confirm_token", CONFIRM, CHANGE),
    **mailed("/api/auth/email/reject", "confirm_token", CONFIRM, CHANGE),
    **mailed("/api/auth/email/undo", "undo_token", UNDO),
    "confirm page": page("/confirm/{}", CONFIRM, CHANGE),
    "undo page": page("/undo/{}", UNDO),
    "invite page": page("/invite/{}", INVITE),
}
PAIRS = [(name, scope) for name in TOKEN_ENDPOINTS for scope in SCOPES]
ACCEPTED = [pair for pair in PAIRS if pair[1] in TOKEN_ENDPOINTS[pair[0]].scopes]
REJECTED = [pair for pair in PAIRS if pair not in ACCEPTED]
EACH_ACCEPTED = pytest.mark.parametrize(("endpoint", "scope"), ACCEPTED)


def send(api: ApiClient, endpoint: str, token: str) -> requests.Response:
    """Send a token to an endpoint."""
    return TOKEN_ENDPOINTS[endpoint].request(api, token)


def assert_rejected(response: requests.Response, error: str = "BadTokenError") -> None:
    """Assert that an endpoint rejects a token; the page of a link says it in HTML."""
    if not response.request.path_url.startswith("/api/"):
        assert response.status_code == 401
        assert response.headers["Content-Type"].startswith("text/html")
    else:
        assert_error(response, 401, error)
    assert response.headers["WWW-Authenticate"] == BAD_TOKEN


def token_of_each_scope(app: Flask, pair: dict[str, Any]) -> dict[str, str]:
    """Return a valid token of each scope, two of them from the pair of a login."""
    user = store_changes(User.objects.get(id=decode_parts(pair["token"])[1]["sub"]))
    store_factor(user)
    with app.app_context():
        mfa_token = factor_service.code_required(user).members["mfa_token"]
    links = {scope: link_token(app, user, scope) for scope in LINKS}
    return {ACCESS: pair["token"], REFRESH: pair["refresh_token"], MFA: mfa_token, **links}


def store_factor(user: User) -> None:
    """Give a user a second factor with one recovery code."""
    secret = secret_box.encrypt(one_time_codes.new_secret(), [SECRETS_KEY])
    totp = {"secret": secret, "step": 0, "version": user.password_version}
    codes = {one_time_codes.digest(RECOVERY_CODE): time.time()}
    user.modify(set__factors={"totp": totp, "recovery_codes": codes})
