"""What an operator checks before and after a start: each check is a line, ok or not."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import pymongo
from flask import current_app

from database import migrations, state
from database.db import DATABASE_ERRORS, DATABASE_SECONDS, try_write
from infra.rate_limiter import RateLimiter, is_in_memory
from jobs.smtp import Connection
from key_strength import reasons_against
from production_checks import ROTATING_KEYS, SECRET_BYTES
from services import secret_service
from services.settings_warnings import exposed_secrets, unknown_settings
from setting_sources import SettingsError


class CheckFailed(Exception):
    """A check failed; the message says what to do."""


@dataclass(frozen=True)
class Outcome:
    """The name of a check, whether it was passed, and what it found."""

    name: str
    is_ok: bool
    found: str


def run_checks() -> Iterator[Outcome]:
    """Yield the outcome of each check; none prevents the next one."""
    for name, check in CHECKS.items():
        try:
            yield Outcome(name, True, check())
        except CheckFailed as error:
            yield Outcome(name, False, str(error))
        except DATABASE_ERRORS as error:
            yield Outcome(name, False, f"the database does not answer: {type(error).__name__}")


def _settings() -> str:
    if warning := exposed_secrets():
        raise CheckFailed(warning)
    if unknown := unknown_settings(current_app.config):
        raise CheckFailed(" ".join(unknown))
    return f"APP_ENV is {current_app.config['APP_ENV']}"


def _keys() -> str:
    config = current_app.config
    for name in ROTATING_KEYS:
        for reason in reasons_against(config[f"{name}S"], SECRET_BYTES):
            raise CheckFailed(f"{name}: {reason}")
    try:
        secret_service.require_keys(config["SECRETS_KEYS"])
    except SettingsError as error:
        raise CheckFailed(error.message.splitlines()[-1].strip()) from None
    return "hard to guess, and each stored secret has its own"


def _database() -> str:
    started = time.perf_counter()
    with pymongo.timeout(DATABASE_SECONDS):
        try_write()
    return f"written in {1000 * (time.perf_counter() - started):.0f} ms"


def _indexes() -> str:
    if missing := state.missing_indexes():
        raise CheckFailed(f"missing, so run `flask --app app db check`: {'; '.join(missing)}")
    return "complete"


def _migrations() -> str:
    if migrations.count_due():
        raise CheckFailed(f"an upgrade is due: {migrations.COMMAND}")
    return "none is due"


def _clock() -> str:
    before = time.time()
    ahead = state.server_time() - (before + time.time()) / 2
    leeway = max(current_app.config["JWT_LEEWAY"], 1)
    if abs(ahead) > leeway:
        raise CheckFailed(f"that of the database is {ahead:+.1f} s ahead: synchronise them")
    return f"that of the database is {ahead:+.1f} s ahead"


def _limits() -> str:
    config = current_app.config
    limiter: RateLimiter = current_app.extensions["rate_limiter"]
    if not config["RATELIMIT_ENABLED"]:
        raise CheckFailed("RATELIMIT_ENABLED is off: passwords can be guessed")
    if limiter.is_off():
        raise CheckFailed("RATELIMIT_STORAGE_URI does not answer")
    return "of this process" if is_in_memory(config["RATELIMIT_STORAGE_URI"]) else "shared"


def _mail() -> str:
    if current_app.config["MAIL_SERVER"] is None:
        return "to email.log: MAIL_SERVER is not set"
    try:
        with closing(Connection(current_app.extensions["mail"])) as connection:
            connection.open()
    except (OSError, ValueError) as error:  # its text may have a secret
        raise CheckFailed(f"the mail server refuses a connection: {type(error).__name__}") from None
    return "connected and logged in"


CHECKS: dict[str, Callable[[], str]] = {
    "settings": _settings,
    "keys": _keys,
    "database": _database,
    "indexes": _indexes,
    "migrations": _migrations,
    "clock": _clock,
    "limits": _limits,
    "mail": _mail,
}
