"""Settings: read from the environment and .env once at start, typed and checked."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from click import ClickException
from dotenv import dotenv_values
from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validates_schema
from marshmallow.validate import OneOf, Range

import setting_checks
from key_strength import reasons_against
from setting_checks import MAX_SECONDS, split

HOME = Path(__file__).parent
DEVELOPMENT = "development"
PRODUCTION = "production"
REQUIRED_IN_PRODUCTION = ("JWT_SECRET_KEY", "MONGODB_URI", "MAIL_SERVER", "PUBLIC_URL")
SECRET_BYTES = 32
# Lists that rotate, and what is said of removing a key that can be guessed.
ROTATING_KEYS = {
    "JWT_SECRET_KEY": "Remove the old one, which logs out everyone whose token it signed.",
    "SECRETS_KEY": "",
}
MAX_BODY_BYTES = 64 * 1024
# EMAIL_VERIFICATION: whether an email has to be proved to be the user's before a login.
OFF = "off"
OPTIONAL = "optional"
REQUIRED = "required"
VERIFICATION = (OFF, OPTIONAL, REQUIRED)
LINK_PAGES = {"RESET_URL": "reset", "CONFIRM_URL": "confirm", "UNDO_URL": "undo"}
# A learner who tries things out should not meet a limit. Limits that are set explicitly apply as
# they are.
DEVELOPMENT_LIMIT_FACTOR = 10
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
    JWT_ACCESS_TOKEN_EXPIRES = fields.Integer(load_default=900, validate=Range(1, MAX_SECONDS))
    JWT_REFRESH_TOKEN_EXPIRES = fields.Integer(load_default=2592000, validate=Range(1, MAX_SECONDS))
    JWT_REFRESH_GRACE = fields.Integer(load_default=10, validate=Range(0, MAX_SECONDS))
    JWT_REFRESH_LOST = fields.Integer(load_default=60, validate=Range(0, MAX_SECONDS))
    JWT_ACCESS_GRACE = fields.Integer(load_default=10, validate=Range(0, MAX_SECONDS))
    JWT_LEEWAY = fields.Integer(load_default=10, validate=Range(0, MAX_SECONDS))
    JWT_SESSION_MAX_AGE = fields.Integer(load_default=7776000, validate=Range(1, MAX_SECONDS))
    RESET_TOKEN_EXPIRE_MINUTES = fields.Integer(load_default=10, validate=Range(1, MAX_SECONDS))
    PUBLIC_URL = fields.Url(load_default=None, require_tld=False, schemes={"http", "https"})
    RESET_URL = fields.String(load_default=None, validate=setting_checks.LINK)
    EMAIL_VERIFICATION = fields.String(load_default=OPTIONAL, validate=OneOf(VERIFICATION))
    EMAIL_TOKEN_EXPIRE_HOURS = fields.Integer(load_default=24, validate=Range(1, 10**6))
    UNDO_TOKEN_EXPIRE_DAYS = fields.Integer(load_default=7, validate=Range(1, 10**4))
    CONFIRM_URL = fields.String(load_default=None, validate=setting_checks.LINK)
    UNDO_URL = fields.String(load_default=None, validate=setting_checks.LINK)
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
    CORS_ORIGINS = fields.String(load_default=None)
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
        wrong: dict[str, list[str]] = {}
        if data.get("MAIL_USE_TLS") and data.get("MAIL_USE_SSL"):
            wrong["MAIL_USE_SSL"] = ["Can't be on together with MAIL_USE_TLS."]
        if not all(map(setting_checks.ORIGIN.fullmatch, split(data.get("CORS_ORIGINS")))):
            wrong["CORS_ORIGINS"] = ["Must be origins as browsers send them, each by name."]
        if data.get("APP_ENV") == PRODUCTION:
            wrong |= _unsafe_in_production(data)
        if wrong:
            raise ValidationError(wrong)

    @post_load(pass_original=True)
    def _derive(
        self, data: dict[str, Any], original: Mapping[str, Any], **_: Any
    ) -> dict[str, Any]:
        data["PUBLIC_URL"] = (data["PUBLIC_URL"] or f"http://localhost:{data['PORT']}").rstrip("/")
        for name, page in LINK_PAGES.items():
            data[name] = data[name] or f"{data['PUBLIC_URL']}/{page}/{{token}}"
        data["DATA_DIR"] = Path(data["DATA_DIR"]).resolve()
        data["MAIL_LOCALES"] = setting_checks.parse_locales(data["MAIL_LOCALES"])
        data["CORS_ORIGINS"] = split(data["CORS_ORIGINS"])
        data["PASSKEY_ORIGINS"] = split(data["PASSKEY_ORIGINS"])
        # The first key signs or encrypts, all verify or decrypt. Development creates a missing one.
        for name in ROTATING_KEYS:
            data[f"{name}S"] = split(data[name])
            data[name] = next(iter(data[f"{name}S"]), None)
        if data["APP_ENV"] == DEVELOPMENT:
            data |= {name: _loosen(data[name]) for name in LIMITS if name not in original}
        return data


LIMITS = [name for name in SettingsSchema().fields if re.search("^RATELIMIT_.*_PER_", name)]


def _unsafe_in_production(data: Mapping[str, Any]) -> dict[str, list[str]]:
    wrong: dict[str, list[str]] = {}
    for name, advice in ROTATING_KEYS.items():
        keys = data.get(name)
        if keys and (reasons := list(reasons_against(split(keys), SECRET_BYTES, advice))):
            wrong[name] = reasons
    for name in REQUIRED_IN_PRODUCTION:
        if name in data and data[name] is None:  # an invalid one is missing in data, and reported
            wrong[name] = ["Is needed in production."]
    return wrong


def _loosen(limits: str) -> str:
    return re.sub(r"\d+(?= per)", lambda it: str(int(it[0]) * DEVELOPMENT_LIMIT_FACTOR), limits)


def load_settings(overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return every setting, typed; overrides win over the environment, which wins over .env.

    An empty value counts as unset. `RENAMED_SETTINGS_IN_USE` has the old names that are set.

    Raises:
        SettingsError: a setting is missing or can't be read; the message names each.
    """
    given = _read_sources(overrides or {})
    renamed = {old: new for old, new in RENAMED_SETTINGS.items() if old in given}
    given = {new: given[old] for old, new in renamed.items()} | given
    try:
        settings: dict[str, Any] = SettingsSchema().load(given)
    except ValidationError as error:
        raise SettingsError(error.messages_dict) from None
    unknown = sorted(given.keys() - renamed.keys() - SettingsSchema().fields.keys())
    return settings | {"RENAMED_SETTINGS_IN_USE": renamed, "UNKNOWN_SETTINGS": unknown}


def env_file() -> Path:
    """Return the path of the file with settings, which may be missing."""
    return Path(os.environ.get("ENV_FILE_LOCATION") or HOME / ".env")


def _read_sources(overrides: Mapping[str, Any]) -> dict[str, Any]:
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
    return given


def _reason(error: Exception) -> str:
    # The text of a UnicodeDecodeError shows a byte of what may be a secret.
    return str(error) if isinstance(error, OSError) else "Must be a text in UTF-8."
