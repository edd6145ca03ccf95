"""The start of the server: what stops it, what it says, and what it creates."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
import requests
from mongoengine import disconnect

import run as run_py
from config import SettingsSchema
from database.db import without_credentials
from database.embedded.development import prepare_development
from database.embedded.private_files import KEY_FILES
from setting_sources import RENAMED_SETTINGS, SettingsError
from tests.support.concurrency import run_simultaneously
from tests.support.processes import HOME, environment, free_port
from tests.support.settings import PRODUCTION_SETTINGS
from tests.support.smtp_server import silent_server

REQUIRED = sorted(PRODUCTION_SETTINGS.keys() - {"APP_ENV"})

BADLY_ESCAPED = [
    "hush@s3cr3t",
    "hush/s3cr3t",
    "4711/s3cr3t",
    "hush?s3cr3t",
    "4711?s3cr3t=hush",
    "hush#s3cr3t",
    "hush:s3cr3t@4711",
]


def run_program(name, **settings):
    """Run a program at the top of the repository that ends by itself."""
    command = [sys.executable, HOME / name]
    env = environment(**settings)
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30)


@pytest.fixture
def refused_start(monkeypatch, tmp_path):
    """Return a function that runs run.py in this process and returns what ends it."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def start(**settings):
        for name in (*SettingsSchema().fields, *RENAMED_SETTINGS):
            monkeypatch.delenv(name, raising=False)
        for name, value in ({"DATA_DIR": tmp_path, "PORT": free_port()} | settings).items():
            monkeypatch.setenv(name, str(value))
        disconnect()  # mongoengine refuses another URI than that of an earlier test
        with pytest.raises(SystemExit) as ended:
            run_py.main()
        return ended.value.code

    yield start
    for number, handler in handlers.items():
        signal.signal(number, handler)


