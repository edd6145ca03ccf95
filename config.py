"""Settings: read from the environment and .env once at start, typed and checked."""

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validates_schema
from marshmallow.validate import Length, OneOf, Range

import production_checks
import setting_checks
import setting_values
from private_keys import PrivateKeys
from setting_checks import MAX_SECONDS
from setting_sources import HOME, SettingsError, read_sources
from setting_values import loosen

DEVELOPMENT = "development"
PRODUCTION = "production"
MAX_BODY_BYTES = 64 * 1024
# EMAIL_VERIFICATION: whether an email has to be proved to be the user's before a login.
OFF = "off"
OPTIONAL = "optional"
REQUIRED = "required"
VERIFICATION = (OFF, OPTIONAL, REQUIRED)
# PASSWORD_BREACHED_FAIL: what happens to a password that can't be looked up.
OPEN = "open"
CLOSED = "closed"


def _limit(default: str) -> fields.String:
    return fields.String(load_default=default, validate=setting_checks.check_limit)


class SettingsSchema(Schema):
    """Every setting with its type, default and limits; .env.example says what each means."""

    class Meta:
        """Ignore the environment variables of other programs."""

        unknown = EXCLUDE

    APP_ENV = fields.String(load_default=DEVELOPMENT, validate=OneOf([DEVELOPMENT, PRODUCTION]))
    HOST = fields.String(load_default="127.0.0.1")
    PORT = fields.Integer(load_default=5000, validate=Range(1, 65535))
    DATA_DIR = fields.String(load_default=str(HOME / "data"))
    MONGODB_URI = fields.String(load_default=None, validate=setting_checks.MONGODB)
    # At most 12, as MAIL_TIMEOUT: a job takes less than LEASE_SECONDS (jobs/queue.py) then.
    MONGODB_TIMEOUT = fields.Integer(load_default=5, validate=Range(1, 12))
    JWT_SECRET_KEY = fields.String(load_default=None)
    JWT_PRIVATE_KEYS = PrivateKeys(load_default=())
    JWT_AUDIENCE = fields.String(load_default=None, validate=Length(max=200))
    JWT_ACCESS_TOKEN_EXPIRES = fields.Integer(load_default=900, validate=Range(1, MAX_SECONDS))
    JWT_REFRESH_TOKEN_EXPIRES = fields.Integer(load_default=2592000, validate=Range(1, MAX_SECONDS))
    JWT_REFRESH_GRACE = fields.Integer(load_default=10, validate=Range(0, MAX_SECONDS))
    JWT_REFRESH_LOST = fields.Integer(load_default=60, validate=Range(0, MAX_SECONDS))
    JWT_ACCESS_GRACE = fields.Integer(load_default=10, validate=Range(0, MAX_SECONDS))
    JWT_LEEWAY = fields.Integer(load_default=10, validate=Range(0, MAX_SECONDS))
    JWT_SESSION_MAX_AGE = fields.Integer(load_default=7776000, validate=Range(1, MAX_SECONDS))
    RESET_TOKEN_EXPIRE_MINUTES = fields.Integer(load_default=10, validate=Range(1, MAX_SECONDS))
    PUBLIC_URL = fields.Url(
        load_default=None,
        require_tld=False,
        schemes={"http", "https"},
        validate=setting_checks.check_host,
    )
    RESET_URL = fields.String(load_default=None, validate=setting_checks.LINK)
    EMAIL_VERIFICATION = fields.String(load_default=OPTIONAL, validate=OneOf(VERIFICATION))
    EMAIL_TOKEN_EXPIRE_HOURS = fields.Integer(load_default=24, validate=Range(1, 10**6))
    UNDO_TOKEN_EXPIRE_DAYS = fields.Integer(load_default=7, validate=Range(1, 10**4))
    CONFIRM_URL = fields.String(load_default=None, validate=setting_checks.LINK)
    UNDO_URL = fields.String(load_default=None, validate=setting_checks.LINK)
    INVITE_TOKEN_EXPIRE_HOURS = fields.Integer(load_default=72, validate=Range(1, 720))
    INVITE_URL = fields.String(load_default=None, validate=setting_checks.LINK)
    SECRETS_KEY = fields.String(load_default=None)
    PASSKEY_ORIGINS = fields.String(load_default=None, validate=setting_checks.check_apps)
    REAUTHENTICATE_SECONDS = fields.Integer(load_default=600, validate=Range(1, MAX_SECONDS))
    MAIL_SERVER = fields.String(load_default=None)
    MAIL_PORT = fields.Integer(load_default=25, validate=Range(1, 65535))
    MAIL_USERNAME = fields.String(load_default=None)
    MAIL_PASSWORD = fields.String(load_default=None)
    MAIL_USE_TLS = fields.Boolean(load_default=False)
    MAIL_USE_SSL = fields.Boolean(load_default=False)
    MAIL_DEFAULT_SENDER = fields.String(
        load_default="support@movie-bag.com",
        validate=setting_checks.SENDER,
    )
    # At most 12: see MONGODB_TIMEOUT.
    MAIL_TIMEOUT = fields.Integer(load_default=10, validate=Range(1, 12))
    MAIL_LOCALES = fields.String(load_default="en,pt_BR,de", validate=setting_checks.check_locales)
    MAIL_TEMPLATES = fields.String(load_default=None, validate=setting_checks.check_templates)
    BCRYPT_LOG_ROUNDS = fields.Integer(load_default=12, validate=Range(4, 31))
    PASSWORD_MIN_LENGTH = fields.Integer(load_default=8, validate=Range(1, 128))
    PASSWORD_MIN_SCORE = fields.Integer(load_default=2, validate=Range(0, 4))
    PASSWORD_WORDS = fields.String(load_default="movie,bag")
    PASSWORD_BREACHED = fields.String(load_default=None, validate=setting_checks.check_breached)
    PASSWORD_BREACHED_FAIL = fields.String(load_default=OPEN, validate=OneOf([OPEN, CLOSED]))
    EVENT_DAYS = fields.Integer(load_default=90, validate=Range(1, 10**4))
    CORS_ORIGINS = fields.String(load_default=None)
    WEBHOOK_URLS = fields.String(load_default=None, validate=setting_checks.check_webhook_urls)
    WEBHOOK_SECRET = fields.String(load_default=None, validate=setting_checks.check_webhook_secret)
    METRICS_HOST = fields.String(load_default="127.0.0.1")
    METRICS_PORT = fields.Integer(load_default=None, validate=Range(1, 65535))
    TRUSTED_PROXIES = fields.Integer(load_default=0, validate=Range(0, 9))
    RATELIMIT_ENABLED = fields.Boolean(load_default=True)
    RATELIMIT_STORAGE_URI = fields.String(load_default="memory://", validate=setting_checks.REDIS)
    RATELIMIT_LOGIN_PER_EMAIL = _limit("5 per minute")
    RATELIMIT_LOGIN_PER_IP = _limit("30 per minute")
    RATELIMIT_FORGOT_PER_EMAIL = _limit("3 per hour")
    RATELIMIT_FORGOT_PER_IP = _limit("20 per hour")
    RATELIMIT_SIGNUP_PER_IP = _limit("20 per hour")
    RATELIMIT_RESET_PER_IP = _limit("60 per minute")
    RATELIMIT_REFRESH_PER_IP = _limit("60 per minute")
    RATELIMIT_PASSWORD_PER_USER = _limit("5 per minute")
    RATELIMIT_MFA_PER_USER = _limit("5 per minute; 50 per day")
    RATELIMIT_WRITES_PER_USER = _limit("60 per minute; 300 per hour")

    @validates_schema(skip_on_field_errors=False)
    def _check_single_lines(self, data: dict[str, Any], **_: Any) -> None:
        # Bytes that are not UTF-8 arrive as surrogates, which are not printable either.
        texts = {name: text for name, text in data.items() if isinstance(text, str)}
        if wrong := [name for name, text in texts.items() if not text.isprintable()]:
            raise ValidationError(dict.fromkeys(wrong, ["Must be a line of text in UTF-8."]))

    @validates_schema(skip_on_field_errors=False)
    def _check_combinations(self, data: dict[str, Any], **_: Any) -> None:
        wrong = setting_checks.problems(data)
        if data.get("APP_ENV") == PRODUCTION:
            wrong |= production_checks.problems(data)
        if wrong:
            raise ValidationError(wrong)

    @post_load(pass_original=True)
    def _derive(
        self, data: dict[str, Any], original: Mapping[str, Any], **_: Any
    ) -> dict[str, Any]:
        derived = setting_values.derive(data)
        if data["APP_ENV"] == DEVELOPMENT:
            loosened = {name: loosen(data[name]) for name in LIMITS if name not in original}
            return derived | loosened
        return derived


LIMITS = [name for name in SettingsSchema().fields if re.search("^RATELIMIT_.*_PER_", name)]


def load_settings(overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return every setting, typed; overrides win over the environment, which wins over .env.

    An empty value counts as unset. `RENAMED_SETTINGS_IN_USE` has the old names that are set.

    Raises:
        SettingsError: a setting is missing or can't be read; the message names each.
    """
    given, renamed = read_sources(overrides or {})
    try:
        settings: dict[str, Any] = SettingsSchema().load(given)
    except ValidationError as error:
        raise SettingsError(error.messages_dict) from None
    unknown = sorted(given.keys() - renamed.keys() - SettingsSchema().fields.keys())
    return settings | {"RENAMED_SETTINGS_IN_USE": renamed, "UNKNOWN_SETTINGS": unknown}
