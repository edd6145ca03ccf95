"""Settings that can be used, but are hardly meant: a warning each at the start."""

import difflib
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

from dotenv import dotenv_values

from config import PRODUCTION, SettingsSchema
from private_keys import PEM
from setting_sources import RENAMED_SETTINGS, env_file

SECRETS = (
    "JWT_SECRET_KEY",
    "JWT_PRIVATE_KEYS",
    "SECRETS_KEY",
    "MONGODB_URI",
    "MAIL_PASSWORD",
    "RATELIMIT_STORAGE_URI",
    "WEBHOOK_URLS",
    "WEBHOOK_SECRET",
)
KNOWN = {*SettingsSchema().fields, *RENAMED_SETTINGS, "ENV_FILE_LOCATION"}
# Too short: PGHOST is no misspelt HOST.
GUESSES = KNOWN - {"HOST", "PORT"}
# The environment has names of other programs, which are rarely so similar to ours.
SIMILARITY = 0.82
OURS = re.compile("RATELIMIT_")
READABLE_BY_OTHERS = 0o004

logger = logging.getLogger(__name__)


def log_warnings(config: Mapping[str, Any]) -> None:
    """Log what the settings of an application hardly mean; values are never logged."""
    for old, new in config["RENAMED_SETTINGS_IN_USE"].items():
        logger.warning("The setting %s is now called %s", old, new)
    for sentence in unknown_settings(config):
        logger.warning("%s", sentence)
    if config["APP_ENV"] == PRODUCTION and not config["SECRETS_KEYS"]:
        logger.warning("SECRETS_KEY is not set: nobody can turn on a second factor")
    if warning := exposed_secrets():
        logger.warning("%s", warning)


def unknown_settings(config: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each variable of the environment that looks like a misspelt setting."""
    names = sorted(set(config["UNKNOWN_SETTINGS"]) - KNOWN)
    return [sentence for name in names for sentence in _about_unknown(name)]


def _about_unknown(name: str) -> Iterator[str]:
    similar = difflib.get_close_matches(name, GUESSES, n=1, cutoff=SIMILARITY)
    if similar:
        yield f"There is no setting {name}: {similar[0]} is meant?"
    elif OURS.match(name):
        (nearest,) = difflib.get_close_matches(name, GUESSES, n=1, cutoff=0)
        yield f"There is no setting {name}: {nearest} is meant?"


def exposed_secrets() -> str:
    """Return a warning if every user can read the secrets in the file with settings, else ""."""
    path = env_file()
    if not path.is_file() or not path.stat().st_mode & READABLE_BY_OTHERS:
        return ""
    values = dotenv_values(path, interpolate=False)
    names = ", ".join(name for name in SECRETS if _is_secret(name, values.get(name)))
    return f"Every user can read {path}, which has {names}: chmod 600 it" if names else ""


def _is_secret(name: str, text: str | None) -> bool:
    """Return whether a setting of SECRETS has one: the path of a key is none."""
    return bool(text) and (name != "JWT_PRIVATE_KEYS" or PEM in str(text))
