"""`flask keys rotate`, and its three settings gone through: no token is refused on the way."""

import re
import stat
import subprocess
import sys
import time

import jwt
import pytest

from commands import keys as keys_command
from private_keys import read_private_keys
from services.token_keys import PUBLISHED_SECONDS
from tests.support.private_keys import EC_KEY, kid_of, pem, setting
from tests.support.processes import HOME, environment
from tests.support.settings import PRODUCTION_SETTINGS
from tests.support.shell import error_line, output
from tests.support.tokens import decode_parts

ISSUER = "https://movie-bag.example"
SETTING = re.compile(r"^ *JWT_PRIVATE_KEYS=(.*)$", re.MULTILINE)


@pytest.fixture
def run_rotate(make_app):
    """Return a function that runs the command where these are JWT_PRIVATE_KEYS."""

    def run_rotate(present, *words, **settings):
        app = make_app(JWT_PRIVATE_KEYS=present, **settings)
        return app.test_cli_runner().invoke(args=["keys", "rotate", *map(str, words)])

    return run_rotate


@pytest.fixture
def key_file(tmp_path):
    """Return the path of a key as the command writes one."""
    path = tmp_path / "present.pem"
    path.write_text(pem(EC_KEY))
    return path


def key_in(path):
    (key,) = read_private_keys(str(path))
    return key


class TestKeysRotate:
    def test_file_is_private_and_has_a_key(self, run_rotate, app, key_file):
        printed = output(run_rotate(str(key_file)))
        (path,) = app.config["DATA_DIR"].glob("*.pem")
        assert printed.startswith(f"Wrote {path}.")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        key = key_in(path)
        assert (key.algorithm, path.name) == ("ES256", f"access-tokens-{key.kid[:8]}.pem")

    def test_algorithm_and_folder_are_those_given(self, run_rotate, tmp_path):
        output(run_rotate(None, tmp_path / "new" / "keys", "--algorithm", "EdDSA"))
        (path,) = (tmp_path / "new" / "keys").iterdir()
        assert key_in(path).algorithm == "EdDSA"

    def test_another_algorithm_is_refused(self, run_rotate, tmp_path):
        ended = run_rotate(None, tmp_path, "--algorithm", "RS256")
        assert (ended.exit_code, [*tmp_path.glob("*.pem")]) == (2, [])

    def test_folder_that_the_setting_would_split_is_refused(self, run_rotate, tmp_path):
        ended = run_rotate(None, tmp_path / "old,new")
        assert "has a comma" in ended.output
        assert (ended.exit_code, [*tmp_path.glob("*/*")]) == (1, [])

    def test_first_key_is_one_step(self, run_rotate, tmp_path):
        printed = output(run_rotate(None, tmp_path))
        (path,) = tmp_path.glob("*.pem")
        assert SETTING.findall(printed) == [str(path)]

    def test_three_settings_are_printed(self, run_rotate, key_file, tmp_path):
        printed = output(run_rotate(str(key_file), tmp_path / "new", JWT_ACCESS_TOKEN_EXPIRES=60))
        (path,) = (tmp_path / "new").iterdir()
        assert SETTING.findall(printed) == [f"{key_file},{path}", f"{path},{key_file}", str(path)]
        assert re.findall(r"wait (\d+) seconds", printed) == ["300", "70"]

    def test_key_of_the_setting_itself_is_not_printed(self, run_rotate, tmp_path):
        printed = output(run_rotate(setting(EC_KEY), tmp_path))
        (path,) = tmp_path.glob("*.pem")
        named = f"<the PEM of {kid_of(EC_KEY)}>"
        assert SETTING.findall(printed) == [f"{named},{path}", f"{path},{named}", str(path)]
        lines = [*pem(EC_KEY).splitlines(), *path.read_text().splitlines()]
        assert not any(line in printed for line in lines)

    def test_file_is_not_overwritten(self, run_rotate, tmp_path, monkeypatch):
        monkeypatch.setitem(keys_command.GENERATE, "ES256", lambda: EC_KEY)
        output(run_rotate(None, tmp_path))
        (path,) = tmp_path.glob("*.pem")
        path.write_text("kept")
        assert "File exists" in error_line(run_rotate(None, tmp_path))
        assert path.read_text() == "kept"

    def test_folder_that_is_none_is_an_error(self, run_rotate, key_file):
        assert "Not a directory" in error_line(run_rotate(None, key_file / "keys"))


