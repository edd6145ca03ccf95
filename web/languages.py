"""The language of a request: that of the link's user, or what the browser prefers."""

from flask import g, has_request_context, request

from services import languages


def preferred_locale() -> str:
    """Return the one of MAIL_LOCALES that the request's Accept-Language prefers."""
    return languages.best_match(request.headers.get("Accept-Language", ""))


def select_locale() -> str | None:
    """Return the locale of a page that a mailed link opens; every other page is in English.

    A view sets `g.link_user` as soon as it has read the token in its URL.
    """
    if not has_request_context() or "token" not in (request.view_args or {}):
        return None
    return languages.locale_of(g.link_user) if "link_user" in g else preferred_locale()
