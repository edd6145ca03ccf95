"""Settings: read from the environment and .env once, at the start, typed and checked."""

import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from click import ClickException
from dotenv import dotenv_values
from limits import parse_many
from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validates_schema
from marshmallow.validate import OneOf, Range, Regexp

HOME = Path(__file__).parent
DEVELOPMENT, PRODUCTION = "development", "production"
NEEDED_IN_PRODUCTION = ("JWT_SECRET_KEY", "MONGODB_URI", "MAIL_SERVER", "PUBLIC_URL")
SECRET_BYTES = 32
MANY = 10**9
LINK = Regexp(r"[A-Za-z][\w.+-]+:.*\{token\}", error="Must be a link that contains {{token}}.")
MAX_BODY_BYTES = 64 * 1024
# As a browser writes it: no path, no slash at the end, and no pattern.
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9.-]+(:[0-9]+)?")
ADDRESS = r"(?a:[\w.+-]+@[\w.-]+)"
SENDER = rf"({ADDRESS}|[\w .'-]+<{ADDRESS}>)\Z"


def _check_limit(text: str) -> None:
    """Raise ValidationError unless the library that counts can read it, and lets somebody in."""
    with suppress(ValueError):
        if all(limit.amount and limit.get_expiry() <= MANY for limit in parse_many(text)):
            return
    raise ValidationError("Must be a limit like 5 per minute.")


def _limit(default: str) -> fields.String:
    return fields.String(load_default=default, validate=_check_limit)


class SettingsError(ClickException):
    """The settings can't be used; the message has one line for each that is wrong."""

    def __init__(self, wrong: Mapping[str, list[str]]) -> None:
        """Take a list of sentences for each setting."""
        lines = [f"  {name}: {' '.join(sentences)}" for name, sentences in sorted(wrong.items())]
        super().__init__("\n".join(["These settings can't be used:", *lines]))


