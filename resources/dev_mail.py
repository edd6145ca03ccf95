"""Development's emails: every one, by whichever transport it was sent. Production has none."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import current_app, render_template, request
from flask.views import MethodView
from werkzeug.exceptions import NotFound

from schemas.base import iso
from services import sent_mail_service
from services.mail_kinds import MAILS
from web.pages import STYLED_POLICY


def require_localhost() -> None:
    """Raise NotFound unless the request comes from this machine, by one of its own names.

    Emails hold reset links: no neighbour in the network may read them, and no website whose name
    resolves to this address (DNS rebinding).
    """
    public = urlsplit(current_app.config["PUBLIC_URL"]).hostname
    name = re.sub(r":\d+$", "", request.host)
    client = ip_address(request.remote_addr or "0.0.0.0")  # noqa: S104 (no binding)
    if not client.is_loopback or name not in ("localhost", "127.0.0.1", "[::1]", public):
        raise NotFound("Mails are shown on this machine alone.")


class SentMails(MethodView):
    """The emails of this development server."""

    def get(self) -> str:
        """Show the newest emails: queued, sent, or failed and why."""
        mails = sent_mail_service.list_newest()
        return render_template("sent_mails.html", mails=mails, subjects=MAILS, iso=iso)


class SentMailPage(MethodView):
    """One email."""

    def get(self, mail_id: str) -> tuple[str, dict[str, str]]:
        """Show an email as HTML and as text."""
        mail = sent_mail_service.find(mail_id)
        if mail is None:
            raise NotFound("There is no such mail; only the newest are kept.")
        scheme = urlsplit(current_app.config["RESET_URL"]).scheme + ":"
        subject = MAILS[mail.arguments["mail"]].subject
        body = render_template("sent_mail.html", mail=mail, subject=subject, iso=iso, scheme=scheme)
        return body, {"Content-Security-Policy": STYLED_POLICY}
