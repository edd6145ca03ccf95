"""Any environment stops the start with the name of the setting, or works."""

import base64
import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import fields
from mongoengine import disconnect

from app import create_app
from config import SettingsSchema, load_settings
from database.models import Job, User
from database.startup import open_database
from infra.secret_box import decrypt, encrypt
from key_strength import reasons_against
from production_checks import SECRET_BYTES
from services import mail_service, token_service
from services.link_service import LINKS, encode_link
from services.mail_kinds import RESET_PASSWORD, Letter
from services.token_service import PWD_RESET
from setting_sources import RENAMED_SETTINGS, SettingsError
from tests.support.private_keys import EC_KEY, setting
from tests.support.settings import PRODUCTION_SETTINGS
from tests.support.strategies import A_FEW
from tests.support.tokens import KEY

SETTINGS = SettingsSchema().fields
# The environment holds bytes of any kind except NUL.
TEXT = st.binary().map(os.fsdecode).filter(lambda text: "\0" not in text) | st.text(
    st.characters(exclude_characters="\0", codec="utf-8")
)
ALMOST_VALID = {
    "APP_ENV": st.just("development"),
    "MONGODB_URI": TEXT.map("mongodb://{}".format)
    | st.from_regex(r"mongodb://[-\w:/@,.?=&%\[\]]+", fullmatch=True),
    "JWT_SECRET_KEY": TEXT.map(lambda text: KEY + text),
    "SECRETS_KEY": TEXT.map(lambda text: KEY + text),
    "JWT_PRIVATE_KEYS": TEXT.map("-----BEGIN PRIVATE KEY-----{}".format)
    | TEXT.map(f"{setting(EC_KEY)}{{}}".format),
    "PASSKEY_ORIGINS": TEXT.map("https://a.example,{}".format)
    | st.from_regex(r"android:apk-key-hash:[\w-]{43}", fullmatch=True),
    "RATELIMIT_MFA_PER_USER": st.from_regex(
        r"[0-9]{1,3} ?(per|/) ?[0-9]? ?(minute|day|year)s?(; ?5 per hour|;)?", fullmatch=True
    ),
    "PUBLIC_URL": TEXT.map("https://a.example/{}".format)
    | st.from_regex(r"http://[-\w:/@.?=&%]+", fullmatch=True),
    "RESET_URL": TEXT.map("{}{{token}}".format)
    | st.from_regex(r"[a-z]{2,5}:[^\n]*\{token\}", fullmatch=True),
    "MAIL_DEFAULT_SENDER": st.emails() | st.builds("{} <{}>".format, TEXT, st.emails()),
}


def texts(name):
    """Return texts that the environment may hold for a setting."""
    if name == "DATA_DIR":  # in the folder of the test and nowhere else
        return TEXT.map(lambda text: "data-" + text.replace("/", "-"))
    others = st.integers().map(str) | st.sampled_from(["true", "off"])
    return TEXT | ALMOST_VALID.get(name, others)


@pytest.fixture
def set_environment(monkeypatch, tmp_path):
    """Return a function that sets the environment to these settings and no others."""
    monkeypatch.chdir(tmp_path)

    def set_environment(settings):
        for name in (*SETTINGS, *RENAMED_SETTINGS):
            monkeypatch.delenv(name, raising=False)
        for name, text in ({"DATA_DIR": "data"} | settings).items():
            monkeypatch.setenv(name, text)

    return set_environment


class TestLoadSettings:
    @pytest.mark.parametrize("name", [*SETTINGS, *RENAMED_SETTINGS])
    def test_setting_of_any_text_is_named_or_valid(self, set_environment, name):
        current = RENAMED_SETTINGS.get(name, name)
        field = SETTINGS[current]
        kind = {fields.Integer: int, fields.Boolean: bool}.get(type(field))
        others = [PRODUCTION_SETTINGS] if name == "APP_ENV" else [{}, PRODUCTION_SETTINGS]

        @A_FEW
        @given(texts(name), st.sampled_from(others))
        def check(text, others):
            set_environment(others | {name: text})
            try:
                found = load_settings()[current]
            except SettingsError as error:
                assert f"\n  {current}: " in error.message
            else:
                is_default = found == field.load_default
                assert is_default or (type(found) is kind if kind else str(found).isprintable())

        check()

    def test_env_file_of_any_bytes_is_read_or_refused(self, set_environment, monkeypatch, tmp_path):
        path = tmp_path / ".env"
        monkeypatch.setenv("ENV_FILE_LOCATION", str(path))
        values = st.binary() | TEXT.map(os.fsencode)
        names = st.sampled_from(list(SETTINGS)).map(str.encode)
        lines = st.builds(b"%s=%s".__mod__, st.tuples(names, values))

        @given(values | st.lists(lines).map(b"\n".join))
        def check(data):
            set_environment({})
            path.write_bytes(data)
            try:
                assert load_settings().keys() >= SETTINGS.keys()
            except SettingsError as error:
                assert len(error.message.splitlines()) > 1

        check()


RANDOM_BYTES = st.integers(0, 2**256 - 1).map(lambda number: random.Random(number).randbytes(32))


class TestSigningKey:
    @pytest.mark.parametrize(
        "encode",
        [
            lambda data: data.hex(),
            lambda data: data.hex().upper(),
            lambda data: base64.b64encode(data).decode(),
            lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),  # flask secret
        ],
        ids=["hex", "HEX", "base64", "URL-safe base64"],
    )
    def test_32_random_bytes_are_accepted(self, encode):
        @given(RANDOM_BYTES)
        def check(data):
            assert list(reasons_against([encode(data)], SECRET_BYTES)) == []

        check()

    def test_repeated_text_is_refused(self):
        @given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8))
        def check(text):
            key = text * (1 + SECRET_BYTES // len(text.encode()))
            assert list(reasons_against([key], SECRET_BYTES))

        check()


class TestApp:
    @pytest.mark.filterwarnings("ignore::UserWarning")  # pymongo's, of options that it ignores
    @pytest.mark.parametrize("name", ["HOST", *ALMOST_VALID])
    def test_accepted_setting_signs_tokens_and_composes_emails(
        self, set_environment, monkeypatch, name
    ):
        user = User(id="0" * 24, email="ada@example.com")
        letter = Letter(RESET_PASSWORD, user, user.email, name=None)
        # Without the check of what is stored, which would wait for the database that a text names.
        monkeypatch.setattr("app.open_current_database", lambda app, is_server: open_database(app))

        @A_FEW
        @given(texts(name))
        def check(text):
            set_environment(PRODUCTION_SETTINGS | {name: text})
            disconnect()
            try:
                app = create_app()
            except SettingsError as error:
                assert f"\n  {name}: " in error.message
                return
            with app.app_context():
                message = mail_service.compose(Job(id="1" * 24), letter)
                assert message.as_bytes() and not message.has_bad_headers()
                keys = app.config["SECRETS_KEYS"]
                assert not keys or decrypt(encrypt("a secret", keys), keys) == "a secret"
                app.config["RESET_URL"] = "{token}"
                token = encode_link(LINKS[PWD_RESET], user)
                assert token_service.decode(token, PWD_RESET)

        check()
        disconnect()