class SettingsSchema(Schema):
    """Every setting with its type, default and limits; .env.example says what each means."""

    class Meta:
        """The environment holds much that is not ours."""

        unknown = EXCLUDE

    APP_ENV = fields.String(load_default=DEVELOPMENT, validate=OneOf([DEVELOPMENT, PRODUCTION]))
    HOST = fields.String(load_default="127.0.0.1")
    PORT = fields.Integer(load_default=5000, validate=Range(1, 65535))
    DATA_DIR = fields.String(load_default=str(HOME / "data"))
    MONGODB_URI = fields.String(
        load_default=None, validate=Regexp("mongodb(\\+srv)?://", error="Must be a mongodb:// URI.")
    )
    # At most 12, as MAIL_TIMEOUT: the outbox's claim on a mail (85 s) must outlast both.
    MONGODB_TIMEOUT = fields.Integer(load_default=5, validate=Range(1, 12))
    JWT_SECRET_KEY = fields.String(load_default=None)
    JWT_ACCESS_TOKEN_EXPIRES = fields.Integer(load_default=900, validate=Range(1, MANY))
    JWT_REFRESH_TOKEN_EXPIRES = fields.Integer(load_default=2592000, validate=Range(1, MANY))
    JWT_REFRESH_GRACE = fields.Integer(load_default=10, validate=Range(0, MANY))
    JWT_SESSION_MAX_AGE = fields.Integer(load_default=7776000, validate=Range(1, MANY))
    RESET_TOKEN_EXPIRE_MINUTES = fields.Integer(load_default=10, validate=Range(1, MANY))
    PUBLIC_URL = fields.Url(load_default=None, require_tld=False, schemes={"http", "https"})
    RESET_URL = fields.String(load_default=None, validate=LINK)
    MAIL_SERVER = fields.String(load_default=None)
    MAIL_PORT = fields.Integer(load_default=25, validate=Range(1, 65535))
    MAIL_USERNAME = fields.String(load_default=None)
    MAIL_PASSWORD = fields.String(load_default=None)
    MAIL_USE_TLS = fields.Boolean(load_default=False)
    MAIL_USE_SSL = fields.Boolean(load_default=False)
    MAIL_DEFAULT_SENDER = fields.String(
        load_default="support@movie-bag.com",
        validate=Regexp(SENDER, error="Must be an address, or a name and an <address>."),
    )
    # At most 12: the outbox's claim on a mail (85 s) must outlast the dialogue about it.
    MAIL_TIMEOUT = fields.Integer(load_default=10, validate=Range(1, 12))
    BCRYPT_LOG_ROUNDS = fields.Integer(load_default=12, validate=Range(4, 31))
    PASSWORD_MIN_LENGTH = fields.Integer(load_default=8, validate=Range(1, 128))
    PASSWORD_MIN_SCORE = fields.Integer(load_default=2, validate=Range(0, 4))
    CORS_ORIGINS = fields.String(load_default=None)
    METRICS_PORT = fields.Integer(load_default=None, validate=Range(1, 65535))
    TRUSTED_PROXIES = fields.Integer(load_default=0, validate=Range(0, 9))
    RATELIMIT_ENABLED = fields.Boolean(load_default=True)
    RATELIMIT_STORAGE_URI = fields.String(
        load_default="memory://",
        validate=Regexp(r"memory://\Z|rediss?://", error="Must be memory:// or a redis:// URI."),
    )
    RATELIMIT_LOGIN_PER_ADDRESS = _limit("5 per minute")
    RATELIMIT_LOGIN_PER_IP = _limit("30 per minute")
    RATELIMIT_FORGOT_PER_ADDRESS = _limit("3 per hour")
    RATELIMIT_FORGOT_PER_IP = _limit("20 per hour")
    RATELIMIT_SIGNUP_PER_IP = _limit("20 per hour")
    RATELIMIT_RESET_PER_IP = _limit("60 per minute")
    RATELIMIT_REFRESH_PER_IP = _limit("60 per minute")
    RATELIMIT_PASSWORD_PER_ACCOUNT = _limit("5 per minute")

    @validates_schema(skip_on_field_errors=False)
    def _are_lines(self, data: dict[str, Any], **_: Any) -> None:
        texts = {name: text for name, text in data.items() if isinstance(text, str)}
        if wrong := [name for name, text in texts.items() if not text.isprintable()]:
            raise ValidationError(dict.fromkeys(wrong, ["Must be a line of text in UTF-8."]))

    @validates_schema(skip_on_field_errors=False)
    def _fit_together(self, data: dict[str, Any], **_: Any) -> None:
        wrong: dict[str, list[str]] = {}
        if data.get("MAIL_USE_TLS") and data.get("MAIL_USE_SSL"):
            wrong["MAIL_USE_SSL"] = ["Can't be on together with MAIL_USE_TLS."]
        if not all(map(ORIGIN.fullmatch, _split(data.get("CORS_ORIGINS")))):
            wrong["CORS_ORIGINS"] = ["Must be origins as browsers send them, each by name."]
        if data.get("APP_ENV") == PRODUCTION:
            keys = _split(data.get("JWT_SECRET_KEY"))
            if min((len(os.fsencode(key)) for key in keys), default=0) < SECRET_BYTES:
                wrong["JWT_SECRET_KEY"] = [f"Needs at least {SECRET_BYTES} bytes in production."]
            for name in NEEDED_IN_PRODUCTION:
                if data.get(name, "") is None:
                    wrong[name] = ["Is needed in production."]
        if wrong:
            raise ValidationError(wrong)

    @post_load
    def _derive(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        data["PUBLIC_URL"] = (data["PUBLIC_URL"] or f"http://localhost:{data['PORT']}").rstrip("/")
        data["RESET_URL"] = data["RESET_URL"] or data["PUBLIC_URL"] + "/reset/{token}"
        data["DATA_DIR"] = Path(data["DATA_DIR"]).resolve()
        data["CORS_ORIGINS"] = _split(data["CORS_ORIGINS"])
        return data


def load_settings(overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return every setting, typed: overrides win over the environment, that over .env.

    An empty value counts as unset. Raises SettingsError, naming each setting that is
    missing or can't be read.
    """
    try:
        settings: dict[str, Any] = SettingsSchema().load(_given(overrides or {}))
    except ValidationError as error:
        raise SettingsError(error.messages_dict) from None
    if settings["APP_ENV"] == DEVELOPMENT:
        try:
            settings["DATA_DIR"].mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError({"DATA_DIR": [str(error)]}) from None
    keys = _split(settings["JWT_SECRET_KEY"]) or [development_secret(settings["DATA_DIR"])]
    return settings | {"JWT_SECRET_KEYS": keys, "JWT_SECRET_KEY": keys[0]}


def _given(overrides: Mapping[str, Any]) -> dict[str, Any]:
    env_file = os.environ.get("ENV_FILE_LOCATION") or HOME / ".env"
    try:
        from_file = dotenv_values(env_file)
    except (OSError, ValueError) as error:
        raise SettingsError({"ENV_FILE_LOCATION": [str(error)]}) from None
    given: dict[str, Any] = {}
    for source in (from_file, os.environ, overrides):
        given |= {name: value for name, value in source.items() if value not in ("", None)}
    return given


def development_secret(data_dir: Path) -> str:
    """Return the secret kept in data_dir, made at the first call, the same for all processes."""
    path = data_dir / "jwt_secret"
    draft = data_dir / f"jwt_secret.{secrets.token_hex(4)}"
    if not path.exists():
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(SECRET_BYTES))
        with suppress(FileExistsError):  # of two processes one makes it, and both read it
            path.hardlink_to(draft)
        draft.unlink()
    return path.read_text()


def _split(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
