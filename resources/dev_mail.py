"""Development's emails: every one, by whichever transport it was sent. Production has none."""

import re
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from flask import current_app, render_template, request
from flask.views import MethodView
from werkzeug.exceptions import NotFound

from schemas.base import iso
from services import languages, mail_preview, sent_mail_service
from services.mail_kinds import MAILS
from setting_values import LINK_PAGES
from web.pages import STYLED_POLICY

# What proxies and tunnels add: X-Forwarded-For and its kin, Forwarded (RFC 7239), Via (RFC 9110).
FORWARDED = re.compile(
    r"x-forwarded-.+|forwarded|via|x-real-ip|(x-|true-|x-cluster-|fastly-)client-ip"
    r"|cf-connecting-ip|x-original-(host|forwarded-for)",
    re.IGNORECASE,
)


def require_localhost() -> None:
    """Raise NotFound unless the request comes from this machine, by one of its own names.

    Emails hold reset links: no neighbour in the network may read them, no client of a proxy or a
    tunnel that ends here, and no website whose name resolves to this address (DNS rebinding).
    """
    is_forwarded = any(FORWARDED.fullmatch(name) for name, _ in request.headers)
    host = re.sub(r":\d*\Z", "", request.host).strip("[]").lower()
    if is_forwarded or not is_loopback(request.remote_addr or "") or not is_loopback(host):
        raise NotFound("Mails are shown on this machine alone.")


def is_loopback(host: str) -> bool:
    """Return whether this is an IP of this machine alone, or localhost."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class LocalPage(MethodView):
    """A page for this machine only."""

    def dispatch_request(self, **arguments: Any) -> Any:
        """Respond to requests from this machine."""
        require_localhost()
        return super().dispatch_request(**arguments)


class SentMails(LocalPage):
    """The emails of this development server."""

    def get(self) -> str:
        """Show the newest emails: queued, sent, or failed and why."""
        mails = sent_mail_service.list_newest()
        return render_template("sent_mails.html", mails=mails, iso=iso)


class SentMailPage(LocalPage):
    """One email."""

    def get(self, mail_id: str) -> tuple[str, dict[str, str]]:
        """Show an email as HTML and as text."""
        mail = sent_mail_service.find(mail_id)
        if mail is None:
            raise NotFound("There is no such mail; only the newest are kept.")
        schemes = {urlsplit(current_app.config[name]).scheme + ":" for name in LINK_PAGES}
        body = render_template("sent_mail.html", mail=mail, iso=iso, schemes=schemes)
        return body, {"Content-Security-Policy": STYLED_POLICY}


class MailPreviews(LocalPage):
    """Every email in every language."""

    def get(self) -> str:
        """Show a link to each."""
        locales = current_app.config["MAIL_LOCALES"]
        return render_template("mail_previews.html", kinds=MAILS, locales=locales)


class MailPreviewPage(LocalPage):
    """One email in one language."""

    def get(self, kind: str) -> tuple[str, dict[str, str]]:
        """Show an email with example data, as HTML and as text."""
        locale = languages.parse_locale(request.args.get("locale", ""))
        if kind not in MAILS or locale is None:
            raise NotFound("There is no such email, or not in this language.")
        content = mail_preview.preview(kind, locale)
        body = render_template("mail_preview.html", mail=content, kind=kind, locale=locale)
        return body, {"Content-Security-Policy": STYLED_POLICY}