class CachingService:
    """Another service: it reads the keys again when its list is 300 s old, and not before."""

    def __init__(self, api):
        self.api, self.keys, self.read_at = api, {}, float("-inf")

    def verifies(self, token):
        if time.time() - self.read_at >= PUBLISHED_SECONDS:
            response = self.api.get("/.well-known/jwks.json")
            assert response.headers["Cache-Control"] == f"public, max-age={PUBLISHED_SECONDS}"
            self.keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(response.json()).keys}
            self.read_at = time.time()
        key = self.keys.get(decode_parts(token)[0]["kid"])
        if key is None:
            return False
        jwt.decode(token, key, [key.algorithm_name], audience=ISSUER, issuer=ISSUER)
        return True


class Walk:
    """Clients that log in all the time and two services, while settings change."""

    def __init__(self, make_app, api, clock):
        self.make_app, self.api, self.clock = make_app, api, clock
        self.services = [CachingService(api), CachingService(api)]
        self.tokens, self.refused = [], []

    def restart(self, keys):
        self.api.app = self.make_app(JWT_PRIVATE_KEYS=keys)

    def go_on(self, seconds):
        """Let so much time pass, with logins and requests to all on the way."""
        until = time.time() + seconds
        while True:
            self.tokens.append(self.api.log_in().json()["token"])
            self._send_each()
            if time.time() >= until:
                return
            self.clock.shift(min(100, until - time.time()))

    def _send_each(self):
        now = time.time()
        self.tokens = [it for it in self.tokens if decode_parts(it)[1]["exp"] > now]
        for token in self.tokens:
            accepted = [service.verifies(token) for service in self.services]
            if not all([*accepted, self.api.verify(token).status_code == 200]):
                self.refused.append(token)


@pytest.fixture
def walk(make_app, http, clock, key_file):
    """Return a walk that began with one key, of which both services have just read the list."""
    walk = Walk(make_app, http, clock)
    walk.restart(str(key_file))
    http.sign_up()
    walk.go_on(0)
    return walk


class TestThreeSettings:
    def test_no_token_is_refused(self, walk, run_rotate, key_file, tmp_path):
        printed = output(run_rotate(str(key_file), tmp_path / "new"))
        waits = [int(seconds) for seconds in re.findall(r"wait (\d+) seconds", printed)]
        for keys, seconds in zip(SETTING.findall(printed), [*waits, 350], strict=True):
            walk.restart(keys)
            walk.go_on(seconds)
        assert walk.refused == []
        (path,) = (tmp_path / "new").iterdir()
        assert walk.services[0].keys.keys() == {key_in(path).kid}

    def test_key_published_after_it_signs_is_refused(self, walk, run_rotate, key_file, tmp_path):
        printed = output(run_rotate(str(key_file), tmp_path / "new"))
        _, signing, _ = SETTING.findall(printed)
        walk.restart(signing)  # without the first step: no service can have read the new key
        walk.go_on(0)
        assert len(walk.refused) == 1
        assert walk.api.verify(walk.refused[0]).status_code == 200

    def test_key_retired_while_its_tokens_are_valid_is_refused(self, walk, run_rotate, key_file):
        printed = output(run_rotate(str(key_file)))
        publishing, signing, retiring = SETTING.findall(printed)
        walk.restart(publishing)
        walk.go_on(PUBLISHED_SECONDS)
        walk.restart(signing)
        walk.restart(retiring)  # without the wait of the second step
        walk.go_on(0)
        assert walk.refused != []


class TestLogOfProduction:
    def test_refused_start_shows_no_key(self, tmp_path):
        text = pem(EC_KEY).replace("PRIVATE", "PUBLIC")
        settings = PRODUCTION_SETTINGS | {"JWT_PRIVATE_KEYS": text, "DATA_DIR": tmp_path}
        command = [sys.executable, "-m", "gunicorn", "--check-config", "app:create_app()"]
        ended = subprocess.run(
            command, cwd=HOME, env=environment(**settings), capture_output=True, text=True
        )
        log = ended.stdout + ended.stderr
        assert ended.returncode != 0
        assert "JWT_PRIVATE_KEYS: Key 1 must be a private key of P-256" in log
        assert not any(line in log for line in text.splitlines())
