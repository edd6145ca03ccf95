"""What the value of a setting may be, where its type does not say it."""

import base64
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from babel import Locale, UnknownLocaleError
from babel.core import get_locale_identifier, parse_locale
from limits import parse_many
from marshmallow import ValidationError
from marshmallow.validate import Regexp

MAX_SECONDS = 10**9
SUBJECT = re.compile(rb"Subject: [^\r\n]+\r?\n\r?\n")

# They run a script, or read a file of the user's machine.
UNSAFE_SCHEMES = "(?i:(java|vb|j|live)script|data|blob|file|filesystem|about|jar|view-source)"
# After the user and a password there is no @: else a part of the password would be a host.
LOCATION = r"//([^@/?#]*@)?[^@]*\Z"
MONGODB = Regexp(rf"mongodb(\+srv)?:{LOCATION}", error="Must be a mongodb:// URI, percent-encoded.")
REDIS = Regexp(
    rf"memory://\Z|rediss?:{LOCATION}",
    error="Must be memory:// or a redis:// URI, percent-encoded.",
)
# marshmallow formats the message, so its braces are doubled.
SAFE_LINK = rf"(?!{UNSAFE_SCHEMES}:)(?a:[A-Za-z][\w.+-]+):.*\{{token\}}"
LINK = Regexp(SAFE_LINK, error="Must be a link that contains {{token}}.")
# As a browser writes it: no path, no trailing slash, no pattern, no default port.
DEFAULT_PORT = r"http://[^:]+:80\Z|https://[^:]+:443\Z"
ORIGIN = re.compile(rf"(?!{DEFAULT_PORT})[a-z][a-z0-9+.-]*://[a-z0-9.-]+(:[0-9]+)?")
# Of an Android app: the SHA-256 of the certificate that signs it. http: browsers allow it there.
PASSKEY_ORIGIN = re.compile(
    r"(https://[a-z0-9.-]+|http://localhost)(:[0-9]+)?|android:apk-key-hash:[A-Za-z0-9_-]{43}"
)
# Plain HTTP only on this machine, and no user or password.
SERVICE_URL = re.compile(r"(https://[^@\s]|http://(localhost|127\.0\.0\.1|\[::1\])[:/])[^@\s]*\Z")
# (?a:…) restricts \w to ASCII.
ADDRESS = r"(?a:[\w.+-]+@[\w.-]+)"
SENDER = Regexp(
    rf"({ADDRESS}|[\w .'-]+<{ADDRESS}>)\Z",
    error="Must be an address, or a name and an <address>.",
)


def check_limit(text: str) -> None:
    """Raise ValidationError unless the limits library can parse it and it allows a request."""
    try:
        limits = parse_many(text)
    except ValueError:
        limits = []
    if not limits or any(not it.amount or it.get_expiry() > MAX_SECONDS for it in limits):
        raise ValidationError("Must be a limit like 5 per minute.")


def check_apps(text: str) -> None:
    """Raise ValidationError unless each is an origin from which a browser or app uses passkeys."""
    if not all(map(PASSKEY_ORIGIN.fullmatch, split(text))):
        raise ValidationError(
            "Must be https:// origins, or android:apk-key-hash: with 43 characters of base64url."
        )


def check_host(url: str) -> None:
    """Raise ValidationError unless browsers can write the host of a URL, by IDNA."""
    try:
        urlsplit(url).netloc.encode("idna")
    except ValueError:
        raise ValidationError("Must have a host that the DNS can have.") from None


def check_locales(text: str) -> None:
    """Raise ValidationError unless Babel knows each locale, and there is one."""
    try:
        locales = parse_locales(text)
    except (ValueError, UnknownLocaleError):
        locales = []
    if not locales:
        raise ValidationError("Must be locales like en,pt_BR.")


def parse_locales(text: str) -> list[str]:
    """Return locales as Babel writes them; raises ValueError, UnknownLocaleError."""
    tags = [tag.replace("-", "_") for tag in split(text)]
    # Not Babel's own name of a locale, which may have more parts: zh_TW is zh_Hant_TW.
    return list(dict.fromkeys(_canonical(tag) for tag in tags if Locale.parse(tag)))


def _canonical(tag: str) -> str:
    return get_locale_identifier(parse_locale(tag))


def check_templates(folder: str) -> None:
    """Raise ValidationError unless it is a folder, and each text there has a subject."""
    if not Path(folder).is_dir():
        raise ValidationError("Must be a folder.")
    texts = sorted(Path(folder).glob("*.txt"))
    if wrong := [it.name for it in texts if not SUBJECT.match(it.read_bytes())]:
        names = ", ".join(wrong)
        raise ValidationError(f"Must begin with a line Subject: … and an empty line, in {names}.")


def check_breached(where: str) -> None:
    """Raise ValidationError unless it is a file that can be read, or a URL; http: on this machine.

    A digest of a password would be readable on its way otherwise.
    """
    if "://" in where:
        if not SERVICE_URL.match(where):
            raise ValidationError("Must be a file, or an https:// URL.")
    elif not os.access(where, os.R_OK) or not Path(where).is_file():
        raise ValidationError("Must be a file that can be read, or an https:// URL.")


def check_webhook_urls(text: str) -> None:
    """Raise ValidationError unless each is a URL with https:, or of this machine."""
    if not all(map(_is_webhook_url, split(text))):
        raise ValidationError("Must be https:// URLs in ASCII, without a user.")


def _is_webhook_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_complete = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_complete and url.isascii() and bool(SERVICE_URL.match(url))


def check_webhook_secret(text: str) -> None:
    """Raise ValidationError unless each is one as Standard Webhooks has it, and there is one."""
    secrets = split(text)
    if not secrets or not all(map(_is_webhook_secret, secrets)):
        raise ValidationError("Must be whsec_ and the base64 of 24 to 64 random bytes.")


def _is_webhook_secret(secret: str) -> bool:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        return False
    return secret.startswith("whsec_") and 24 <= len(key) <= 64


def problems(data: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with settings together, as sentences for each."""
    wrong: dict[str, list[str]] = {}
    if data.get("MAIL_USE_TLS") and data.get("MAIL_USE_SSL"):
        wrong["MAIL_USE_SSL"] = ["Can't be on together with MAIL_USE_TLS."]
    if not all(map(ORIGIN.fullmatch, split(data.get("CORS_ORIGINS")))):
        wrong["CORS_ORIGINS"] = ["Must be origins as browsers send them, each by name."]
    if data.get("WEBHOOK_URLS") and data.get("WEBHOOK_SECRET", "") is None:
        wrong["WEBHOOK_SECRET"] = ["Is needed with WEBHOOK_URLS."]
    return wrong


def split(text: str | None) -> list[str]:
    """Return the parts of a text between commas, without blanks around them and empty ones."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]
