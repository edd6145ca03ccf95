"""Settings that can be used but are hardly meant."""

import pytest

from config import SettingsSchema, load_settings
from services.settings_warnings import log_warnings
from tests.support.private_keys import EC_KEY, pem, setting
from tests.support.settings import PRODUCTION_SETTINGS
from tests.support.tokens import OTHER_KEY


@pytest.fixture
def warnings_of(tmp_path, monkeypatch, caplog):
    """Return a function that writes a .env of a mode, reads it and returns the warnings."""
    env_file = tmp_path / "service.env"
    monkeypatch.setenv("ENV_FILE_LOCATION", str(env_file))
    for name in SettingsSchema().fields:
        monkeypatch.delenv(name, raising=False)

    def warnings_of(text, mode=0o600):
        env_file.write_text(text)
        env_file.chmod(mode)
        log_warnings(load_settings())
        return [record.getMessage() for record in caplog.records]

    return warnings_of


class TestUnknownNames:
    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("RATELIMIT_LOGIN_PER_MAIL", "RATELIMIT_LOGIN_PER_EMAIL"),
            ("RATELIMIT_LOGIN", "RATELIMIT_LOGIN_PER_IP"),
            ("RATELIMIT_STORAGE_URL", "RATELIMIT_STORAGE_URI"),
            ("RATE_LIMIT_ENABLED", "RATELIMIT_ENABLED"),
            ("RATELIMIT_X", "RATELIMIT_"),
            ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
            ("MONGODB_URL", "MONGODB_URI"),
            ("JWT_SECRET", "JWT_SECRET_KEY"),
        ],
    )
    def test_likely_name_is_logged(self, warnings_of, name, meant):
        (warning,) = warnings_of(f"{name}=hush")
        assert warning.startswith(f"There is no setting {name}: {meant}")
        assert "hush" not in warning

    def test_name_of_another_program_is_not_logged(self, warnings_of):
        names = ("PGHOST", "PGPORT", "MAILCHECK", "HOSTNAME", "DATABASE_PATH", "SMTP_PORT")
        assert warnings_of("\n".join(f"{name}=x" for name in names)) == []

    def test_setting_is_not_logged(self, warnings_of):
        assert warnings_of("RATELIMIT_LOGIN_PER_IP=5 per minute\nPORT=5001") == []


class TestKeyOfSecrets:
    @pytest.mark.parametrize("key", ["", OTHER_KEY], ids=["unset", "set"])
    @pytest.mark.parametrize("env", ["development", "production"])
    def test_only_a_missing_one_in_production_is_logged(self, warnings_of, env, key):
        settings = PRODUCTION_SETTINGS | {"APP_ENV": env, "SECRETS_KEY": key}
        found = warnings_of("\n".join(f"{name}={text}" for name, text in settings.items()))
        is_missing = env == "production" and not key
        assert found == ["SECRETS_KEY is not set: nobody can turn on a second factor"] * is_missing


class TestFileMode:
    SECRETS = "MAIL_PASSWORD=hush\nSECRETS_KEY=hush\nMONGODB_URI=mongodb://a:hush@b/\nHOST=x"

    @pytest.mark.parametrize("mode", [0o644, 0o604, 0o666])
    def test_secrets_that_everybody_can_read_are_named_once(self, warnings_of, mode):
        (warning,) = warnings_of(self.SECRETS, mode)
        assert (
            "service.env, which has SECRETS_KEY, MONGODB_URI, MAIL_PASSWORD: chmod 600 it"
            in warning
        )
        assert "hush" not in warning

    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o400])
    def test_private_file_is_not_logged(self, warnings_of, mode):
        assert warnings_of(self.SECRETS, mode) == []

    @pytest.mark.parametrize("text", ["HOST=x", "MAIL_PASSWORD=", "", "#MAIL_PASSWORD=x"])
    def test_file_without_secrets_is_not_logged(self, warnings_of, text):
        assert warnings_of(text, 0o644) == []

    def test_private_key_is_a_secret_and_its_path_is_none(self, warnings_of, tmp_path):
        (tmp_path / "key.pem").write_text(pem(EC_KEY))
        assert warnings_of(f"JWT_PRIVATE_KEYS={tmp_path}/key.pem", 0o644) == []
        (warning,) = warnings_of(f"JWT_PRIVATE_KEYS={setting(EC_KEY)}", 0o644)
        assert "which has JWT_PRIVATE_KEYS: chmod 600 it" in warning

    def test_missing_file_is_not_logged(self, warnings_of, monkeypatch):
        monkeypatch.setenv("ENV_FILE_LOCATION", "/nowhere/.env")
        assert warnings_of(self.SECRETS, 0o644) == []
