"""The headers of every answer, errors and files too, and who may read them from another origin."""

from flask import Flask, Response, request
from flask_cors import CORS

from config import PRODUCTION

# From the OWASP REST Security Cheat Sheet, and the reason for each.
HEADERS = {
    # Names that people chose are in the JSON: no browser may take them for a page or a script.
    "X-Content-Type-Options": "nosniff",
    # The same of frames, for browsers that don't know frame-ancestors.
    "X-Frame-Options": "DENY",
    # A path may hold a token.
    "Referrer-Policy": "no-referrer",
}
# Opened in a browser, an answer loads and runs nothing, and stands in no one's frame. What needs
# more says so in a policy of its own.
POLICY = "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"
# For a year no browser asks without TLS, and so never sends a token in the clear (RFC 6797). It
# speaks for this host alone: of its subdomains we know nothing.
HSTS = {"Strict-Transport-Security": "max-age=31536000"}

API = "/api/"
PREFLIGHT_SECONDS = 600


def initialize_headers(app: Flask) -> None:
    """Give every answer its headers, and the policy unless it has one."""
    headers = HEADERS | (HSTS if app.config["APP_ENV"] == PRODUCTION else {})

    @app.after_request
    def complete(response: Response) -> Response:
        response.headers.extend(headers)
        response.headers.setdefault(*POLICY)
        return response


def initialize_cors(app: Flask) -> None:
    """Let pages of CORS_ORIGINS, if there are any, read what the API answers.

    Tokens travel in a header that only a client of ours sets: the browser's own credentials are
    not let through.
    """
    if app.config["CORS_ORIGINS"]:
        app.after_request(_vary)
        CORS(
            app,
            resources=f"{API}.*",
            origins=app.config["CORS_ORIGINS"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Link", "Retry-After", "X-Request-ID"],
            max_age=PREFLIGHT_SECONDS,
            always_send=False,  # without an Origin, no browser asks
            vary_header=False,  # it would be missing where the origin is not one of ours
            intercept_exceptions=False,  # they are answers by then
        )


def _vary(response: Response) -> Response:
    """Let no cache give one origin the answer to another."""
    if request.path.startswith(API):
        response.vary.add("Origin")
    return response
