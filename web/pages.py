"""HTML pages: their headers, and errors as pages."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Flask, Response, g, render_template

from web.errors import error_response

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Swagger UI and emails have styles in their elements.
STYLED_POLICY = POLICY.replace("style-src", "style-src 'unsafe-inline'").replace(
    "img-src", "img-src data:"
)
HEADERS = {"Cache-Control": "no-store", "Content-Security-Policy": POLICY}


def register_pages(app: Flask, name: str, routes: Mapping[str, Any]) -> None:
    """Serve pages, a view for each URL, whose errors are pages too."""
    pages = Blueprint(name, __name__, root_path=app.root_path)
    for url, view in routes.items():
        pages.add_url_rule(url, url, view.as_view(view.__name__))
    pages.register_error_handler(Exception, error_page)
    pages.after_request(add_headers)
    app.register_blueprint(pages)


def add_headers(response: Response) -> Response:
    """Keep a page, and the token in its URL, out of caches, and load only from this host."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def error_page(error: Exception) -> Response:
    """Return the response to an error as a page: the form again, an invalid link, or a message."""
    response = error_response(error)
    body: dict[str, Any] = response.get_json()
    template = "invalid_link.html" if body["status"] == 401 else "error.html"
    if "errors" in body:
        template = g.get("form_template", template)
    response.set_data(render_template(template, **{"errors": {}, **body}))
    response.mimetype = "text/html"
    return response
