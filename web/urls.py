"""Absolute URLs, from PUBLIC_URL and never from the Host of a request; and parts of paths."""

from typing import Any
from urllib.parse import urlencode

from flask import current_app
from werkzeug.routing import BaseConverter


def public_url(path: str) -> str:
    """Return the URL of a path of this service."""
    base: str = current_app.config["PUBLIC_URL"]
    return base + path


def next_page(path: str, **parameters: Any) -> dict[str, str]:
    """Return the Link header of a list that goes on `after` something (RFC 8288), or none."""
    if not parameters["after"]:
        return {}
    sent = {name: _text(value) for name, value in parameters.items()}
    return {"Link": f'<{public_url(path)}?{urlencode(sent)}>; rel="next"'}


def _text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


class PathPart(BaseConverter):
    """An id or a token in a path: not the word that is a route beside it."""

    regex = r"(?!options\Z)[^/]+"
