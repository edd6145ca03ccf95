"""Absolute URLs: from PUBLIC_URL, never from the Host of a request."""

from typing import Any
from urllib.parse import urlencode

from flask import current_app


def public_url(path: str) -> str:
    """Return the URL of a path of this service."""
    base: str = current_app.config["PUBLIC_URL"]
    return base + path


def next_page(path: str, **parameters: Any) -> dict[str, str]:
    """Return the Link header of a list that goes on (RFC 8288)."""
    return {"Link": f'<{public_url(path)}?{urlencode(parameters)}>; rel="next"'}
