"""Settings: where they come from, what they default to, and what stops a start."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from config import SettingsError, SettingsSchema, load_settings
from tests.conftest import at_once
from tests.servers import HOME, environment
from tests.smtp import free_port

PRODUCTION = {
    "APP_ENV": "production",
    "JWT_SECRET_KEY": "k" * 32,
    "MONGODB_URI": "mongodb://db.example/movie-bag",
    "MAIL_SERVER": "mail.example",
    "PUBLIC_URL": "https://movie-bag.example",
}
NEEDED = list(PRODUCTION)[1:]
DEFAULTS = {
    "APP_ENV": "development",
    "HOST": "127.0.0.1",
    "PORT": 5000,
    "MONGODB_URI": None,
    "MONGODB_TIMEOUT": 5,
    "JWT_ACCESS_TOKEN_EXPIRES": 900,
    "JWT_REFRESH_TOKEN_EXPIRES": 2592000,
    "JWT_REFRESH_GRACE": 10,
    "JWT_SESSION_MAX_AGE": 7776000,
    "RESET_TOKEN_EXPIRE_MINUTES": 10,
    "PUBLIC_URL": "http://localhost:5000",
    "RESET_URL": "http://localhost:5000/reset/{token}",
    "MAIL_SERVER": None,
    "MAIL_PORT": 25,
    "MAIL_USERNAME": None,
    "MAIL_PASSWORD": None,
    "MAIL_USE_TLS": False,
    "MAIL_USE_SSL": False,
    "MAIL_DEFAULT_SENDER": "support@movie-bag.com",
    "MAIL_TIMEOUT": 10,
    "BCRYPT_LOG_ROUNDS": 12,
    "PASSWORD_MIN_LENGTH": 8,
    "PASSWORD_MIN_SCORE": 2,
    "CORS_ORIGINS": [],
    "METRICS_PORT": None,
    "TRUSTED_PROXIES": 0,
    "RATELIMIT_ENABLED": True,
    "RATELIMIT_STORAGE_URI": "memory://",
    "RATELIMIT_LOGIN_PER_ADDRESS": "5 per minute",
    "RATELIMIT_LOGIN_PER_IP": "30 per minute",
    "RATELIMIT_FORGOT_PER_ADDRESS": "3 per hour",
    "RATELIMIT_FORGOT_PER_IP": "20 per hour",
    "RATELIMIT_SIGNUP_PER_IP": "20 per hour",
    "RATELIMIT_RESET_PER_IP": "60 per minute",
    "RATELIMIT_REFRESH_PER_IP": "60 per minute",
    "RATELIMIT_PASSWORD_PER_ACCOUNT": "5 per minute",
}
WRONG = {
    "PORT=abc": "Not a valid integer.",
    "PORT=0": "greater than or equal to 1 and less than or equal to 65535",
    "PORT=70000": "greater than or equal to 1 and less than or equal to 65535",
    "MONGODB_TIMEOUT=0": "greater than or equal to 1 and less than or equal to 12",
    "MAIL_PORT=25.5": "Not a valid integer.",
    "MAIL_USE_TLS=maybe": "Not a valid boolean.",
    "MAIL_TIMEOUT=13": "greater than or equal to 1 and less than or equal to 12",
    "JWT_SESSION_MAX_AGE=9999999999": "less than or equal to 1000000000",
    "BCRYPT_LOG_ROUNDS=99": "greater than or equal to 4 and less than or equal to 31",
    "RESET_URL=https://app.example/reset": r"Must be a link that contains \{token\}\.",
    "RESET_URL=/reset?t={token}": r"Must be a link",
    "PUBLIC_URL=nonsense": "Not a valid URL.",
    "MAIL_DEFAULT_SENDER=Movie-bag": "Must be an address, or a name and an <address>.",
    "MAIL_DEFAULT_SENDER=ada@bücher.example": "Must be an address",
    "JWT_SECRET_KEY=\udcff": "Must be a line of text in UTF-8.",
    "MAIL_SERVER=localhost\nX: y": "Must be a line of text in UTF-8.",
    "APP_ENV=prod": "Must be one of: development, production.",
    "METRICS_PORT=70000": "greater than or equal to 1 and less than or equal to 65535",
    "CORS_ORIGINS=*": "each by name",
    "CORS_ORIGINS=https://*.example.com": "each by name",
    "CORS_ORIGINS=https://app.example.com,null": "each by name",
    "CORS_ORIGINS=https://app.example.com/": "each by name",
    "CORS_ORIGINS=app.example.com": "each by name",
    "TRUSTED_PROXIES=-1": "greater than or equal to 0 and less than or equal to 9",
    "RATELIMIT_STORAGE_URI=http://localhost": "Must be memory:// or a redis:// URI.",
    "RATELIMIT_LOGIN_PER_IP=often": "Must be a limit like 5 per minute.",
    "RATELIMIT_LOGIN_PER_IP=5": "Must be a limit like 5 per minute.",
    "RATELIMIT_LOGIN_PER_IP=0 per minute": "Must be a limit like 5 per minute.",
    "RATELIMIT_LOGIN_PER_IP=5 per fortnight": "Must be a limit like 5 per minute.",
    "RATELIMIT_LOGIN_PER_IP=5 per 99999999 years": "Must be a limit like 5 per minute.",
    "RATELIMIT_FORGOT_PER_ADDRESS=3 per hour; often": "Must be a limit like 5 per minute.",
}


@pytest.fixture(autouse=True)
def dotenv(tmp_path, monkeypatch):
    """Return the path of a .env that isn't there yet; no setting comes from anywhere else."""
    for name in SettingsSchema().fields:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ENV_FILE_LOCATION", str(tmp_path / ".env"))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    return tmp_path / ".env"


