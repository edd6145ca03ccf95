"""Rate limits: the settings RATELIMIT_* applied to a client IP, an email or a user."""

from flask import Flask, current_app

from infra.pseudonym import pseudonym
from infra.rate_limiter import RateLimiter
from services.errors import TooManyRequestsError
from setting_sources import SettingsError


def initialize_rate_limits(app: Flask) -> None:
    """Count requests to app; raises SettingsError if RATELIMIT_STORAGE_URI can't be read."""
    try:
        app.extensions["rate_limiter"] = RateLimiter(app.config["RATELIMIT_STORAGE_URI"])
    except ValueError:
        raise SettingsError({"RATELIMIT_STORAGE_URI": ["Can't be read."]}) from None


def hit(name: str, key: str) -> None:
    """Count a request of key against the setting RATELIMIT_<name>; its pseudonym is stored.

    Raises:
        TooManyRequestsError: the limit is exceeded.
    """
    config = current_app.config
    if not config["RATELIMIT_ENABLED"]:
        return
    limiter: RateLimiter = current_app.extensions["rate_limiter"]
    stored_key = pseudonym(key, config["JWT_SECRET_KEY"])
    if seconds := limiter.hit(config[f"RATELIMIT_{name}"], name, stored_key):
        raise TooManyRequestsError(seconds, name, stored_key)
