"""Values of settings that follow from other settings."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import setting_checks
from production_checks import ROTATING_KEYS
from setting_checks import split

LINK_PAGES = {
    "RESET_URL": "reset",
    "CONFIRM_URL": "confirm",
    "UNDO_URL": "undo",
    "INVITE_URL": "invite",
}
# A learner who tries things out should not meet a limit. Limits that are set explicitly apply as
# they are.
DEVELOPMENT_LIMIT_FACTOR = 10


def derive(data: dict[str, Any]) -> dict[str, Any]:
    """Return settings with their lists parsed, and with what is unset but follows from others."""
    data = {**data}
    data["PUBLIC_URL"] = (data["PUBLIC_URL"] or f"http://localhost:{data['PORT']}").rstrip("/")
    for name, page in LINK_PAGES.items():
        data[name] = data[name] or f"{data['PUBLIC_URL']}/{page}/{{token}}"
    data["DATA_DIR"] = Path(data["DATA_DIR"]).resolve()
    data["MAIL_LOCALES"] = setting_checks.parse_locales(data["MAIL_LOCALES"])
    host = urlsplit(data["PUBLIC_URL"]).hostname or ""
    data["PASSWORD_WORDS"] = [*split(data["PASSWORD_WORDS"]), host]
    data["JWT_AUDIENCE"] = data["JWT_AUDIENCE"] or data["PUBLIC_URL"]
    data["CORS_ORIGINS"] = split(data["CORS_ORIGINS"])
    data["WEBHOOK_URLS"] = list(dict.fromkeys(split(data["WEBHOOK_URLS"])))
    data["WEBHOOK_SECRETS"] = split(data["WEBHOOK_SECRET"])  # each signs
    data["PASSKEY_ORIGINS"] = split(data["PASSKEY_ORIGINS"])
    # The first key signs or encrypts, all verify or decrypt. Development creates a missing one.
    for name in ROTATING_KEYS:
        data[f"{name}S"] = split(data[name])
        data[name] = next(iter(data[f"{name}S"]), None)
    return data


def loosen(limits: str) -> str:
    """Return limits as development has them."""
    return re.sub(r"\d+(?= per)", lambda it: str(int(it[0]) * DEVELOPMENT_LIMIT_FACTOR), limits)