def complaint(**overrides):
    """Return what load_settings complains about: name → sentences."""
    with pytest.raises(SettingsError) as raised:
        load_settings(overrides)
    first, *lines = str(raised.value).splitlines()
    assert first == "These settings can't be used:"
    return dict(line.strip().split(": ", 1) for line in lines)


def run_py(**settings):
    command = [sys.executable, HOME / "run.py"]
    env = environment(**settings)
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize(("name", "value"), DEFAULTS.items(), ids=DEFAULTS.keys())
def test_without_an_environment_or_env_file_each_setting_has_its_default(name, value):
    found = load_settings()[name]
    assert (type(found), found) == (type(value), value)


def test_the_default_data_dir_is_data_beside_run_py(monkeypatch, tmp_path):
    monkeypatch.delenv("DATA_DIR")
    monkeypatch.chdir(tmp_path)
    assert load_settings(PRODUCTION)["DATA_DIR"] == HOME / "data"


def test_the_environment_wins_over_the_env_file_and_overrides_win_over_both(dotenv, monkeypatch):
    dotenv.write_text("HOST=file\nPORT=5001\nMAIL_PORT=5001")
    monkeypatch.setenv("PORT", "5002")
    monkeypatch.setenv("MAIL_PORT", "5002")
    settings = load_settings({"MAIL_PORT": 5003})
    assert [settings[name] for name in ("HOST", "PORT", "MAIL_PORT")] == ["file", 5002, 5003]


@pytest.mark.parametrize("source", ["environment", "env file"])
def test_an_empty_value_counts_as_unset(dotenv, monkeypatch, source):
    dotenv.write_text("PORT=\nMAIL_SERVER\nMONGODB_URI=''\n" if source == "env file" else "")
    for name in ("PORT", "MAIL_SERVER", "MONGODB_URI") if source == "environment" else ():
        monkeypatch.setenv(name, "")
    settings = load_settings()
    assert [settings[name] for name in ("PORT", "MAIL_SERVER", "MONGODB_URI")] == [5000, None, None]
    assert complaint(**PRODUCTION | {"MAIL_SERVER": ""}).keys() == {"MAIL_SERVER"}


def test_an_empty_value_in_the_environment_leaves_it_to_the_env_file(dotenv, monkeypatch):
    dotenv.write_text("PORT=5001")
    monkeypatch.setenv("PORT", "")
    assert load_settings()["PORT"] == 5001


def test_an_env_file_that_can_not_be_read_is_named(dotenv):
    dotenv.write_bytes(b"HOST=\xff")
    assert complaint().keys() == {"ENV_FILE_LOCATION"}


