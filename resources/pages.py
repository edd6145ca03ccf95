"""The pages: a welcome, the documentation, and what the links of emails lead to.

Opening a link changes nothing, because mail scanners open links too: a button does.
"""

from flask import g, render_template
from flask.views import MethodView

from database.factors import describe_factors
from resources import book
from schemas.auth import NewPasswordSchema
from schemas.base import load
from services import email_change_service, email_service, invitation_service, password_service
from services.token_service import CHANGE
from web.body import read_form
from web.operation import NoFields
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
        """Show the form; the token stays valid."""
        g.link_user, _ = password_service.open_reset_link(token)
        return render_template("reset_password.html", errors={})

    @limit_by_ip("RESET")
    def post(self, token: str) -> str:
        """Set the password."""
        form = read_form()
        g.form_template = "reset_password.html"
        user, _ = password_service.open_reset_link(token)
        g.link_user = user
        fields = load(NewPasswordSchema(), form, user)
        password_service.reset_password(user, fields["password"])
        factors = describe_factors(user)
        return render_template("password_set.html", email=user.email, factors=factors)


class InvitePage(MethodView):
    """A form for the first password of an invited user."""

    def get(self, token: str) -> str:
        """Show the form; the token stays valid."""
        g.link_user, _ = invitation_service.open_invitation(token)
        return render_template("accept_invitation.html", errors={})

    @limit_by_ip("RESET")
    def post(self, token: str) -> str:
        """Set the password."""
        form = read_form()
        g.form_template = "accept_invitation.html"
        g.link_user, _ = invitation_service.open_invitation(token)
        fields = load(NewPasswordSchema(), form, g.link_user)
        invitation_service.accept(g.link_user, fields["password"])
        return render_template("invitation_accepted.html", email=g.link_user.email)


class ConfirmPage(MethodView):
    """A button that confirms an email, or a change of it."""

    def get(self, token: str) -> str:
        """Show the button, and another for who knows nothing of it."""
        g.link_user, claims = email_service.open_confirmation(token)
        user, is_change = g.link_user, claims["scope"] == CHANGE
        if email_service.has_confirmed(user, claims):
            return render_template("email_confirmed.html", email=user.email)
        email = user.pending_change["email"] if is_change else user.email
        about = {"is_change": is_change, "created_at": user.created_at}
        return render_template("confirm_email.html", email=email, **about)

    @limit_by_ip("RESET")
    def post(self, token: str) -> str:
        """Confirm the email."""
        _read_button()
        g.link_user, claims = email_service.open_confirmation(token)
        email = email_service.confirm(g.link_user, claims)
        return render_template("email_confirmed.html", email=email)


class RejectPage(MethodView):
    """What the other button of ConfirmPage leads to."""

    @limit_by_ip("RESET")
    def post(self, token: str) -> str:
        """Drop the change, or delete the account that was never verified."""
        _read_button()
        g.link_user, claims = email_service.open_confirmation(token)
        email_service.reject(g.link_user, claims)
        return render_template("email_rejected.html", is_change=claims["scope"] == CHANGE)


class UndoPage(MethodView):
    """A button that restores the email from before a change."""

    def get(self, token: str) -> str:
        """Show the button."""
        g.link_user, claims = email_change_service.open_undo(token)
        former = g.link_user.former_emails[claims["change"]]
        return render_template("undo_change.html", email=former["email"])

    @limit_by_ip("RESET")
    def post(self, token: str) -> str:
        """Restore the email."""
        _read_button()
        g.link_user, claims = email_change_service.open_undo(token)
        email = email_change_service.undo(g.link_user, claims)
        return render_template("email_restored.html", email=email)


def _read_button() -> None:
    """Read the form of a page whose only input is its button."""
    load(NoFields(), read_form())
