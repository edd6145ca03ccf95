"""The files of deploy/ that start the service: what they name exists, and fits together."""

import json
import re
import shlex
import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from config import SettingsSchema, load_settings
from deploy import healthcheck
from tests.support.processes import HOME, free_port
from tests.support.settings import SECRETS_KEY
from tests.support.tokens import KEY

DEPLOY = HOME / "deploy"
SETTINGS = SettingsSchema().fields.keys()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICE = COMPOSE["services"]["movie-bag"]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
IMAGE = DOCKERFILE.rpartition("\nFROM ")[2]
UNIT = (DEPLOY / "movie-bag.service").read_text()
# What Python reads itself.
OF_PYTHON = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}


def image_settings():
    """Return the environment of the image."""
    pairs = shlex.split(re.search(r"^ENV (.*)$", IMAGE, re.MULTILINE)[1])
    return dict(pair.split("=") for pair in pairs)


def is_ignored(path):
    """Return whether .dockerignore keeps a file out of the image."""
    lines = (HOME / ".dockerignore").read_text().splitlines()
    names = [line.removeprefix("**/") for line in lines if line and not line.startswith("#")]
    anywhere = [line.removeprefix("**/") for line in lines if line.startswith("**/")]
    parts = Path(path).parts
    return parts[0] in names or any(fnmatch(part, it) for it in anywhere for part in parts)


class TestImage:
    def test_settings_exist(self):
        assert image_settings().keys() - OF_PYTHON <= SETTINGS

    def test_command_is_that_of_make_serve(self):
        (command,) = json.loads(re.search(r"^CMD (.*)$", IMAGE, re.MULTILINE)[1])
        assert f"exec $(BIN)/{Path(command).name}\n" in (HOME / "Makefile").read_text()

    def test_user_is_not_root(self):
        assert int(re.search(r"^USER (.*)$", IMAGE, re.MULTILINE)[1]) > 0

    @pytest.mark.parametrize(
        "path", [".env", ".git/config", "deploy/.env", "data/secret", "keys/new.pem"]
    )
    def test_secrets_stay_out(self, path):
        assert is_ignored(path)

    @pytest.mark.parametrize("path", ["app.py", "gunicorn.conf.py", "deploy/healthcheck.py"])
    def test_product_gets_in(self, path):
        assert not is_ignored(path)


class TestHealthcheck:
    def test_it_passes_while_the_server_responds(self, api, monkeypatch):
        monkeypatch.setenv("PORT", str(api.port))
        with pytest.raises(SystemExit) as ended:
            healthcheck.main()
        assert not ended.value.code

    def test_it_fails_without_a_server(self, monkeypatch):
        monkeypatch.setenv("PORT", str(free_port()))
        with pytest.raises(SystemExit) as ended:
            healthcheck.main()
        assert ended.value.code


class TestCompose:
    def test_this_machine_alone_reaches_it(self):
        """The page of mails has reset links, and nobody logs in to Grafana."""
        ports = [port for it in COMPOSE["services"].values() for port in it.get("ports", [])]
        assert ports
        assert all(port.startswith("127.0.0.1:") for port in ports)

    def test_production_accepts_its_settings(self):
        given = {name: str(value) for name, value in SERVICE["environment"].items()}
        keys = {"JWT_SECRET_KEY": KEY, "SECRETS_KEY": SECRETS_KEY}
        assert {given[name] for name in keys} == {f"${{{name}:?}}" for name in keys}
        assert given.keys() <= SETTINGS
        load_settings(given | keys | {"APP_ENV": "production"})

    def test_files_that_are_mounted_exist(self):
        volumes = [
            it for service in COMPOSE["services"].values() for it in service.get("volumes", ())
        ]
        folders = [it.split(":")[0] for it in volumes if it.startswith(".")]
        assert folders
        assert [it for it in folders if not (DEPLOY / it).is_dir()] == []

    def test_metrics_can_be_written_and_read(self):
        assert SERVICE["read_only"]
        assert SERVICE["tmpfs"] == ["/tmp"]
        config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
        (target,) = config["scrape_configs"][0]["static_configs"][0]["targets"]
        assert target == f"movie-bag:{SERVICE['environment']['METRICS_PORT']}"


class TestUnit:
    def test_settings_exist(self):
        names = re.findall(r"(\w+)=", re.search(r"^Environment=(.*)$", UNIT, re.MULTILINE)[1])
        assert set(names) - OF_PYTHON - {"ENV_FILE_LOCATION"} <= SETTINGS

    def test_stop_takes_longer_than_that_of_gunicorn(self):
        graceful = re.search(
            r"^graceful_timeout = (\d+)", (HOME / "gunicorn.conf.py").read_text(), re.M
        )
        assert int(re.search(r"TimeoutStopSec=(\d+)", UNIT)[1]) > int(graceful[1])
        assert int(SERVICE["stop_grace_period"].rstrip("s")) > int(graceful[1])

    @pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
    def test_systemd_accepts_it(self, tmp_path):
        unit = tmp_path / "movie-bag.service"
        unit.write_text(UNIT.replace("/srv/movie-bag", str(HOME)))
        command = ["systemd-analyze", "verify", unit]
        verified = subprocess.run(command, capture_output=True, text=True)
        assert (verified.returncode, verified.stderr) == (0, "")
