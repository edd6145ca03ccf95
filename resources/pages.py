"""The page behind the link of a reset mail: a plain form, for those without a front end."""

from flask import Response, render_template, request
from flask.views import MethodView

from resources.errors import answer
from resources.request import load, read_body
from resources.schemas import NewPasswordSchema
from services import password_service

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class ResetPage(MethodView):
    """A form for a new password. The token is in its address, so that address goes nowhere else."""

    def get(self, token: str) -> str:
        """Show the form; spends nothing, for mail scanners open links too."""
        password_service.user_of(token)
        return render_template("reset.html", errors={})

    def post(self, token: str) -> str:
        """Set the password."""
        password_service.user_of(token)
        read_body()
        password = load(NewPasswordSchema(), request.form)["password"]
        return render_template("done.html", email=password_service.reset(token, password).email)


def protect(response: Response) -> Response:
    """Keep the page, and the token in its address, out of caches, frames and other hosts' logs."""
    response.headers.update(HEADERS)
    return response


def error_page(error: Exception) -> Response:
    """Answer as for any error, but as a page: the form again, a dead link, or what went wrong."""
    response = answer(error)
    facts = response.get_json()
    page = {400: "reset.html", 401: "dead.html"}.get(facts["status"], "error.html")
    response.set_data(render_template(page, **{"errors": {}, **facts}))
    response.mimetype = "text/html"
    return response
