"""Where settings come from: the environment and the .env file, and how a wrong one is reported."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from click import ClickException
from dotenv import dotenv_values

HOME = Path(__file__).parent
# Old name → new name. Both are read, the new one wins, and the old one is logged as a warning.
RENAMED_SETTINGS = {
    "RATELIMIT_LOGIN_PER_ADDRESS": "RATELIMIT_LOGIN_PER_EMAIL",
    "RATELIMIT_FORGOT_PER_ADDRESS": "RATELIMIT_FORGOT_PER_EMAIL",
    "RATELIMIT_PASSWORD_PER_ACCOUNT": "RATELIMIT_PASSWORD_PER_USER",
}


class SettingsError(ClickException):
    """The settings can't be used; the message has one line for each that is wrong."""

    def __init__(self, wrong: Mapping[str, list[str]]) -> None:
        """Take a list of sentences for each setting."""
        lines = [f"  {name}: {' '.join(sentences)}" for name, sentences in sorted(wrong.items())]
        super().__init__("\n".join(["These settings can't be used:", *lines]))


def env_file() -> Path:
    """Return the path of the file with settings, which may be missing."""
    return Path(os.environ.get("ENV_FILE_LOCATION") or HOME / ".env")


def read_sources(overrides: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what is set, under the names of today, and the old names in use with their new ones.

    Overrides win over the environment, which wins over .env.

    Raises:
        SettingsError: the file can't be read.
    """
    try:
        from_file = dotenv_values(env_file(), interpolate=False)
        # The `flask` command has put these into the environment, where pa${ss}word is paword.
        interpolated = dotenv_values(env_file())
    except (OSError, ValueError) as error:
        raise SettingsError({"ENV_FILE_LOCATION": [_reason(error)]}) from None
    environment = {name: v for name, v in os.environ.items() if v != interpolated.get(name)}
    given: dict[str, Any] = {}
    for source in (from_file, environment, overrides):
        given |= {name: value for name, value in source.items() if value not in ("", None)}
    renamed = {old: new for old, new in RENAMED_SETTINGS.items() if old in given}
    return {new: given[old] for old, new in renamed.items()} | given, renamed


def _reason(error: Exception) -> str:
    # The text of a UnicodeDecodeError shows a byte of what may be a secret.
    return str(error) if isinstance(error, OSError) else "Must be a text in UTF-8."
