"""The pages: a welcome, the documentation, and the form behind the link of a reset email."""

from flask import g, render_template
from flask.views import MethodView

from resources import book
from schemas.auth import NewPasswordSchema
from schemas.base import load
from services import password_service
from web.body import read_form
from web.pages import STYLED_POLICY
from web.rate_limits import limit_by_ip


class Welcome(MethodView):
    """The start page."""

    def get(self) -> str:
        """Show what this is, and where to continue."""
        return render_template("welcome.html", has_book=book.is_served())


class Docs(MethodView):
    """The documentation of the API, to read and to try out."""

    def get(self) -> tuple[str, dict[str, str]]:
        """Show every request, with a form to send it."""
        return render_template("docs.html"), {"Content-Security-Policy": STYLED_POLICY}


class ResetPage(MethodView):
    """A form for a new password. The token is in its URL, so that URL is sent nowhere else."""

    def get(self, token: str) -> str:
        """Show the form; the token stays valid, because mail scanners open links too."""
        g.account = password_service.user_from_reset_token(token).email
        return render_template("reset_password.html", errors={})

    @limit_by_ip("RESET")
    def post(self, token: str) -> str:
        """Set the password."""
        form = read_form()
        user = password_service.user_from_reset_token(token)
        g.account = user.email
        fields = load(NewPasswordSchema(), form, user)
        password_service.reset_password(user, fields["password"])
        return render_template("password_set.html", email=user.email)
