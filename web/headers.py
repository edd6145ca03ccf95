"""The security headers of every response, and which origins may read it (CORS)."""

import re

from flask import Flask, Response, request
from flask_cors import CORS

from config import PRODUCTION

# OWASP REST Security Cheat Sheet.
HEADERS = {
    # The JSON holds names that users chose: no browser may take it for a page or a script.
    "X-Content-Type-Options": "nosniff",
    # For browsers that don't know frame-ancestors.
    "X-Frame-Options": "DENY",
    # A path may hold a token.
    "Referrer-Policy": "no-referrer",
}
# Opened in a browser, a response loads and runs nothing and can't be framed. A page that needs
# more has a policy of its own.
POLICY_HEADER = "Content-Security-Policy"
POLICY = "default-src 'none'; frame-ancestors 'none'"
# For a year browsers use TLS only, so that no token is sent in the clear (RFC 6797). Without
# includeSubDomains, because other hosts are not ours.
HSTS = {"Strict-Transport-Security": "max-age=31536000"}

API = "/api/"
PREFLIGHT_SECONDS = 600
# The last three are added by front ends that trace their requests (W3C Trace Context).
REQUEST_HEADERS = ["Authorization", "Content-Type", "traceparent", "tracestate", "X-Request-ID"]
RESPONSE_HEADERS = ["Link", "Location", "Retry-After", "WWW-Authenticate", "X-Request-ID"]
READ_ONLY = ("GET", "HEAD", "OPTIONS")


def initialize_headers(app: Flask) -> None:
    """Add the security headers to every response, and a policy and no-store unless it has them."""
    headers = HEADERS | (HSTS if app.config["APP_ENV"] == PRODUCTION else {})

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.extend(headers)
        response.headers.setdefault(POLICY_HEADER, POLICY)
        if _is_personal():
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def _is_personal() -> bool:
    """Return whether the response may be for one user alone; errors are meant too."""
    return "Authorization" in request.headers or request.method not in READ_ONLY


def initialize_cors(app: Flask) -> None:
    """Allow the origins of CORS_ORIGINS, if there are any, to read the responses of the API.

    They may send the cookie with a refresh token (web/cookies.py).
    """
    if app.config["CORS_ORIGINS"]:
        app.after_request(_vary_by_origin)
        CORS(
            app,
            resources=f"{API}.*",
            origins=[re.compile(rf"{re.escape(it)}\Z") for it in app.config["CORS_ORIGINS"]],
            supports_credentials=True,
            allow_headers=REQUEST_HEADERS,
            expose_headers=RESPONSE_HEADERS,
            max_age=PREFLIGHT_SECONDS,
            always_send=False,  # without an Origin it is no browser's cross-origin request
            vary_header=False,  # it would be missing where the origin is not allowed
            intercept_exceptions=False,  # they are responses by then
        )


def _vary_by_origin(response: Response) -> Response:
    """Prevent caches from giving one origin the response to another."""
    if request.path.startswith(API):
        response.vary.add("Origin")
    return response
