"""The pages: a welcome, the documentation, and the form behind the link of a reset mail."""

from flask import Blueprint, Flask, Response, g, render_template, request
from flask.views import MethodView
from werkzeug.exceptions import RequestEntityTooLarge

from resources.errors import answer
from resources.limits import per_ip
from resources.request import answers_page, load, read_body
from resources.schemas import NewPasswordSchema
from services import password_service
from services.errors import (
    BadTokenError,
    ExpiredTokenError,
    SchemaValidationError,
    ServiceUnavailableError,
    UsedTokenError,
)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Swagger UI and mails have styles in their elements.
STYLED_POLICY = POLICY.replace("style-src", "style-src 'unsafe-inline'").replace(
    "img-src", "img-src data:"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
}


class Welcome(MethodView):
    """What a person sees who opens the address of this service."""

    @answers_page()
    def get(self) -> str:
        """Say what this is, and where to go on."""
        return render_template("welcome.html")


class Docs(MethodView):
    """The documentation of the API, to read and to try out."""

    @answers_page()
    def get(self) -> tuple[str, dict[str, str]]:
        """Show every request, with a form to send it."""
        return render_template("docs.html"), {"Content-Security-Policy": STYLED_POLICY}


class ResetPage(MethodView):
    """A form for a new password. The token is in its address, so that address goes nowhere else."""

    @answers_page(BadTokenError, ExpiredTokenError, UsedTokenError, ServiceUnavailableError)
    def get(self, token: str) -> str:
        """Show the form; spends nothing, for mail scanners open links too."""
        g.account = password_service.user_of(token).email
        return render_template("reset.html", errors={})

    @per_ip("RESET")
    @answers_page(
        *(SchemaValidationError, BadTokenError, ExpiredTokenError, UsedTokenError),
        *(RequestEntityTooLarge, ServiceUnavailableError),
        form=NewPasswordSchema,
    )
    def post(self, token: str) -> str:
        """Set the password."""
        g.account = password_service.user_of(token).email
        read_body()
        password = load(NewPasswordSchema(), request.form)["password"]
        return render_template("done.html", email=password_service.reset(token, password).email)


def register_pages(app: Flask, pages: Blueprint) -> None:
    """Let app serve pages, whose errors are pages too."""
    pages.register_error_handler(Exception, error_page)
    pages.after_request(protect)
    app.register_blueprint(pages)


def protect(response: Response) -> Response:
    """Keep the page, and the token in its address, out of caches; let it load from here alone."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def error_page(error: Exception) -> Response:
    """Answer as for any error, but as a page: the form again, a dead link, or what went wrong."""
    response = answer(error)
    facts = response.get_json()
    refused = "dead.html" if facts["status"] == 401 else "error.html"
    page = "reset.html" if "errors" in facts else refused
    response.set_data(render_template(page, **{"errors": {}, **facts}))
    response.mimetype = "text/html"
    return response
