"""Whatever the environment holds stops the start by name, or works."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import fields
from mongoengine import disconnect

from app import create_app
from config import SettingsError, SettingsSchema, load_settings
from database.models import Mail, User
from services import mail_service, token_service
from services.token_service import PWD_RESET
from tests.test_fuzz import A_FEW
from tests.test_settings import PRODUCTION

SETTINGS = SettingsSchema().fields
# The environment holds bytes of any kind but NUL.
TEXT = st.binary().map(os.fsdecode).filter(lambda text: "\0" not in text) | st.text(
    st.characters(exclude_characters="\0", codec="utf-8")
)
NEAR = {
    "APP_ENV": st.just("development"),
    "MONGODB_URI": TEXT.map("mongodb://{}".format)
    | st.from_regex(r"mongodb://[-\w:/@,.?=&%\[\]]+", fullmatch=True),
    "JWT_SECRET_KEY": TEXT.map(lambda text: text.center(32, "k")),
    "PUBLIC_URL": TEXT.map("https://a.example/{}".format)
    | st.from_regex(r"http://[-\w:/@.?=&%]+", fullmatch=True),
    "RESET_URL": TEXT.map("{}{{token}}".format),
    "MAIL_DEFAULT_SENDER": st.emails() | st.builds("{} <{}>".format, TEXT, st.emails()),
}


def texts(name):
    """Return what may stand in the environment for a setting."""
    if name == "DATA_DIR":  # beside the others, and nowhere else
        return TEXT.map(lambda text: "data-" + text.replace("/", "-"))
    return TEXT | NEAR.get(name, st.integers().map(str) | st.sampled_from(["true", "off"]))


@pytest.fixture
def given_in(monkeypatch, tmp_path):
    """Return what sets the environment, and nothing else, to these settings."""
    monkeypatch.chdir(tmp_path)

    def given_in(settings):
        for name in SETTINGS:
            monkeypatch.delenv(name, raising=False)
        for name, text in ({"DATA_DIR": "data"} | settings).items():
            monkeypatch.setenv(name, text)

    return given_in


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_of_any_text_is_named_or_fit(given_in, name):
    kind = {fields.Integer: int, fields.Boolean: bool}.get(type(SETTINGS[name]))

    @A_FEW
    @given(texts(name), st.sampled_from([PRODUCTION] if name == "APP_ENV" else [{}, PRODUCTION]))
    def try_out(text, others):
        given_in(others | {name: text})
        try:
            found = load_settings()[name]
        except SettingsError as error:
            assert f"\n  {name}: " in error.message
        else:
            default = found == SETTINGS[name].load_default
            assert default or (type(found) is kind if kind else str(found).isprintable())

    try_out()


@pytest.mark.filterwarnings("ignore::UserWarning")  # pymongo's, of options that it leaves out
@pytest.mark.parametrize("name", ["HOST", *NEAR])
def test_with_any_setting_that_is_taken_tokens_are_signed_and_mails_written(given_in, name):
    user = User(id="0" * 24, email="ada@example.com")
    wish = Mail(id="1" * 24, kind=mail_service.RESET, email=user.email)

    @A_FEW
    @given(texts(name))
    def try_out(text):
        given_in(PRODUCTION | {name: text})
        disconnect()
        try:
            app = create_app()
        except SettingsError as error:
            assert f"\n  {name}: " in error.message
            return
        with app.app_context():
            assert token_service.read(token_service.reset_token(user), PWD_RESET)
            message = mail_service.compose(wish, user)
            assert message.as_bytes() and not message.has_bad_headers()

    try_out()
    disconnect()


def test_an_env_file_of_any_bytes_is_read_or_named(given_in, monkeypatch, tmp_path):
    path = tmp_path / ".env"
    monkeypatch.setenv("ENV_FILE_LOCATION", str(path))
    values = st.binary() | TEXT.map(os.fsencode)
    lines = st.builds(
        b"%s=%s".__mod__, st.tuples(st.sampled_from(list(SETTINGS)).map(str.encode), values)
    )

    @given(values | st.lists(lines).map(b"\n".join))
    def try_out(data):
        given_in({})
        path.write_bytes(data)
        try:
            assert load_settings().keys() >= SETTINGS.keys()
        except SettingsError as error:
            assert len(error.message.splitlines()) > 1

    try_out()
