"""Development's inbox: every mail, by whichever way it went. In production it does not exist."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import current_app, render_template, request
from flask.views import MethodView
from werkzeug.exceptions import NotFound

from resources.pages import STYLED_POLICY
from resources.request import answers_page
from services import inbox
from services.errors import ServiceUnavailableError
from services.mail_service import SUBJECTS
from services.times import iso


def only_here() -> None:
    """Raise NotFound unless it is this machine that asks, by one of its own names.

    Mails hold reset links: no neighbour in the network may read them, and no website that bends
    a name of its own to this address (DNS rebinding).
    """
    public = urlsplit(current_app.config["PUBLIC_URL"]).hostname
    name = re.sub(r":\d+$", "", request.host)
    here = ip_address(request.remote_addr or "0.0.0.0").is_loopback  # noqa: S104 (no binding)
    if not here or name not in ("localhost", "127.0.0.1", "[::1]", public):
        raise NotFound("Mails are shown on this machine alone.")


class Inbox(MethodView):
    """The mails of this development server."""

    @answers_page(NotFound, ServiceUnavailableError)
    def get(self) -> str:
        """Show the newest mails: waiting, sent, or given up and why."""
        return render_template("inbox.html", mails=inbox.newest(), subjects=SUBJECTS, iso=iso)


class InboxMail(MethodView):
    """One mail."""

    @answers_page(NotFound, ServiceUnavailableError)
    def get(self, mail_id: str) -> tuple[str, dict[str, str]]:
        """Show a mail as HTML and as text."""
        mail = inbox.find(mail_id)
        if mail is None:
            raise NotFound("There is no such mail; the inbox keeps the newest.")
        scheme = urlsplit(current_app.config["RESET_URL"]).scheme + ":"
        subject = SUBJECTS[mail.kind]
        page = render_template("mail.html", mail=mail, subject=subject, iso=iso, scheme=scheme)
        return page, {"Content-Security-Policy": STYLED_POLICY}
