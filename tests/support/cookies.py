"""A browser's requests with the refresh token in its cookie, made by hand."""

from typing import Any

import requests

from tests.support.client import ADA, ApiClient

COOKIE = "__Host-refresh"
# PUBLIC_URL of the tests' application.
OWN_ORIGIN = "https://movie-bag.example"
ATTRIBUTES = ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"]

Headers = dict[str, Any]


def with_cookie(token: str, **headers: Any) -> Headers:
    """Return the headers of a page of ours whose browser has this refresh token."""
    return {"Cookie": f"{COOKIE}={token}", "Origin": OWN_ORIGIN, **headers}


def log_in_with_cookie(api: ApiClient, **headers: str) -> requests.Response:
    """Log Ada in, from a browser that keeps the refresh token in the cookie."""
    return api.post("/api/auth/login", json={**ADA, "cookie": True}, headers=headers)


def refresh_with_cookie(api: ApiClient, token: str, **headers: Any) -> requests.Response:
    return api.post("/api/auth/refresh", headers=with_cookie(token, **headers))


def log_out_with_cookie(api: ApiClient, token: str, **headers: Any) -> requests.Response:
    return api.delete("/api/auth/logout", headers=with_cookie(token, **headers))


def set_cookie(response: requests.Response) -> tuple[str, int]:
    """Return value and Max-Age of the cookie that a response sets, with the right attributes."""
    pair, *attributes = response.headers["Set-Cookie"].split("; ")
    name, _, value = pair.partition("=")
    (max_age,) = [it for it in attributes if it.startswith("Max-Age=")]
    assert name == COOKIE
    assert sorted({*attributes} - {max_age}) == ATTRIBUTES
    return value, int(max_age.partition("=")[2])


def kept_token(response: requests.Response) -> str:
    """Return the refresh token that a response keeps in the cookie, and nowhere else."""
    assert response.status_code == 200, response.text
    value, max_age = set_cookie(response)
    assert max_age > 0
    assert "refresh_token" not in response.json()
    assert value not in response.text
    assert response.headers["Cache-Control"] == "no-store"
    return value


def is_removed(response: requests.Response) -> bool:
    """Return whether a response removes the cookie; else assert that it leaves it alone."""
    if "Set-Cookie" not in response.headers:
        return False
    assert set_cookie(response) == ("", 0)
    return True
