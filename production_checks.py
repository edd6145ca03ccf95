"""What production refuses to start with: missing settings, and keys that can be guessed."""

from collections.abc import Mapping
from typing import Any

from key_strength import reasons_against
from setting_checks import split

REQUIRED_IN_PRODUCTION = ("JWT_SECRET_KEY", "MONGODB_URI", "MAIL_SERVER", "PUBLIC_URL")
SECRET_BYTES = 32
# Lists that rotate, and what is said of removing a key that can be guessed.
ROTATING_KEYS = {
    "JWT_SECRET_KEY": "Remove the old one, which logs out everyone whose token it signed.",
    "SECRETS_KEY": "",
}


# WEBHOOK_SECRET may be missing, so `flask check` does not ask for it.
GUESSABLE = {
    **ROTATING_KEYS,
    "WEBHOOK_SECRET": "This one is whsec_ and what `openssl rand -base64 32` prints.",
}


def problems(data: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with settings, as sentences for each."""
    wrong: dict[str, list[str]] = {}
    for name, advice in GUESSABLE.items():
        keys = data.get(name)
        if keys and (reasons := list(reasons_against(split(keys), SECRET_BYTES, advice))):
            wrong[name] = reasons
    for name in REQUIRED_IN_PRODUCTION:
        if name in data and data[name] is None:  # an invalid one is missing in data, and reported
            wrong[name] = ["Is needed in production."]
    return wrong
