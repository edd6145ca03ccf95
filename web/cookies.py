"""The refresh token of a browser in a cookie: named, set, read and removed here alone.

No script can read it (HttpOnly), no page of another site can send it (SameSite), no other host can
set it (`__Host-`). A sibling host is the same site to a browser, so the Origin is checked too.
"""

from flask import Response, after_this_request, current_app, request
from werkzeug.http import dump_cookie

from infra.http_host import origin_of
from services import event_service
from services.errors import BadTokenError, ForbiddenError, SupersededTokenError
from services.event_service import Event

COOKIE = "__Host-refresh"
FOREIGN_ORIGIN = "ForeignOrigin"


def cookie_header(token: str, max_age: int) -> str:
    """Return the Set-Cookie header that keeps a token for so many seconds; 0 removes it."""
    return dump_cookie(
        COOKIE,
        token,
        max_age,
        path="/",
        secure=True,
        httponly=True,
        samesite="Strict",
        sync_expires=False,  # Expires would depend on the browser's clock
    )


def require_own_origin(is_optional: bool = False) -> None:
    """Require that a request comes from a page of PUBLIC_URL or CORS_ORIGINS.

    Where it is optional, the request may name no origin: then it is no browser's.

    Raises:
        ForbiddenError
    """
    origin = request.headers.get("Origin")
    own = origin_of(current_app.config["PUBLIC_URL"]), *current_app.config["CORS_ORIGINS"]
    if origin not in own and not (is_optional and origin is None):
        event_service.record(Event.TOKEN_REFUSED, reason=FOREIGN_ORIGIN)
        raise ForbiddenError


def read_cookie() -> str | None:
    """Return the refresh token in the cookie, or None; a 401 of the request will remove it.

    Raises:
        ForbiddenError: the request does not come from a page of ours.
        BadTokenError: the cookie is there twice, which no browser allows.
    """
    values = _read_values()
    if not values:
        return None
    require_own_origin()
    after_this_request(_remove_if_refused)
    if len(values) > 1:
        raise BadTokenError
    return values[0]


def _read_values() -> list[str]:
    r"""Return the values of the cookie, of which there should be one.

    Werkzeug's parser strips more than spaces: `\u2000__Host-refresh`, which a browser lets a
    sibling host set, would be ours.
    """
    pairs = request.headers.get("Cookie", "").split(";")
    named = [pair.strip(" ").partition("=") for pair in pairs]
    return [value for name, _, value in named if name == COOKIE]


def remove_cookie(is_own: bool = True) -> None:
    """Remove the cookie from the browser with the response, if the request had it.

    It is kept if what ended is not the browser's own session, or user.
    """
    if is_own and _read_values():
        after_this_request(_remove)


def _remove(response: Response) -> Response:
    response.headers["Set-Cookie"] = cookie_header("", 0)
    return response


def _remove_if_refused(response: Response) -> Response:
    """Remove a cookie that will never be accepted again.

    A token that was replaced is not one: the browser may have the next one by now, with the
    response to another tab.
    """
    if response.status_code != 401 or response.get_json()["error"] == SupersededTokenError.__name__:
        return response
    return _remove(response)
