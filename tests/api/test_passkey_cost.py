"""CBOR that takes a library seconds to decode is refused before that.

CTAP2 forbids tags, so no device sends them. A library decodes them before it verifies anything.
"""

import json

import cbor2
import pytest

from tests.support import wsgi
from tests.support.authenticator import (
    ATTESTED,
    EXTENDED,
    ORIGIN,
    PRESENT,
    VERIFIED,
    assertion,
    authenticator_data,
    new_passkey,
    registration,
    to_text,
)
from tests.support.passkeys import creation_options, login_options, make_passkey


def bomb(levels):
    """Return CBOR that says twice at each level what the level before is: small until written."""
    items = [b"\xd8\x1c\x81\x01"]  # a shared list
    for level in range(levels):
        shared = b"\xd8\x1d" + cbor2.dumps(level)
        items.append(b"\xd8\x1c\x82" + shared + shared)
    return b"\x98" + bytes([len(items)]) + b"".join(items)


# A library that decodes them takes seconds for each.
BOMB = bomb(20)
PATTERN = cbor2.dumps(cbor2.CBORTag(35, "(?i)" + "[a-\uffff]" * 300))
COSTLY = {"shared values": BOMB, "a pattern": PATTERN, "a key": b"\xa2\x01\x02\x03" + BOMB}
EACH_COSTLY = pytest.mark.parametrize("data", COSTLY.values(), ids=COSTLY.keys())
MAX_SECONDS = 0.5


@pytest.fixture
def assert_cheap(app):
    """Return a function that asserts that a credential is refused in little time."""

    def check(path, credential, token=""):
        body = json.dumps({"credential": credential}).encode()
        headers = [("Content-Type", "application/json"), ("Authorization", f"Bearer {token}")]
        environ = wsgi.environ("POST", f"/api/auth/{path}", body=body, headers=headers)
        seconds, status, _ = wsgi.processor_seconds(app, environ)
        assert status in (400, 401)
        assert seconds < MAX_SECONDS

    return check


class TestCost:
    @EACH_COSTLY
    @pytest.mark.parametrize("flag", [ATTESTED, EXTENDED])
    def test_login_is_cheap(self, api, passkey, assert_cheap, data, flag):
        end = bytes(16) + b"\0\1x" + data if flag == ATTESTED else data
        flags = PRESENT | VERIFIED | flag
        credential = assertion(passkey, login_options(api), flags=flags, end=end)
        assert_cheap("login/passkey", credential)

    @EACH_COSTLY
    def test_registration_of_a_key_is_cheap(self, api, verified, assert_cheap, data):
        options = creation_options(api, verified["token"])
        passkey = make_passkey(options)
        end = passkey.attested_data(data)
        assert_cheap("passkeys", registration(passkey, options, end=end), verified["token"])

    @EACH_COSTLY
    def test_registration_with_extensions_is_cheap(self, api, verified, assert_cheap, data):
        options = creation_options(api, verified["token"])
        passkey = make_passkey(options)
        flags, end = PRESENT | VERIFIED | EXTENDED, passkey.attested_data() + data
        credential = registration(passkey, options, flags=flags, end=end)
        assert_cheap("passkeys", credential, verified["token"])

    @EACH_COSTLY
    def test_attestation_is_cheap(self, api, verified, assert_cheap, data):
        options = creation_options(api, verified["token"])
        passkey = make_passkey(options)
        flags = PRESENT | VERIFIED | ATTESTED
        auth_data = authenticator_data(ORIGIN[8:], flags, 0, passkey.attested_data())
        signed = b"\xa3\x63fmt\x64none\x68authData" + cbor2.dumps(auth_data)
        signed += b"\x67attStmt\xa1\x63sig" + data
        response = {"attestationObject": to_text(signed)}
        credential = registration(passkey, options, response=response)
        assert_cheap("passkeys", credential, verified["token"])

    def test_extension_without_a_key_is_cheap(self, api, verified, assert_cheap):
        options = creation_options(api, verified["token"])
        auth_data = authenticator_data(ORIGIN[8:], PRESENT | VERIFIED | EXTENDED, 0, BOMB)
        signed = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": auth_data})
        response = {"attestationObject": to_text(signed)}
        credential = registration(new_passkey(b"u"), options, response=response)
        assert_cheap("passkeys", credential, verified["token"])

    def test_bomb_inside_a_key_is_cheap(self, api, verified, assert_cheap):
        """The library looks for extensions where the shortest encoding of the key would end."""
        options = creation_options(api, verified["token"])
        passkey = make_passkey(options)
        eights, ones = divmod(len(BOMB), 8)  # the bytes by which these zeros are too long
        zeros = eights * (b"\x1b" + bytes(8)) + ones * b"\x18\0"
        key = b"\xa2\5\x98" + bytes([eights + ones]) + zeros + b"\6" + cbor2.dumps(BOMB)
        flags, end = PRESENT | VERIFIED | EXTENDED, passkey.attested_data(key)
        credential = registration(passkey, options, flags=flags, end=end)
        assert_cheap("passkeys", credential, verified["token"])