class TestProduction:
    def test_required_settings_are_enough_and_create_no_data_dir(self, run, smtp):
        settings = PRODUCTION_SETTINGS | {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": smtp}
        del settings["MONGODB_URI"]  # that of the tests
        server = run(**settings)
        assert server.post("/api/auth/forgot", email="ada@example.com").status_code == 200
        assert not server.data_dir.exists()

    def test_missing_settings_are_printed(self, refused_start):
        lines = refused_start(APP_ENV="production").splitlines()
        assert lines[1:] == [f"  {name}: Is needed in production." for name in REQUIRED]

    def test_value_of_a_secret_is_never_printed(self):
        secrets = {
            "JWT_SECRET_KEY": "hush-key",
            "MAIL_PASSWORD": "hush-mail",
            "MONGODB_URI": "mongodb://ada:hush-db@db.example/",
            "PUBLIC_URL": "ada:hush-url@example.com",
            "PORT": "hush-port",
        }
        ended = run_program("run.py", **PRODUCTION_SETTINGS | secrets)
        assert ended.returncode == 1
        assert "JWT_SECRET_KEY: Needs at least 32 bytes" in ended.stderr
        assert "hush" not in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr


class TestUnusableSettings:
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
    def test_setting_is_printed(self, refused_start, given):
        message = refused_start(**given)
        assert message.startswith(f"These settings can't be used:\n  {next(iter(given))}: ")

    @pytest.mark.parametrize("name", ["MONGODB_URI", "RATELIMIT_STORAGE_URI"])
    @pytest.mark.parametrize("password", BADLY_ESCAPED)
    def test_part_of_a_password_is_never_printed(
        self, refused_start, caplog, capsys, name, password
    ):
        scheme = {"MONGODB_URI": "mongodb", "RATELIMIT_STORAGE_URI": "redis"}[name]
        message = refused_start(**{name: f"{scheme}://ada:{password}@localhost/x"})
        printed = message + caplog.text + "".join(capsys.readouterr())
        assert f"  {name}: " in message
        assert not any(part in printed for part in ("hush", "s3cr3t", "4711"))

    @pytest.mark.parametrize("command", ["db check", "user list", "mail list", "movies import x"])
    @pytest.mark.parametrize("password", ["hush%zzs3cr3t", "hush/s3cr3t", "4711/s3cr3t"])
    def test_command_prints_no_part_of_a_password(self, tmp_path, command, password):
        uri = f"mongodb://ada:{password}@localhost/x"
        words = [sys.executable, "-m", "flask", "--app", "app", *command.split()]
        env = environment(MONGODB_URI=uri, DATA_DIR=tmp_path / "data")
        (tmp_path / "x").touch()
        ended = subprocess.run(
            words, cwd=HOME, env=env | {"PWD": str(tmp_path)}, capture_output=True, text=True
        )
        assert ended.returncode != 0
        assert not any(part in ended.stdout + ended.stderr for part in ("hush", "s3cr3t", "4711"))

    def test_taken_port_is_printed_in_one_line(self, database, tmp_path):
        with silent_server() as port:
            ended = run_program("run.py", PORT=port, MONGODB_URI=database, DATA_DIR=tmp_path)
        assert ended.returncode == 1
        assert ended.stderr.startswith(f"Can't listen on 127.0.0.1:{port}: ")
        assert "Address already in use" in ended.stderr
        assert len(ended.stderr.splitlines()) == 1

    def test_unusable_host_is_printed(self, database, tmp_path):
        settings = {"MONGODB_URI": database, "DATA_DIR": tmp_path}
        hosts = ["999.1.1.1", "203.0.113.1"]  # no IP, and no IP of this machine

        def start(index):
            return run_program("run.py", HOST=hosts[index], PORT=free_port(), **settings)

        for host, ended in zip(hosts, run_simultaneously(2, start), strict=True):
            assert ended.returncode == 1
            assert ended.stderr.startswith(f"Can't listen on {host}:")
            assert "Traceback" not in ended.stderr


class TestRenamedSettings:
    @pytest.fixture
    def warnings_of(self, make_app, caplog):
        """Return a function that starts with settings and returns the warnings about names."""

        def start(**settings):
            make_app(**settings)
            messages = [record.getMessage() for record in caplog.records]
            return [message for message in messages if "is now called" in message]

        return start

    def test_each_old_name_is_logged_once(self, warnings_of):
        assert warnings_of(**dict.fromkeys(RENAMED_SETTINGS, "7 per minute")) == [
            f"The setting {old} is now called {new}" for old, new in RENAMED_SETTINGS.items()
        ]

    def test_old_name_is_logged_if_the_new_one_is_set_too(self, warnings_of):
        old, new = next(iter(RENAMED_SETTINGS.items()))
        assert len(warnings_of(**{old: "7 per minute", new: "8 per minute"})) == 1

    def test_new_names_are_not_logged(self, warnings_of):
        assert warnings_of(**dict.fromkeys(RENAMED_SETTINGS.values(), "7 per minute")) == []

    def test_old_name_in_the_env_file_limits_requests(
        self, tmp_path, monkeypatch, warnings_of, make_app, http
    ):
        env_file = tmp_path / "env"
        old = {new: old for old, new in RENAMED_SETTINGS.items()}["RATELIMIT_LOGIN_PER_EMAIL"]
        env_file.write_text(f"{old}=1 per minute")
        monkeypatch.setenv("ENV_FILE_LOCATION", str(env_file))
        assert len(warnings_of()) == 1
        http.app = make_app(RATELIMIT_ENABLED=True)
        assert [http.log_in().status_code for _ in range(2)] == [401, 429]


class TestDevelopment:
    def test_greeting_names_urls_emails_database_and_limits(self, run, database):
        server = run()
        greeting = server.log.read_text()
        assert f"Movie-bag is on {server.url}" in greeting
        assert f"a front end to try it is on http://localhost:{server.port}/demo" in greeting
        assert f"emails go to {server.data_dir}/email.log" in greeting
        assert f"the database is {database.partition('?')[0]}\n" in greeting
        assert "limits are 10 times those of production: RATELIMIT_… in .env.example" in greeting

    @pytest.mark.parametrize(
        ("host", "url"),
        [
            ("0.0.0.0", "http://127.0.0.1:5000"),
            ("::", "http://[::1]:5000"),
            ("::1", "http://[::1]:5000"),
            ("localhost", "http://localhost:5000"),
            ("192.0.2.1", "http://192.0.2.1:5000"),
        ],
    )
    def test_url_of_the_greeting_can_be_opened(self, make_app, host, url):
        greeting = run_py._greeting(make_app(APP_ENV="development", HOST=host))
        assert f"Movie-bag is on {url}: open it" in greeting
        assert f"curl {url}/api/auth/signup" in greeting

    def test_greeting_of_all_addresses_opens(self, run):
        server = run(HOST="0.0.0.0")
        (url,) = re.findall("Movie-bag is on (http://.*?): open it", server.log.read_text())
        assert requests.get(url, timeout=10).ok

    def test_greeting_has_no_password(self, run, database):
        uri = database.replace("mongodb://", "mongodb://ada:hush@") + "&authSource=admin"
        assert without_credentials(uri) == database.partition("?")[0]

    def test_server_starts_while_its_database_is_away(self, run):
        with silent_server() as port:
            server = run(MONGODB_URI=f"mongodb://127.0.0.1:{port}", MONGODB_TIMEOUT=1)
            response = requests.get(f"{server.url}/api/movies", timeout=10)
        assert response.status_code == 503
        assert "Traceback" not in server.log.read_text()


class TestAppPy:
    def test_python_app_py_prints_what_to_type(self, tmp_path):
        ended = run_program("app.py", DATA_DIR=tmp_path / "data")
        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr == "Type: python run.py (or make run)\n"
        assert not (tmp_path / "data").exists()


NO_KEYS = {f"{name}S": [] for name in KEY_FILES}
FILES = [file.name for file in KEY_FILES.values()]
EACH_FILE = pytest.mark.parametrize("file", FILES)


def development_settings(data_dir):
    """Return the settings of a development whose database is configured."""
    return {"DATA_DIR": data_dir, "MONGODB_URI": "mongodb://db.example/movie-bag", **NO_KEYS}


def keys_of(data_dir):
    """Return the keys of a development by the names of their files."""
    config = development_settings(data_dir)
    prepare_development(config)
    return {file.name: config[name] for name, file in KEY_FILES.items()}


def keys_of_threads(data_dir):
    return run_simultaneously(8, lambda _: keys_of(data_dir))


def keys_of_processes(data_dir):
    code = """
import json, os, pathlib, sys
from database.embedded.development import prepare_development
reader, writer = os.pipe()
for _ in range(8):
    if os.fork() == 0:
        os.read(reader, 1)
        config = {"JWT_SECRET_KEYS": [], "SECRETS_KEYS": [], "MONGODB_URI": ""}
        config["DATA_DIR"] = pathlib.Path(sys.argv[1])
        prepare_development(config)
        keys = {"jwt_secret": config["JWT_SECRET_KEY"], "secrets_key": config["SECRETS_KEY"]}
        os.write(1, f"{json.dumps(keys)}\\n".encode())
        os._exit(0)
os.write(writer, b"12345678")
while os.wait()[1] == 0: pass
"""
    command = [sys.executable, "-c", code, data_dir]
    printed = subprocess.run(command, cwd=HOME, capture_output=True, text=True).stdout
    return [json.loads(line) for line in printed.splitlines()]


class TestDevelopmentKey:
    """Development generates JWT_SECRET_KEY and SECRETS_KEY once, in DATA_DIR."""

    @pytest.mark.parametrize("name", KEY_FILES)
    def test_key_is_generated_once_and_kept_private(self, tmp_path, name):
        first, second, other = (
            development_settings(tmp_path / name) for name in ("data", "data", "other")
        )
        for config in (first, second, other):
            prepare_development(config)
        key = first[name]
        assert len(key) >= 32
        assert first[f"{name}S"] == [key]
        assert second[name] == key
        assert other[name] != key
        kept = tmp_path / "data" / KEY_FILES[name].name
        assert sorted(path.name for path in kept.parent.iterdir()) == sorted(FILES)
        assert kept.read_text() == key
        assert kept.stat().st_mode & 0o777 == 0o600
        assert kept.parent.stat().st_mode & 0o777 == 0o700

    @pytest.mark.parametrize("generate", [keys_of_threads, keys_of_processes])
    def test_8_simultaneous_starts_generate_one_key(self, tmp_path, generate):
        keys = generate(tmp_path)
        kept = {name: (tmp_path / name).read_text() for name in FILES}
        assert keys == [kept] * 8
        assert len(set(kept.values())) == len(FILES)

    @pytest.mark.parametrize("name", KEY_FILES)
    def test_configured_key_is_used(self, tmp_path, name):
        config = development_settings(tmp_path / "data") | {f"{name}S": ["short"]}
        prepare_development(config)
        assert config[f"{name}S"] == ["short"]
        assert not (tmp_path / "data" / KEY_FILES[name].name).exists()

    def test_tokens_stay_valid_after_a_restart(self, make_app, http):
        http.app = make_app(APP_ENV="development", JWT_SECRET_KEY=None)
        http.sign_up()
        token = http.log_in().json()["token"]
        http.app = make_app(APP_ENV="development", JWT_SECRET_KEY=None)
        assert http.verify(token).status_code == 200


class TestPrivateFiles:
    """What was in DATA_DIR before: repaired if it is ours, refused if it may be planted."""

    KEY = "a key of an earlier start, long enough to sign"

    @pytest.fixture
    def data_dir(self, tmp_path):
        """Return a DATA_DIR as an earlier start leaves it."""
        data_dir = tmp_path / "data"
        data_dir.mkdir(mode=0o700)
        for name in (*FILES, "email.log", "database/nx/file"):
            (data_dir / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            (data_dir / name).write_text(self.KEY)
            (data_dir / name).chmod(0o600)
        (data_dir / "database").chmod(0o700)
        return data_dir

    def warnings(self, caplog):
        return [record.getMessage() for record in caplog.records]

    def test_private_files_stay_as_they_are(self, data_dir, caplog):
        assert keys_of(data_dir) == dict.fromkeys(FILES, self.KEY)
        assert self.warnings(caplog) == []

    @pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o755, 0o701])
    def test_open_folder_is_closed_to_others(self, data_dir, caplog, mode):
        data_dir.chmod(mode)
        keys = keys_of(data_dir)
        assert data_dir.stat().st_mode & 0o777 == 0o700
        assert f"{data_dir} had mode {mode:03o}" in caplog.text
        is_planted = bool(mode & 0o022)
        # Without the other one, stored secrets could not be read.
        replaced = {name for name, key in keys.items() if key != self.KEY}
        assert replaced == ({"jwt_secret"} if is_planted else set())
        assert (KEY_FILES["JWT_SECRET_KEY"].loss in caplog.text) == is_planted
        caplog.clear()
        assert keys_of(data_dir) == keys
        assert self.warnings(caplog) == []

    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o666, 0o602])
    def test_key_that_others_could_read_is_replaced(self, data_dir, caplog, mode):
        file = "jwt_secret"
        (data_dir / file).chmod(mode)
        keys = keys_of(data_dir)
        assert {name for name, key in keys.items() if key != self.KEY} == {file}
        assert len(keys[file]) == 43
        assert (data_dir / file).stat().st_mode & 0o777 == 0o600
        assert f"{file} could be read or written by others" in caplog.text
        assert keys[file] not in caplog.text

    def test_key_of_stored_secrets_is_closed_and_kept(self, data_dir):
        path = data_dir / "secrets_key"
        path.chmod(0o644)
        assert keys_of(data_dir)["secrets_key"] == self.KEY
        assert path.stat().st_mode & 0o777 == 0o600

    @EACH_FILE
    @pytest.mark.parametrize(
        "content", [b"", b"x" * 31, b"\n" * 40, b"\xff" * 40, b"\0" * 43], ids=repr
    )
    def test_file_that_is_no_key_is_replaced(self, data_dir, caplog, content, file):
        (data_dir / file).write_bytes(content)
        assert len(keys_of(data_dir)[file]) == 43
        assert f"{data_dir}/{file} is no key" in caplog.text

    @pytest.mark.parametrize("name", ["email.log", "database", "database/nx/file", "database/nx"])
    def test_every_file_is_closed_to_others(self, data_dir, caplog, name):
        (data_dir / name).chmod(0o777)
        assert keys_of(data_dir) == dict.fromkeys(FILES, self.KEY)
        assert (data_dir / name).stat().st_mode & 0o777 == 0o700
        assert (f"{data_dir / name} had mode 777" in caplog.text) == ("nx" not in name)

    @pytest.mark.parametrize("name", [*FILES, "email.log", "database", "database/nx/file"])
    def test_symlink_is_refused(self, data_dir, tmp_path, name):
        (data_dir / name).rename(tmp_path / "elsewhere")
        (data_dir / name).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(SettingsError, match=f"DATA_DIR: .*{name} is neither a file"):
            keys_of(data_dir)

    @pytest.mark.parametrize("name", [*FILES, "email.log"])
    def test_pipe_is_refused(self, data_dir, name):
        (data_dir / name).unlink()
        os.mkfifo(data_dir / name)
        with pytest.raises(SettingsError, match=f"DATA_DIR: .*{name} is neither a file"):
            keys_of(data_dir)

    @pytest.mark.skipif(os.getuid() != 0, reason="only root gives files to another user")
    @pytest.mark.parametrize("name", [".", *FILES, "email.log", "database/nx/file"])
    def test_file_of_another_user_is_refused(self, data_dir, name):
        os.chown(data_dir / name, 65534, -1)
        with pytest.raises(SettingsError, match="DATA_DIR: .* belongs to another user"):
            keys_of(data_dir)