@pytest.mark.parametrize("sender", ["a.b+c@localhost", "Zoë O'Neil <zoe@example.com>"])
def test_a_sender_is_an_address_with_a_name_or_without(sender):
    assert load_settings({"MAIL_DEFAULT_SENDER": sender})["MAIL_DEFAULT_SENDER"] == sender


def test_production_starts_with_the_four_and_makes_no_data_dir(run, smtp):
    settings = PRODUCTION | {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": smtp}
    del settings["MONGODB_URI"]
    running = run(**settings)
    assert running.post("/api/auth/forgot", email="ada@example.com").status_code == 200
    assert not running.data_dir.exists()


@pytest.mark.parametrize("missing", [*([name] for name in NEEDED), NEEDED], ids="+".join)
def test_production_names_what_is_missing(missing):
    problems = complaint(**PRODUCTION | dict.fromkeys(missing))
    assert problems == dict.fromkeys(missing, "Is needed in production.")


@pytest.mark.parametrize(
    "keys",
    ["k" * 31, "k" * 32 + "," + "k" * 31, "k" * 31 + " , " + "k" * 32, "k" * 31 + "  ", " , "],
    ids=["31 bytes", "second short", "first short", "padded", "none"],
)
def test_production_refuses_a_short_key(keys):
    problems = complaint(**PRODUCTION | {"JWT_SECRET_KEY": keys})
    assert problems == {"JWT_SECRET_KEY": "Needs at least 32 bytes in production."}


def test_several_keys_are_told_apart_by_commas():
    old, new = "é" * 16, "k" * 32
    settings = load_settings(PRODUCTION | {"JWT_SECRET_KEY": f" {new} ,{old},"})
    assert settings["JWT_SECRET_KEYS"] == [new, old]


@pytest.mark.parametrize("missing", [["MAIL_SERVER"], NEEDED], ids=["one", "four"])
def test_run_py_in_production_says_what_is_missing_and_does_not_start(missing):
    ended = run_py(**PRODUCTION | dict.fromkeys(missing))
    assert ended.returncode == 1
    lines = ended.stderr.splitlines()
    assert lines[1:] == [f"  {name}: Is needed in production." for name in sorted(missing)]


@pytest.mark.parametrize(("given", "why"), WRONG.items(), ids=WRONG.keys())
def test_a_setting_that_can_not_be_read_is_named_with_the_reason(monkeypatch, given, why):
    name, value = given.split("=", 1)
    monkeypatch.setenv(name, value)
    problems = complaint()
    assert problems.keys() == {name}
    assert re.search(why, problems[name])


def test_tls_and_ssl_exclude_each_other():
    assert complaint(MAIL_USE_TLS="true", MAIL_USE_SSL="true").keys() == {"MAIL_USE_SSL"}


def test_all_that_is_wrong_is_named_at_once():
    wrong = {"PORT": "abc", "MAIL_USE_TLS": "maybe", "PUBLIC_URL": "nonsense", "MAIL_SERVER": None}
    assert complaint(**PRODUCTION | wrong).keys() == wrong.keys()


def test_the_value_of_a_secret_is_never_printed():
    secrets = {
        "JWT_SECRET_KEY": "hush-key",
        "MAIL_PASSWORD": "hush-mail",
        "MONGODB_URI": "mongodb://ada:hush-db@db.example/",
        "PUBLIC_URL": "ada:hush-url@example.com",
    }
    ended = run_py(**PRODUCTION | secrets | {"PORT": "hush-port", "APP_ENV": "production"})
    assert ended.returncode == 1
    assert "JWT_SECRET_KEY: Needs at least 32 bytes" in ended.stderr
    assert "hush" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("given", "public_url", "reset_url"),
    [
        ({"PORT": "8123"}, "http://localhost:8123", "http://localhost:8123/reset/{token}"),
        (
            {"PUBLIC_URL": "https://m.example/"},
            "https://m.example",
            "https://m.example/reset/{token}",
        ),
        ({"RESET_URL": "movr://r?t={token}"}, "http://localhost:5000", "movr://r?t={token}"),
    ],
    ids=["PORT", "PUBLIC_URL", "RESET_URL"],
)
def test_public_url_and_reset_url_derive(given, public_url, reset_url):
    settings = load_settings(given)
    assert (settings["PUBLIC_URL"], settings["RESET_URL"]) == (public_url, reset_url)


