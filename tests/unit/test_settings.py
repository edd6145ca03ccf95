"""Settings: where they come from, what they default to, and which stop the start."""

import base64
import re

import pytest

from config import LIMITS, SettingsSchema, load_settings
from production_checks import ROTATING_KEYS
from setting_sources import RENAMED_SETTINGS, SettingsError
from setting_values import DEVELOPMENT_LIMIT_FACTOR, LINK_PAGES
from tests.support.processes import HOME
from tests.support.settings import PRODUCTION_SETTINGS
from tests.support.tokens import KEY, OTHER_KEY

REQUIRED = list(PRODUCTION_SETTINGS)[1:]
SHORT = KEY[:31]
DEFAULTS = {
    "APP_ENV": "development",
    "HOST": "127.0.0.1",
    "PORT": 5000,
    "MONGODB_URI": None,
    "MONGODB_TIMEOUT": 5,
    "JWT_SECRET_KEY": None,
    "JWT_ACCESS_TOKEN_EXPIRES": 900,
    "JWT_REFRESH_TOKEN_EXPIRES": 2592000,
    "JWT_REFRESH_GRACE": 10,
    "JWT_REFRESH_LOST": 60,
    "JWT_ACCESS_GRACE": 10,
    "JWT_LEEWAY": 10,
    "JWT_SESSION_MAX_AGE": 7776000,
    "RESET_TOKEN_EXPIRE_MINUTES": 10,
    "PUBLIC_URL": "http://localhost:5000",
    "RESET_URL": "http://localhost:5000/reset/{token}",
    "EMAIL_VERIFICATION": "optional",
    "EMAIL_TOKEN_EXPIRE_HOURS": 24,
    "UNDO_TOKEN_EXPIRE_DAYS": 7,
    "INVITE_TOKEN_EXPIRE_HOURS": 72,
    "CONFIRM_URL": "http://localhost:5000/confirm/{token}",
    "UNDO_URL": "http://localhost:5000/undo/{token}",
    "INVITE_URL": "http://localhost:5000/invite/{token}",
    "EVENT_DAYS": 90,
    "JWT_PRIVATE_KEYS": (),
    "JWT_AUDIENCE": "http://localhost:5000",
    "SECRETS_KEY": None,
    "PASSKEY_ORIGINS": [],
    "REAUTHENTICATE_SECONDS": 600,
    "MAIL_SERVER": None,
    "MAIL_PORT": 25,
    "MAIL_USERNAME": None,
    "MAIL_PASSWORD": None,
    "MAIL_USE_TLS": False,
    "MAIL_USE_SSL": False,
    "MAIL_DEFAULT_SENDER": "support@movie-bag.com",
    "MAIL_TIMEOUT": 10,
    "MAIL_LOCALES": ["en", "pt_BR", "de"],
    "MAIL_TEMPLATES": None,
    "BCRYPT_LOG_ROUNDS": 12,
    "PASSWORD_MIN_LENGTH": 8,
    "PASSWORD_MIN_SCORE": 2,
    "PASSWORD_WORDS": ["movie", "bag", "localhost"],
    "PASSWORD_BREACHED": None,
    "PASSWORD_BREACHED_FAIL": "open",
    "CORS_ORIGINS": [],
    "WEBHOOK_URLS": [],
    "WEBHOOK_SECRET": None,
    "METRICS_HOST": "127.0.0.1",
    "METRICS_PORT": None,
    "TRUSTED_PROXIES": 0,
    "RATELIMIT_ENABLED": True,
    "RATELIMIT_STORAGE_URI": "memory://",
}
# In production and, ten times as high, in development.
LIMIT_DEFAULTS = {
    "RATELIMIT_LOGIN_PER_EMAIL": ("5 per minute", "50 per minute"),
    "RATELIMIT_LOGIN_PER_IP": ("30 per minute", "300 per minute"),
    "RATELIMIT_FORGOT_PER_EMAIL": ("3 per hour", "30 per hour"),
    "RATELIMIT_FORGOT_PER_IP": ("20 per hour", "200 per hour"),
    "RATELIMIT_SIGNUP_PER_IP": ("20 per hour", "200 per hour"),
    "RATELIMIT_RESET_PER_IP": ("60 per minute", "600 per minute"),
    "RATELIMIT_REFRESH_PER_IP": ("60 per minute", "600 per minute"),
    "RATELIMIT_PASSWORD_PER_USER": ("5 per minute", "50 per minute"),
    "RATELIMIT_MFA_PER_USER": (
        "5 per minute; 50 per day",
        "50 per minute; 500 per day",
    ),
    "RATELIMIT_WRITES_PER_USER": (
        "60 per minute; 300 per hour",
        "600 per minute; 3000 per hour",
    ),
}
# They would run a script, or show what is no page of an application.
NO_LINKS = [
    *("javascript:{token}", "JavaScript://x/%0aalert('{token}')"),
    *("data:text/html,{token}", "DATA:{token}"),
    *("vbscript:{token}", "jscript:{token}", "livescript:{token}"),
    *("file:///tmp/{token}", "blob:https://app.example/{token}"),
    *("filesystem:https://app.example/{token}", "about:blank#{token}"),
    *("jar:https://app.example/a!{token}", "view-source:https://x/{token}"),
]
# A browser of the first would send passkeys in plain text; no browser sends the others.
NO_PASSKEY_ORIGINS = [
    "http://app.example.com",
    "http://localhost.example.com",
    "https://app.example.com/",
    "https://*.example.com",
    "https://App.example.com",
    "app.example.com",
    "null",
    "android:apk-key-hash:" + 42 * "a",
    "android:apk-key-hash:" + 43 * "+",
    "https://app.example.com,ios:app",
]
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# No one but this machine may be asked without TLS; a user, or blanks, would be no part of the URL.
NO_WEBHOOK_URLS = (
    "http://hooks.example.com/",
    "http://localhost.example/",
    "http://localhost:80@hooks.example.com/",
    "https://ada:swordfish@hooks.example.com/",
    "https://hooks.example.com/swordfish,ftp://hooks.example.com/",
    "https://hooks.example.com/a b",
    "https://hooks.example.com:swordfish/",
    "https://:443/swordfish",
    "https://bücher.example/",
    "https://[::1/",
)
NO_WEBHOOK_SECRETS = (
    WEBHOOK_SECRET.removeprefix("whsec_"),
    f"{WEBHOOK_SECRET}!",
    f"{WEBHOOK_SECRET},swordfish",
    f"whsec_{base64.b64encode(bytes(23)).decode()}",
    f"whsec_{base64.b64encode(bytes(65)).decode()}",
    ",",
)
INVALID = {
    **{f"WEBHOOK_URLS={it}": "Must be https:// URLs in ASCII" for it in NO_WEBHOOK_URLS},
    **{f"WEBHOOK_SECRET={it}": "Must be whsec_ and the base64" for it in NO_WEBHOOK_SECRETS},
    "PORT=abc": "Not a valid integer.",
    "PORT=0": "greater than or equal to 1 and less than or equal to 65535",
    "PORT=70000": "greater than or equal to 1 and less than or equal to 65535",
    "MONGODB_URI=nonsense": "Must be a mongodb:// URI, percent-encoded.",
    "MONGODB_URI=mongodb://ada:p@ss@db.example/": "percent-encoded",
    "MONGODB_URI=mongodb://ada:5/ss@db.example/": "percent-encoded",
    "MONGODB_URI=mongodb://ada:5?s=s@db.example/": "percent-encoded",
    "MONGODB_URI=mongodb+srv://ada:5#s@db.example/": "percent-encoded",
    "RATELIMIT_STORAGE_URI=redis://:5/ss@redis.example": "percent-encoded",
    "RATELIMIT_STORAGE_URI=rediss://:p@ss@redis.example/0": "percent-encoded",
    "MONGODB_TIMEOUT=0": "greater than or equal to 1 and less than or equal to 12",
    "MAIL_PORT=25.5": "Not a valid integer.",
    "MAIL_USE_TLS=maybe": "Not a valid boolean.",
    "MAIL_TIMEOUT=13": "greater than or equal to 1 and less than or equal to 12",
    "JWT_SESSION_MAX_AGE=9999999999": "less than or equal to 1000000000",
    "BCRYPT_LOG_ROUNDS=99": "greater than or equal to 4 and less than or equal to 31",
    **{
        f"{name}={link}": reason
        for name in LINK_PAGES
        for link, reason in {
            "https://app.example/page": r"Must be a link that contains \{token\}\.",
            "/page?t={token}": r"Must be a link",
            **dict.fromkeys(NO_LINKS, "Must be a link"),
        }.items()
    },
    "EMAIL_VERIFICATION=on": "Must be one of: off, optional, required.",
    "EMAIL_VERIFICATION=Required": "Must be one of: off, optional, required.",
    "EMAIL_TOKEN_EXPIRE_HOURS=0": "greater than or equal to 1 and less than or equal to 1000000",
    "EMAIL_TOKEN_EXPIRE_HOURS=0.5": "Not a valid integer.",
    "UNDO_TOKEN_EXPIRE_DAYS=0": "greater than or equal to 1 and less than or equal to 10000",
    "UNDO_TOKEN_EXPIRE_DAYS=10001": "greater than or equal to 1 and less than or equal to 10000",
    "REAUTHENTICATE_SECONDS=0": "greater than or equal to 1 and less than or equal to 1000000000",
    **{f"PASSKEY_ORIGINS={it}": "Must be https:// origins, or" for it in NO_PASSKEY_ORIGINS},
    "SECRETS_KEY=\udcff": "Must be a line of text in UTF-8.",
    "PUBLIC_URL=nonsense": "Not a valid URL.",
    "PUBLIC_URL=https://[::1": "Not a valid URL.",
    f"PUBLIC_URL=https://{60 * 'ü'}.example": "Must have a host that the DNS can have.",
    "MAIL_DEFAULT_SENDER=Movie-bag": "Must be an address, or a name and an <address>.",
    "MAIL_DEFAULT_SENDER=ada@bücher.example": "Must be an address",
    "MAIL_LOCALES=en,klingon": "Must be locales like en,pt_BR.",
    "MAIL_LOCALES=en_XX": "Must be locales like en,pt_BR.",
    "MAIL_LOCALES=,": "Must be locales like en,pt_BR.",
    "MAIL_TEMPLATES=/nowhere": "Must be a folder.",
    "JWT_SECRET_KEY=\udcff": "Must be a line of text in UTF-8.",
    "MAIL_SERVER=localhost\nX: y": "Must be a line of text in UTF-8.",
    "APP_ENV=prod": "Must be one of: development, production.",
    "METRICS_PORT=70000": "greater than or equal to 1 and less than or equal to 65535",
    "CORS_ORIGINS=*": "each by name",
    "CORS_ORIGINS=https://*.example.com": "each by name",
    "CORS_ORIGINS=https://app.example.com,null": "each by name",
    "CORS_ORIGINS=https://app.example.com/": "each by name",
    "CORS_ORIGINS=app.example.com": "each by name",
    "CORS_ORIGINS=https://app.example.com:443": "each by name",
    "CORS_ORIGINS=http://app.example.com:80": "each by name",
    "TRUSTED_PROXIES=-1": "greater than or equal to 0 and less than or equal to 9",
    "RATELIMIT_STORAGE_URI=http://localhost": "Must be memory:// or a redis:// URI",
    "RATELIMIT_LOGIN_PER_IP=often": "Must be a limit like 5 per minute.",
    "RATELIMIT_LOGIN_PER_IP=5": "Must be a limit like 5 per minute.",
    "RATELIMIT_LOGIN_PER_IP=0 per minute": "Must be a limit like 5 per minute.",
    "RATELIMIT_LOGIN_PER_IP=5 per fortnight": "Must be a limit like 5 per minute.",
    "RATELIMIT_LOGIN_PER_IP=5 per 99999999 years": "Must be a limit like 5 per minute.",
    "RATELIMIT_FORGOT_PER_EMAIL=3 per hour; often": "Must be a limit like 5 per minute.",
}


