"""JWT_PRIVATE_KEYS: which keys sign, what identifies them, and how others are refused."""

import base64
import os

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

import private_keys
from config import load_settings
from setting_sources import SettingsError
from tests.support.private_keys import EC_KEY, ED_KEY, kid_of, pem, setting
from tests.support.settings import PRODUCTION_SETTINGS

WANTED = "must be a private key of P-256 or Ed25519, as PEM without a passphrase."
PUBLIC = EC_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
LINES = pem(EC_KEY).splitlines()
REFUSED = {
    "P-384": pem(generate_private_key(SECP384R1())),
    "RSA": pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    "Ed448": pem(Ed448PrivateKey.generate()),
    "encrypted": pem(EC_KEY, "a passphrase"),
    "public": PUBLIC,
    "several": pem(EC_KEY) + pem(ED_KEY),
    "cut": "\n".join(LINES[:-2]),
    "changed": pem(EC_KEY).replace(LINES[1], LINES[1][::-1]),
    "garbage": "-----BEGIN PRIVATE KEY-----\nsecret+garbage\n-----END PRIVATE KEY-----\n",
}


def read(text):
    return list(private_keys.read_private_keys(text))


def refusal(text):
    """Return what the start says of JWT_PRIVATE_KEYS in production."""
    with pytest.raises(SettingsError) as raised:
        load_settings(PRODUCTION_SETTINGS | {"JWT_PRIVATE_KEYS": text})
    first, *lines = str(raised.value).splitlines()
    assert first == "These settings can't be used:"
    (line,) = lines
    name, _, sentence = line.strip().partition(": ")
    assert name == "JWT_PRIVATE_KEYS"
    # Nothing of what was given, whose every line may be secret.
    assert "BEGIN" not in sentence
    assert not any(part in sentence for part in text.replace(r"\n", "\n").split("\n") if part)
    return sentence


class TestRefusedKey:
    """The start is refused, with a sentence that names the key by its number."""

    @pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
    def test_other_kind_of_key(self, text, tmp_path):
        good, bad = tmp_path / "good.pem", tmp_path / "bad.pem"
        good.write_text(pem(ED_KEY))
        bad.write_text(text)
        assert refusal(text.replace("\n", r"\n")) == f"Key 1 {WANTED}"
        assert refusal(f"{good},{bad}") == f"Key 2 {WANTED}"

    def test_path_without_a_file(self, tmp_path):
        assert refusal(f"{tmp_path}/missing.pem") == (
            "Key 1 can't be read: No such file or directory."
        )

    def test_folder(self, tmp_path):
        assert refusal(f"{setting(EC_KEY)},{tmp_path}") == "Key 2 can't be read: Is a directory."

    def test_file_of_no_key(self, tmp_path):
        for content in (b"", b"garbage", bytes(100), b"\xff" * 100):
            (tmp_path / "key.pem").write_bytes(content)
            assert refusal(f"{tmp_path}/key.pem") == f"Key 1 {WANTED}"

    def test_key_after_16_kib(self, tmp_path):
        for padding, accepted in ((16_000, True), (16 * 1024, False)):
            (tmp_path / "key.pem").write_text("#" * padding + "\n" + pem(ED_KEY))
            if accepted:
                assert len(read(f"{tmp_path}/key.pem")) == 1
            else:
                assert refusal(f"{tmp_path}/key.pem") == f"Key 1 {WANTED}"

    @pytest.mark.parametrize("text", ["\udcff", "key\x07.pem", "-----BEGIN\udcff"])
    def test_text_that_is_no_path(self, text):
        assert refusal(text).startswith("Key 1 ")


class TestAcceptedKey:
    def test_line_breaks_of_either_kind(self):
        escaped = setting(EC_KEY, ED_KEY)
        for line_break in (r"\n", "\n", "\r\n"):
            text = escaped.replace(r"\n", line_break)
            keys = load_settings({"JWT_PRIVATE_KEYS": text})["JWT_PRIVATE_KEYS"]
            assert [key.kid for key in keys] == [kid_of(EC_KEY), kid_of(ED_KEY)]

    @pytest.mark.parametrize("quote", ['"', "'", ""])
    def test_env_file(self, tmp_path, monkeypatch, quote):
        monkeypatch.setenv("ENV_FILE_LOCATION", str(tmp_path / ".env"))
        (tmp_path / ".env").write_text(f"JWT_PRIVATE_KEYS={quote}{setting(EC_KEY)}{quote}\n")
        (key,) = load_settings()["JWT_PRIVATE_KEYS"]
        assert key.kid == kid_of(EC_KEY)

    def test_key_in_a_pipe_is_read_once(self):
        reading, writing = os.pipe()
        os.write(writing, pem(EC_KEY).encode())
        os.close(writing)
        (key,) = load_settings({"JWT_PRIVATE_KEYS": f"/dev/fd/{reading}"})["JWT_PRIVATE_KEYS"]
        os.close(reading)
        assert key.kid == kid_of(EC_KEY)

    def test_path_and_pem_in_one_list(self, tmp_path):
        path = tmp_path / "key.pem"
        path.write_text(pem(ED_KEY))
        found = read(f" {path} , {setting(EC_KEY)} ,")
        assert [(key.algorithm, key.source) for key in found] == [
            ("EdDSA", str(path)),
            ("ES256", f"<the PEM of {kid_of(EC_KEY)}>"),
        ]

    def test_format_of_openssl(self):
        text = EC_KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        assert [key.kid for key in read(text.decode())] == [kid_of(EC_KEY)]

    def test_key_shows_nothing_private(self):
        for key in read(setting(EC_KEY, ED_KEY)):
            assert key.jwk.keys() <= {"kid", "kty", "crv", "x", "y", "alg", "use"}
            assert f"{key!r}" == f"TokenKey(kid={key.kid!r}, algorithm={key.algorithm!r})"


def from_text(text):
    return base64.urlsafe_b64decode(text + "=")


class TestThumbprint:
    def test_vector_of_rfc_8037(self):
        """Appendix A.3 has the thumbprint of the key of A.1."""
        private = from_text("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
        key = private_keys.token_key(Ed25519PrivateKey.from_private_bytes(private), "")
        assert key.jwk["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
        assert key.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"

    def test_key_has_its_own(self):
        assert kid_of(EC_KEY) == kid_of(EC_KEY)
        assert kid_of(EC_KEY) != kid_of(ED_KEY)
