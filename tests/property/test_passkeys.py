"""Whatever is sent in place of what a device returns gets a result or an error, never a 500."""

import json

import cbor2
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from database.passkeys import Passkey
from tests.support.authenticator import (
    EXTENDED,
    PRESENT,
    VERIFIED,
    assertion,
    registration,
    to_bytes,
    to_text,
)
from tests.support.passkeys import (
    creation_options,
    log_in,
    login_options,
    make_passkey,
)
from tests.support.strategies import A_FEW, ANY_BYTES, JSON, TEXT

MEMBERS = ("id", "rawId", "type", "authenticatorAttachment", "clientExtensionResults")
OF_RESPONSE = (
    *("clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"),
    *("transports", "publicKey", "publicKeyAlgorithm"),
)
VALUES = JSON | TEXT | st.binary().map(to_text) | st.lists(st.text(), max_size=11)
CHANGES = st.tuples(
    st.dictionaries(st.sampled_from(MEMBERS) | st.text(), VALUES, max_size=3),
    st.dictionaries(st.sampled_from(OF_RESPONSE) | st.text(), VALUES, max_size=3),
)
CBOR = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.integers(-9, 9) | st.text(), inner),
    max_leaves=8,
).map(cbor2.dumps)
TAGS = st.builds(bytes.__add__, st.sampled_from([b"\xd8\x1c", b"\xd8\x23", b"\xc2", b"\xc4"]), CBOR)
FLAGS = st.integers(0, 255) | st.just(PRESENT | VERIFIED | EXTENDED)
SIGNED = ("clientDataJSON", "authenticatorData", "signature", "userHandle")


JSON_HEADER = {"Content-Type": "application/json"}


def send(api, path, credential, token=None):
    """Send a credential, which may have NaN in it."""
    data = json.dumps({"credential": credential})
    return api.post(f"/api/auth/{path}", data=data, headers=JSON_HEADER, token=token)


def is_result_or_error(response):
    """Return whether a response is the result, or a client's error in the one shape."""
    if response.status_code == 200:
        return True
    body = response.json()
    has_shape = body.keys() - {"errors"} == {"message", "status", "error"}
    return has_shape and body["status"] == response.status_code in (400, 401, 413)


def changed(credential, changes):
    members, of_response = changes
    return credential | {"response": credential["response"] | of_response} | members


CHANGED_BITS = st.dictionaries(st.integers(0, 999), st.integers(1, 255), min_size=1, max_size=3)


def with_other_bits(text, changes):
    """Return base64url of bytes of which one or some are not those of text."""
    data = bytearray(to_bytes(text))
    for position, bits in changes.items():
        data[position % len(data)] ^= bits
    return to_text(bytes(data))


class TestLogin:
    def test_any_json_is_refused(self, api, stopped_worker, verified):
        @A_FEW
        @given(JSON)
        def check(value):
            assert send(api, "login/passkey", value).status_code == 400
            response = send(api, "reauthenticate", value, verified["token"])
            assert response.status_code == 400

        check()

    def test_any_member_gets_a_response(self, api, stopped_worker, passkey):
        @A_FEW
        @given(CHANGES)
        @example(({"id": "\ud800"}, {}))
        def check(changes):
            credential = changed(assertion(passkey, login_options(api)), changes)
            assert is_result_or_error(send(api, "login/passkey", credential))

        check()

    @pytest.mark.parametrize("member", SIGNED)
    def test_changed_bits_are_refused(self, api, stopped_worker, passkey, member):
        @A_FEW
        @given(CHANGED_BITS)
        def check(changes):
            credential = assertion(passkey, login_options(api))
            real = credential["response"][member]
            credential["response"][member] = with_other_bits(real, changes)
            assume(credential["response"][member] != real)
            assert send(api, "login/passkey", credential).status_code == 401

        check()

    def test_any_authenticator_data_is_refused(self, api, stopped_worker, passkey):
        @A_FEW
        @given(FLAGS, ANY_BYTES | CBOR | TAGS)
        def check(flags, end):
            response = log_in(api, passkey, flags=flags, end=end + b"\0")
            assert response.status_code == 401

        check()


class TestRegistration:
    def test_any_json_is_refused(self, api, stopped_worker, verified):
        @A_FEW
        @given(JSON)
        def check(value):
            assert send(api, "passkeys", value, verified["token"]).status_code == 400

        check()

    def test_any_member_gets_a_response(self, api, stopped_worker, verified):
        @A_FEW
        @given(CHANGES)
        def check(changes):
            options = creation_options(api, verified["token"])
            credential = changed(registration(make_passkey(options), options), changes)
            assert is_result_or_error(send(api, "passkeys", credential, verified["token"]))
            Passkey.objects.delete()

        check()

    def test_any_attestation_object_gets_a_response(self, api, stopped_worker, verified):
        @A_FEW
        @given(CHANGED_BITS | ANY_BYTES | CBOR | TAGS)
        def check(other):
            options = creation_options(api, verified["token"])
            credential = registration(make_passkey(options), options)
            real = credential["response"]["attestationObject"]
            changed = to_text(other) if isinstance(other, bytes) else with_other_bits(real, other)
            credential["response"]["attestationObject"] = changed
            assert is_result_or_error(send(api, "passkeys", credential, verified["token"]))
            Passkey.objects.delete()

        check()

    def test_any_key_is_refused(self, api, stopped_worker, verified):
        @A_FEW
        @given(FLAGS, ANY_BYTES | CBOR | TAGS, ANY_BYTES | CBOR | TAGS)
        def check(flags, key, extensions):
            options = creation_options(api, verified["token"])
            passkey = make_passkey(options)
            end = passkey.attested_data(key) + extensions
            credential = registration(passkey, options, flags=flags, end=end)
            assert send(api, "passkeys", credential, verified["token"]).status_code == 400
            assert Passkey.objects.count() == 0

        check()
