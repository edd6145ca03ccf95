"""Requests of an admin about other users."""

from typing import Any

import requests

from database.models import User
from tests.support.client import ADA, NEW_PASSWORD, ApiClient


def path_of(email: str = ADA["email"], part: str = "") -> str:
    """Return the path of a user, or of a part of theirs."""
    return f"/api/users/{User.objects.get(email=email).id}{part}"


def switch(
    api: ApiClient, operator: dict[str, Any], disabled: Any, email: str = ADA["email"]
) -> requests.Response:
    """Disable a user, or enable them again."""
    return api.patch(path_of(email), token=operator["token"], json={"disabled": disabled})


def disable(api: ApiClient, operator: dict[str, Any], email: str = ADA["email"]) -> None:
    assert switch(api, operator, True, email).json()["disabled"] is True


def enable(api: ApiClient, operator: dict[str, Any], email: str = ADA["email"]) -> None:
    assert switch(api, operator, False, email).json()["disabled"] is False


def mail_link(
    api: ApiClient, operator: dict[str, Any], email: str = ADA["email"]
) -> requests.Response:
    return api.post(path_of(email, "/reset"), token=operator["token"])


def invite(api: ApiClient, operator: dict[str, Any], **fields: Any) -> requests.Response:
    """Invite Ada, or whom the fields name."""
    body = {"email": ADA["email"], **fields}
    return api.post("/api/users", token=operator["token"], json=body)


def accept(api: ApiClient, token: str, password: str = NEW_PASSWORD) -> requests.Response:
    body = {"invite_token": token, "password": password}
    return api.post("/api/auth/invite", json=body)