@pytest.fixture(autouse=True)
def env_file(tmp_path, monkeypatch):
    """Return the path of a .env that is not written yet; settings come from nowhere else."""
    for name in (*SettingsSchema().fields, *RENAMED_SETTINGS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ENV_FILE_LOCATION", str(tmp_path / ".env"))
    return tmp_path / ".env"


@pytest.fixture
def give(env_file, monkeypatch):
    """Return a function that gives a setting in one of the sources, for `overrides`."""
    overrides = {}

    def give(source, name, value):
        if source == ".env":
            with env_file.open("a") as file:
                file.write(f"{name}={value}\n")
        elif source == "environment":
            monkeypatch.setenv(name, value)
        else:
            overrides[name] = value
        return overrides

    return give


SOURCES = (".env", "environment", "overrides")
EACH_SOURCE = pytest.mark.parametrize("source", SOURCES)


def problems(**overrides):
    """Return what load_settings reports: name → sentences."""
    with pytest.raises(SettingsError) as raised:
        load_settings(overrides)
    first, *lines = str(raised.value).splitlines()
    assert first == "These settings can't be used:"
    return dict(line.strip().split(": ", 1) for line in lines)


class TestDefaults:
    @pytest.mark.parametrize(("name", "value"), DEFAULTS.items(), ids=DEFAULTS.keys())
    def test_setting_has_its_default(self, name, value):
        found = load_settings()[name]
        assert (type(found), found) == (type(value), value)

    def test_every_setting_has_a_tested_default(self):
        assert {*DEFAULTS, *LIMIT_DEFAULTS, "DATA_DIR"} == SettingsSchema().fields.keys()

    def test_data_dir_is_data_beside_run_py(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        assert load_settings()["DATA_DIR"] == HOME / "data"

    def test_reading_settings_creates_nothing(self, tmp_path):
        load_settings({"DATA_DIR": str(tmp_path / "data")})
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("given", "public_url"),
        [
            ({}, "http://localhost:5000"),
            ({"PORT": "8123"}, "http://localhost:8123"),
            ({"PUBLIC_URL": "https://m.example/"}, "https://m.example"),
        ],
        ids=["defaults", "PORT", "PUBLIC_URL"],
    )
    def test_urls_derive_from_other_settings(self, given, public_url):
        settings = load_settings(given)
        assert settings["PUBLIC_URL"] == public_url
        assert {name: settings[name] for name in LINK_PAGES} == {
            name: f"{public_url}/{page}/{{token}}" for name, page in LINK_PAGES.items()
        }

    @pytest.mark.parametrize("name", LINK_PAGES)
    def test_url_of_a_link_is_set_alone(self, name):
        given, defaults = load_settings({name: "movr://r?t={token}"}), load_settings()
        changed = {key for key in SettingsSchema().fields if given[key] != defaults[key]}
        assert (changed, given[name]) == ({name}, "movr://r?t={token}")


class TestLimits:
    """In development the default limits are ten times as high, explicit ones never."""

    @pytest.mark.parametrize("name", LIMITS)
    def test_default_is_ten_times_as_high_in_development(self, name):
        in_production, in_development = LIMIT_DEFAULTS[name]
        assert load_settings(PRODUCTION_SETTINGS)[name] == in_production
        assert load_settings()[name] == in_development
        assert DEVELOPMENT_LIMIT_FACTOR == 10

    @EACH_SOURCE
    @pytest.mark.parametrize("limit", ["5 per minute", "2 per minute; 3 per hour"])
    def test_explicit_limit_applies_as_it_is(self, give, source, limit):
        overrides = give(source, "RATELIMIT_LOGIN_PER_EMAIL", limit)
        assert load_settings(overrides)["RATELIMIT_LOGIN_PER_EMAIL"] == limit

    @EACH_SOURCE
    def test_empty_limit_is_not_explicit(self, give, source):
        overrides = give(source, "RATELIMIT_LOGIN_PER_EMAIL", "")
        assert load_settings(overrides)["RATELIMIT_LOGIN_PER_EMAIL"] == "50 per minute"


class TestSources:
    def test_environment_wins_over_file_and_overrides_over_both(self, env_file, monkeypatch):
        env_file.write_text("HOST=file\nPORT=5001\nMAIL_PORT=5001")
        monkeypatch.setenv("PORT", "5002")
        monkeypatch.setenv("MAIL_PORT", "5002")
        settings = load_settings({"MAIL_PORT": 5003})
        assert [settings[name] for name in ("HOST", "PORT", "MAIL_PORT")] == ["file", 5002, 5003]

    @EACH_SOURCE
    def test_empty_value_counts_as_unset(self, give, source):
        names = ("PORT", "MAIL_SERVER", "MONGODB_URI")
        for name in names:
            overrides = give(source, name, "")
        settings = load_settings(overrides)
        assert [settings[name] for name in names] == [5000, None, None]

    @pytest.mark.parametrize("line", ["MAIL_SERVER", "MAIL_SERVER=''"])
    def test_line_without_a_value_counts_as_unset(self, env_file, line):
        env_file.write_text(line)
        assert load_settings()["MAIL_SERVER"] is None

    def test_empty_value_is_missing_in_production(self):
        assert problems(**PRODUCTION_SETTINGS | {"MAIL_SERVER": ""}).keys() == {"MAIL_SERVER"}

    def test_empty_value_in_the_environment_leaves_that_of_the_file(self, env_file, monkeypatch):
        env_file.write_text("PORT=5001")
        monkeypatch.setenv("PORT", "")
        assert load_settings()["PORT"] == 5001

    def test_unreadable_file_is_named(self, env_file):
        env_file.write_bytes(b"HOST=\xff")
        assert problems() == {"ENV_FILE_LOCATION": "Must be a text in UTF-8."}

    @pytest.mark.parametrize("quote", ["", "'", '"'])
    @pytest.mark.parametrize("text", ["pa${ss}word", "pa${HOME}", "$$", "${a:-b}", "p$HOST"])
    def test_value_in_the_file_is_not_interpolated(self, env_file, text, quote):
        env_file.write_text(f"MAIL_PASSWORD={quote}{text}{quote}")
        assert load_settings()["MAIL_PASSWORD"] == text

    def test_value_that_flask_interpolated_is_read_from_the_file(self, env_file, monkeypatch):
        env_file.write_text("MAIL_PASSWORD=pa${ss}word")
        monkeypatch.setenv("MAIL_PASSWORD", "paword")  # `flask` has done that before
        assert load_settings()["MAIL_PASSWORD"] == "pa${ss}word"


class TestRenamedSettings:
    EACH_RENAMED = pytest.mark.parametrize(("old", "new"), RENAMED_SETTINGS.items())

    def test_names_of_the_version_before_are_known(self):
        assert RENAMED_SETTINGS == {
            "RATELIMIT_LOGIN_PER_ADDRESS": "RATELIMIT_LOGIN_PER_EMAIL",
            "RATELIMIT_FORGOT_PER_ADDRESS": "RATELIMIT_FORGOT_PER_EMAIL",
            "RATELIMIT_PASSWORD_PER_ACCOUNT": "RATELIMIT_PASSWORD_PER_USER",
        }

    @EACH_SOURCE
    @EACH_RENAMED
    def test_old_name_works(self, give, source, old, new):
        settings = load_settings(give(source, old, "7 per minute"))
        assert settings[new] == "7 per minute"
        assert settings["RENAMED_SETTINGS_IN_USE"] == {old: new}

    @pytest.mark.parametrize("source_of_old", SOURCES)
    @pytest.mark.parametrize("source_of_new", SOURCES)
    def test_new_name_wins_over_the_old_one(self, give, source_of_old, source_of_new):
        give(source_of_old, "RATELIMIT_LOGIN_PER_ADDRESS", "7 per minute")
        overrides = give(source_of_new, "RATELIMIT_LOGIN_PER_EMAIL", "8 per minute")
        assert load_settings(overrides)["RATELIMIT_LOGIN_PER_EMAIL"] == "8 per minute"

    @EACH_RENAMED
    def test_empty_new_name_leaves_the_old_one(self, give, old, new):
        give("environment", new, "")
        give(".env", old, "7 per minute")
        assert load_settings()[new] == "7 per minute"

    def test_invalid_value_under_an_old_name_stops_the_start(self):
        assert problems(RATELIMIT_LOGIN_PER_ADDRESS="often") == {
            "RATELIMIT_LOGIN_PER_EMAIL": "Must be a limit like 5 per minute."
        }

    def test_new_names_alone_are_not_reported(self, give):
        for new in RENAMED_SETTINGS.values():
            give("environment", new, "7 per minute")
        assert load_settings()["RENAMED_SETTINGS_IN_USE"] == {}


class TestInvalidSettings:
    @pytest.mark.parametrize(("given", "reason"), INVALID.items(), ids=INVALID.keys())
    def test_setting_is_named_with_the_reason(self, monkeypatch, given, reason):
        name, value = given.split("=", 1)
        monkeypatch.setenv(name, value)
        found = problems()
        assert found.keys() == {name}
        assert re.search(reason, found[name])
        assert "swordfish" not in found[name]

    def test_tls_and_ssl_exclude_each_other(self):
        assert problems(MAIL_USE_TLS="true", MAIL_USE_SSL="true").keys() == {"MAIL_USE_SSL"}

    def test_all_problems_are_reported_at_once(self):
        wrong = {"PORT": "abc", "MAIL_USE_TLS": "maybe", "PUBLIC_URL": "x", "MAIL_SERVER": None}
        assert problems(**PRODUCTION_SETTINGS | wrong).keys() == wrong.keys()

    @pytest.mark.parametrize(
        "origin",
        [
            "https://app.example.com",
            "https://app.example.com:8443",
            "http://localhost:3000",
            "http://localhost",
            f"android:apk-key-hash:{43 * 'Z'}",
        ],
    )
    def test_passkey_origins_are_separated_by_commas(self, origin):
        settings = load_settings({"PASSKEY_ORIGINS": f"{origin}, https://b.example,"})
        assert settings["PASSKEY_ORIGINS"] == [origin, "https://b.example"]

    def test_webhook_urls_and_secrets_are_separated_by_commas(self):
        urls = [
            "https://hooks.example.com/a?b=c",
            "http://localhost:3000",
            "http://127.0.0.1/",
            "http://[::1]:3000/",
        ]
        secrets = [f"whsec_{base64.b64encode(bytes(size)).decode()}" for size in (24, 64)]
        given = {"WEBHOOK_URLS": ", ".join(urls + urls[:1]), "WEBHOOK_SECRET": ",".join(secrets)}
        settings = load_settings(given)
        assert (settings["WEBHOOK_URLS"], settings["WEBHOOK_SECRETS"]) == (urls, secrets)

    def test_webhook_urls_need_a_secret(self):
        found = problems(WEBHOOK_URLS="https://hooks.example.com/swordfish")
        assert found == {"WEBHOOK_SECRET": "Is needed with WEBHOOK_URLS."}

    @pytest.mark.parametrize("sender", ["a.b+c@localhost", "Zoë O'Neil <zoe@example.com>"])
    def test_sender_is_an_address_with_or_without_a_name(self, sender):
        assert load_settings({"MAIL_DEFAULT_SENDER": sender})["MAIL_DEFAULT_SENDER"] == sender


EACH_KEY = pytest.mark.parametrize("name", ROTATING_KEYS)


class TestProduction:
    def test_webhook_secret_that_can_be_guessed_is_refused(self):
        secret = f"whsec_{base64.b64encode(b'swordfish' * 3).decode()}"
        assert load_settings({"WEBHOOK_SECRET": secret})["WEBHOOK_SECRETS"] == [secret]
        given = PRODUCTION_SETTINGS | {"WEBHOOK_SECRET": f"{WEBHOOK_SECRET},{secret}"}
        assert problems(**given)["WEBHOOK_SECRET"].startswith("Key 2 can be guessed")

    @pytest.mark.parametrize("missing", [*([name] for name in REQUIRED), REQUIRED], ids="+".join)
    def test_missing_settings_are_named(self, missing):
        found = problems(**PRODUCTION_SETTINGS | dict.fromkeys(missing))
        assert found == dict.fromkeys(missing, "Is needed in production.")

    @EACH_KEY
    @pytest.mark.parametrize(
        "keys",
        [SHORT, f"{KEY},{SHORT}", f"{SHORT} , {KEY}", f"{SHORT}  ", " , "],
        ids=["31 bytes", "second short", "first short", "padded", "none"],
    )
    def test_short_key_is_refused(self, name, keys):
        found = problems(**PRODUCTION_SETTINGS | {name: keys})
        assert found == {name: "Needs at least 32 bytes in production."}

    @EACH_KEY
    def test_several_keys_are_separated_by_commas(self, name):
        old, new = OTHER_KEY, KEY
        settings = load_settings(PRODUCTION_SETTINGS | {name: f" {new} ,{old},"})
        assert settings[f"{name}S"] == [new, old]
        assert settings[name] == new

    def test_key_of_secrets_may_be_unset(self):
        assert load_settings(PRODUCTION_SETTINGS)["SECRETS_KEYS"] == []


GUESSABLE = {
    "one letter": "a" * 32,
    "one letter of two bytes": "é" * 16,
    "a word again and again": "changeme" * 5,
    "a pattern": "aB3$" * 8,
    "half a key": "0123456789abcdef" * 2,
    "digits": "1234567890" * 4,
    "an alphabet": "abcdefghijklmnopqrstuvwxyz0123456789",
    "an alphabet backwards": "zyxwvutsrqponmlkjihgfedcba9876543210",
    "a keyboard": "qwertyuiopasdfghjklzxcvbnm123456",
    "zeros and a one": "0" * 40 + "1",
    "jwt.io, 256 bits": "a-string-secret-at-least-256-bits-long",
    "jwt.io, 384 bits": "a-valid-string-secret-that-is-at-least-384-bits-long",
    "jwt.io, 512 bits": "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    "jwt.io, before": "your-256-bit-secret-your-256-bit-secret",
    "the tutorial": "t1NP63m4wnBg6nyHYKfmc2TpCOGI4nss",
    "Flask": "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    "FastAPI": "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "a placeholder": "REPLACE_ME_WITH_YOUR_SECRET_KEY_OF_32_BYTES",
    "Django": "django-insecure-change-me-before-production!",
    "words": "correct horse battery staple tractor window",
    "words of this product": "movie-bag-production-signing-key-2026-11",
    "Latin": "Lorem ipsum dolor sit amet consectetur adipiscing",
    "German": "das-ist-ein-sehr-langer-schluessel-fuer-movie-bag",
    "a quotation": "Alle Menschen sind vor dem Gesetz gleich",
    "Spring": "3cfa76ef14937c1c0ea519f8fc057a80fcd04a7420f8e8bcd0a7567c272e007b",
    "a sentence": "How are you? I am fine and thank you very much!",
}


class TestGuessableKey:
    GENERATE = (
        "Key {} can be guessed: generate another, `APP_ENV=development flask --app app secret`."
    )
    MESSAGE = f"{GENERATE} Remove the old one, which logs out everyone whose token it signed."

    @pytest.mark.parametrize("key", GUESSABLE.values(), ids=GUESSABLE)
    def test_key_is_refused_and_not_printed(self, key):
        found = problems(**PRODUCTION_SETTINGS | {"JWT_SECRET_KEY": key})
        assert found == {"JWT_SECRET_KEY": self.MESSAGE.format(1)}

    def test_each_key_of_the_list_is_named_by_its_place(self):
        keys = f"{KEY},{'a' * 32},{OTHER_KEY},{'b' * 40}"
        found = problems(**PRODUCTION_SETTINGS | {"JWT_SECRET_KEY": keys})
        assert found == {"JWT_SECRET_KEY": f"{self.MESSAGE.format(2)} {self.MESSAGE.format(4)}"}

    def test_short_key_and_guessable_key_are_both_named(self):
        found = problems(**PRODUCTION_SETTINGS | {"JWT_SECRET_KEY": f"{'a' * 32},{SHORT}"})
        short = "Needs at least 32 bytes in production."
        assert found == {"JWT_SECRET_KEY": f"{short} {self.MESSAGE.format(1)}"}

    @pytest.mark.parametrize("keys", ["a" * 32, f"{KEY},{'a' * 32}"], ids=["first", "second"])
    def test_key_of_secrets_is_refused(self, keys):
        found = problems(**PRODUCTION_SETTINGS | {"SECRETS_KEY": keys})
        assert found == {"SECRETS_KEY": self.GENERATE.format(len(keys.split(",")))}

    def test_random_end_of_a_key_is_enough(self):
        key = "a" * 32 + KEY
        assert load_settings(PRODUCTION_SETTINGS | {"JWT_SECRET_KEY": key})

    def test_development_accepts_any_key(self):
        assert load_settings({"JWT_SECRET_KEY": "a" * 32})


EXAMPLE = (HOME / ".env.example").read_text()
EXAMPLE_LINES = re.findall(r"^# ([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE)


class TestEnvExample:
    def test_every_line_is_commented_out(self):
        assert [line for line in EXAMPLE.splitlines() if line and not line.startswith("# ")] == []

    def test_every_setting_is_shown_once(self):
        names = sorted(name for name, _ in EXAMPLE_LINES)
        assert names == sorted([*SettingsSchema().fields, "ENV_FILE_LOCATION"])

    @pytest.mark.parametrize(("name", "text"), EXAMPLE_LINES, ids=dict(EXAMPLE_LINES).keys())
    def test_line_shows_the_default(self, env_file, monkeypatch, name, text):
        monkeypatch.chdir(HOME)
        if name == "ENV_FILE_LOCATION":
            assert text == ".env"
            return
        others = PRODUCTION_SETTINGS if name in LIMITS else {}  # in development they are not equal
        default = load_settings(others)[name]
        env_file.write_text(f"{name}={text}")
        assert load_settings(others)[name] == default

    def test_all_lines_together_can_be_uncommented(self, env_file):
        lines = [f"{name}={text}" for name, text in EXAMPLE_LINES if name != "DATA_DIR"]
        env_file.write_text("\n".join(lines))
        read = load_settings()
        limits = {name: in_production for name, (in_production, _) in LIMIT_DEFAULTS.items()}
        env_file.unlink()
        assert read == load_settings() | limits