def test_the_development_secret_is_made_once_and_kept_private(tmp_path):
    (secret,) = load_settings()["JWT_SECRET_KEYS"]
    assert len(secret) >= 32
    assert load_settings()["JWT_SECRET_KEYS"] == [secret]
    assert load_settings({"DATA_DIR": str(tmp_path / "other")})["JWT_SECRET_KEYS"] != [secret]
    (kept,) = [path for path in (tmp_path / "data").iterdir() if path.read_text() == secret]
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700


def in_a_thread(_):
    return load_settings()["JWT_SECRET_KEYS"][0]


def in_a_process(_):
    show = "import config; print(*config.load_settings()['JWT_SECRET_KEYS'])"
    return subprocess.check_output([sys.executable, "-c", show], cwd=HOME, text=True).strip()


@pytest.mark.parametrize("load", [in_a_thread, in_a_process])
def test_8_simultaneous_starts_make_one_development_secret(tmp_path, load):
    secrets = set(at_once(8, load))
    assert secrets == {path.read_text() for path in (tmp_path / "data").iterdir()}
    assert len(secrets) == 1


def test_tokens_outlive_a_restart_in_development(make_app, http):
    http.app = make_app(APP_ENV="development", JWT_SECRET_KEY=None)
    http.sign_up()
    token = http.log_in().json()["token"]
    http.app = make_app(APP_ENV="development", JWT_SECRET_KEY=None)
    assert http.whoami(token).status_code == 200


def test_a_secret_that_is_given_is_used_in_development_too(tmp_path):
    assert load_settings({"JWT_SECRET_KEY": "short"})["JWT_SECRET_KEYS"] == ["short"]
    assert list((tmp_path / "data").iterdir()) == []


def test_run_py_says_so_when_its_port_is_taken(database):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = run_py(PORT=port, MONGODB_URI=database)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Can't listen on 127.0.0.1:{port}: ")
    assert "Address already in use" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("host", ["999.1.1.1", "203.0.113.1"], ids=["nonsense", "another's"])
def test_run_py_says_so_when_it_can_not_listen_on_host(database, host):
    ended = run_py(HOST=host, PORT=free_port(), MONGODB_URI=database)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Can't listen on {host}:")
    assert "Traceback" not in ended.stderr


def test_env_example_names_every_setting_and_shows_the_defaults(monkeypatch):
    example = HOME / ".env.example"
    names = re.findall(r"^(?:# )?([A-Z_]+)=", example.read_text(), re.MULTILINE)
    assert sorted(names) == sorted([*SettingsSchema().fields, "ENV_FILE_LOCATION"])
    before = load_settings()
    monkeypatch.setenv("ENV_FILE_LOCATION", str(example))
    assert load_settings() == before


def test_no_package_index_is_named():
    assert "[[source]]" not in Path(HOME / "Pipfile").read_text()
    assert json.loads(Path(HOME / "Pipfile.lock").read_text())["_meta"]["sources"] == []


@pytest.mark.parametrize(
    "given",
    [
        {"MONGODB_URI": "nonsense"},
        {"MONGODB_URI": "http://db.example/"},
        {"MONGODB_URI": "mongodb://localhost:99999999"},
        {"MONGODB_URI": "mongodb://user-without-password@localhost"},
        {"DATA_DIR": "/proc/nope"},
        {"DATA_DIR": "/dev/null"},
        {"RATELIMIT_STORAGE_URI": "redis://localhost:nonsense"},
        {"RATELIMIT_STORAGE_URI": "redis://localhost?socket_timeout=nonsense"},
    ],
    ids=str,
)
def test_run_py_names_the_setting_that_it_can_not_use(tmp_path, given):
    ended = run_py(**{"PORT": free_port(), "DATA_DIR": tmp_path} | given)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert f"  {next(iter(given))}: " in ended.stderr
