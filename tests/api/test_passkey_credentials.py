"""What a device or a browser may not send: each part of a credential, made wrong in turn."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.assertions import assert_error, case
from tests.support.authenticator import (
    BACKED_UP,
    EXTENDED,
    ORIGIN,
    PRESENT,
    VERIFIED,
    assertion,
    registration,
    to_bytes,
    to_text,
)
from tests.support.factor_client import reauthenticate
from tests.support.passkeys import (
    add,
    creation_options,
    listed,
    log_in,
    login_options,
    make_passkey,
    reauthenticate_by,
    send_login,
)

OTHER_ORIGIN = "https://evil.example"
APP_ORIGIN = f"android:apk-key-hash:{43 * 'A'}"
WRONG_IN_BOTH = {
    "another RP ID": {"rp_id": "evil.example"},
    "a parent of the RP ID": {"rp_id": "example"},
    "another origin": {"client": {"origin": OTHER_ORIGIN}},
    "another scheme": {"client": {"origin": ORIGIN.replace("https", "http")}},
    "another port": {"client": {"origin": f"{ORIGIN}:8443"}},
    "a subdomain": {"client": {"origin": ORIGIN.replace("//", "//www.")}},
    "a frame of another origin": {"client": {"crossOrigin": True}},
    "another challenge": {"client": {"challenge": to_text(bytes(32))}},
    "no challenge": {"client": {"challenge": ""}},
    "another type": {"client": {"type": "payment.get"}},
    "no user verification": {"flags": PRESENT},
    "no presence": {"flags": VERIFIED},
    "neither": {"flags": 0},
    "a backup that is impossible": {"flags": PRESENT | VERIFIED | BACKED_UP},
    "client data that is a list": {"response": {"clientDataJSON": to_text(b"[]")}},
    "client data that is no JSON": {"response": {"clientDataJSON": to_text(b"{")}},
    "client data that is deep": {"response": {"clientDataJSON": to_text(b"[" * 20_000)}},
    "client data without members": {"response": {"clientDataJSON": to_text(b"{}")}},
}
WRONG_REGISTRATIONS = WRONG_IN_BOTH | {
    "the type of a login": {"client": {"type": "webauthn.get"}},
    "an unknown format": {"fmt": "unknown"},
    "attestation by others": {"fmt": "fido-u2f", "statement": {"sig": b"s", "x5c": [b"c"]}},
    "attestation by a certificate": {
        "fmt": "packed",
        "statement": {"alg": -7, "sig": b"s", "x5c": [b"c"]},
    },
    "a wrong self attestation": {"fmt": "packed", "statement": {"alg": -7, "sig": b"s"}},
    "no attestation object": {"response": {"attestationObject": ""}},
    "an attestation object that is a list": {"response": {"attestationObject": "gA"}},
}
WRONG_LOGINS = WRONG_IN_BOTH | {
    "the type of a registration": {"client": {"type": "webauthn.create"}},
    "no signature": {"response": {"signature": ""}},
    "another signature": {"response": {"signature": to_text(b"\x30\x06\x02\x01\x01\x02\x01\x01")}},
    "no authenticator data": {"response": {"authenticatorData": ""}},
    "short authenticator data": {"response": {"authenticatorData": to_text(bytes(36))}},
    "an extension": {"flags": PRESENT | VERIFIED | EXTENDED, "end": cbor2.dumps({"x": 1})},
    "a byte too much": {"end": b"\0"},
}
# Keys in COSE, as maps: what the attestation "none" does not prove, and no login could verify.
WRONG_KEYS = {
    "off the curve": {1: 2, 3: -7, -1: 1, -2: b"x" * 32, -3: b"y" * 32},
    "at infinity": {1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)},
    "coordinates that are numbers": {1: 2, 3: -7, -1: 1, -2: 1, -3: 2},
    "an unknown curve": {1: 2, 3: -7, -1: 99, -2: b"x" * 32, -3: b"y" * 32},
    "short EdDSA": {1: 1, 3: -8, -1: 6, -2: b"x"},
    "another algorithm": {1: 2, 3: -36, -1: 3, -2: b"x" * 66, -3: b"y" * 66},
    "huge RSA": {1: 3, 3: -257, -1: b"\xff" * 20_000, -2: b"\1\0\1"},
    "RSA of exponent 1": {1: 3, 3: -257, -1: b"\xff" * 256, -2: b"\1"},
    "no algorithm": {1: 2},
    "an empty map": {},
    "a list": [1, 2, 3],
    "a number": 7,
}


def parametrize(cases):
    return pytest.mark.parametrize("changes", cases.values(), ids=cases.keys())


def u2f_attestation(passkey, response):
    """Return a valid attestation of the format fido-u2f, by the key itself."""
    auth_data = to_bytes(response["authenticatorData"])
    client_hash = hashlib.sha256(to_bytes(response["clientDataJSON"])).digest()
    key = passkey.key.public_key()
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    signed = b"\0" + auth_data[:32] + client_hash + passkey.credential_id + point
    name = x509.Name([])
    day = datetime(2020, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key, 1, day, day + timedelta(days=36500))
    certificate = builder.sign(passkey.key, SHA256()).public_bytes(Encoding.DER)
    statement = {"sig": passkey.sign(signed), "x5c": [certificate]}
    return cbor2.dumps({"fmt": "fido-u2f", "attStmt": statement, "authData": auth_data})


def assert_invalid(response):
    """Assert that the field `credential` is refused."""
    errors = assert_error(response, 400, "SchemaValidationError")
    assert errors.keys() == {"credential"}


class TestRegistration:
    @parametrize(WRONG_REGISTRATIONS)
    def test_wrong_part_is_refused(self, api, verified, changes):
        options = creation_options(api, verified["token"])
        credential = registration(make_passkey(options), options, **changes)
        assert_invalid(add(api, verified["token"], credential))
        assert listed(api, verified["token"]) == []

    def test_attestation_that_we_do_not_ask_for_is_refused(self, api, verified):
        options = creation_options(api, verified["token"])
        passkey = make_passkey(options)
        credential = registration(passkey, options)
        response = credential["response"]
        response["attestationObject"] = to_text(u2f_attestation(passkey, response))
        assert_invalid(add(api, verified["token"], credential))

    def test_key_that_verifies_nothing_is_refused(self, api, verified):
        for name, key in WRONG_KEYS.items():
            with case(key=name):
                options = creation_options(api, verified["token"])
                passkey = make_passkey(options)
                end = passkey.attested_data(cbor2.dumps(key))
                credential = registration(passkey, options, end=end)
                assert_invalid(add(api, verified["token"], credential))
                assert listed(api, verified["token"]) == []

    def test_id_is_that_of_the_attestation_object(self, api, verified):
        options = creation_options(api, verified["token"])
        passkey, other = make_passkey(options), make_passkey(options)
        credential = registration(passkey, options)
        credential |= {"id": to_text(other.credential_id), "rawId": to_text(other.credential_id)}
        assert_invalid(add(api, verified["token"], credential))
        assert listed(api, verified["token"]) == []

    @pytest.mark.parametrize(("length", "status"), [(1, 200), (1023, 200), (1024, 400)])
    def test_length_of_an_id_is_limited(self, api, verified, length, status):
        options = creation_options(api, verified["token"])
        passkey = make_passkey(options, credential_id=b"i" * length)
        response = add(api, verified["token"], registration(passkey, options))
        assert response.status_code == status


class TestLogin:
    @parametrize(WRONG_LOGINS)
    def test_wrong_part_logs_nobody_in(self, api, verified, passkey, changes):
        assert_error(log_in(api, passkey, **changes), 401, "UnauthorizedError")
        assert_invalid(reauthenticate_by(api, verified["token"], passkey, **changes))
        assert reauthenticate_by(api, verified["token"], passkey).status_code == 200

    def test_unknown_members_inside_are_ignored(self, api, passkey):
        credential = assertion(passkey, login_options(api), response={"more": {"a": [None]}})
        assert send_login(api, credential | {"more": [1]}).status_code == 200

    def test_other_members_of_the_client_data_are_ignored(self, api, passkey):
        client = {"topOrigin": "x", "more": {"a": 1}, "tokenBinding": {"status": "supported"}}
        assert log_in(api, passkey, client=client).status_code == 200


class TestOptions:
    @pytest.mark.parametrize("path", ["passkeys/options", "login/passkey/options"])
    @pytest.mark.parametrize(
        "field", [{"userVerification": "discouraged"}, {"rpId": "evil.example"}, {"challenge": "x"}]
    )
    def test_options_are_not_for_the_client_to_change(self, api, verified, path, field):
        response = api.post(f"/api/auth/{path}", json=field, token=verified["token"])
        errors = assert_error(response, 400, "SchemaValidationError")
        assert errors.keys() == field.keys()


class TestOrigins:
    def test_origin_of_an_app_is_accepted_if_it_is_named(self, make_app, http, verified, passkey):
        http.app = make_app(PASSKEY_ORIGINS=f"{APP_ORIGIN},https://app.example")
        for origin in (APP_ORIGIN, "https://app.example", ORIGIN):
            with case(origin=origin):
                assert log_in(http, passkey, client={"origin": origin}).status_code == 200
                options = creation_options(http, verified["token"])
                credential = registration(make_passkey(options), options, client={"origin": origin})
                assert add(http, verified["token"], credential).status_code == 200

    def test_other_origin_is_refused_nevertheless(self, make_app, http, passkey):
        http.app = make_app(PASSKEY_ORIGINS=APP_ORIGIN)
        for origin in (OTHER_ORIGIN, APP_ORIGIN[:-1], f"{APP_ORIGIN}x", "", "null"):
            with case(origin=origin):
                response = log_in(http, passkey, client={"origin": origin})
                assert_error(response, 401, "UnauthorizedError")

    @pytest.mark.parametrize(
        ("url", "rp_id", "origin"),
        [
            ("https://Movie.Example:8443/bag", "movie.example", "https://movie.example:8443"),
            ("http://localhost:5000", "localhost", "http://localhost:5000"),
            ("https://bücher.example", "xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ],
    )
    def test_public_url_gives_rp_id_and_origin(
        self, make_app, http, verified, passkey, url, rp_id, origin
    ):
        http.app = make_app(PUBLIC_URL=url)
        token = http.refresh(verified["refresh_token"]).json()["token"]  # issued by this URL
        options = creation_options(http, token)
        assert options["rp"]["id"] == login_options(http)["rpId"] == rp_id
        own = make_passkey(options)
        credential = registration(own, options, client={"origin": origin})
        assert add(http, token, credential).status_code == 200
        assert log_in(http, own, client={"origin": origin}).status_code == 200
        assert_error(log_in(http, own), 401, "UnauthorizedError")


OMITTED = object()
WRONG_TYPES = (None, True, 1, 1.5, [], {}, ["x"], [None], {"a": "x"})
WRONG_TEXTS = ("", " ", "é", "=", "A", "A A A", "AAAA==", "AA+/", "\0", "\ud800", "A" * 40_000)
REQUIRED = (
    *(("id",), ("rawId",), ("type",), ("response",)),
    *(("response", "clientDataJSON"), ("response", "signature")),
    *(("response", "authenticatorData"), ("response", "attestationObject")),
)
OTHERS = (
    *(("response", "transports"), ("response", "publicKey")),
    *(("authenticatorAttachment",), ("clientExtensionResults",)),
)


def changed(credential, path, value):
    """Return a copy of a credential with another value in one place, or without that member."""
    copy = json.loads(json.dumps(credential))
    place = copy
    for name in path[:-1]:
        place = place[name]
    if value is OMITTED:
        place.pop(path[-1], None)
    else:
        place[path[-1]] = value
    return copy


def is_refused(response, status):
    """Return whether a request was refused in the one shape."""
    is_right = response.status_code in (400, status)
    return is_right and response.json().keys() - {"errors"} == {"message", "status", "error"}


class TestTypes:
    """Each member of a credential is missing, or of a wrong type: never a 500."""

    @pytest.mark.parametrize("path", REQUIRED, ids=".".join)
    def test_required_member_is_checked(self, api, verified, passkey, path):
        options = creation_options(api, verified["token"])
        made = registration(make_passkey(options), options)
        signed = assertion(passkey, login_options(api))
        for value in (OMITTED, *WRONG_TYPES, *WRONG_TEXTS):
            with case(value=ascii(value)[:20]):
                if path[-1] not in ("signature", "authenticatorData"):
                    response = add(api, verified["token"], changed(made, path, value))
                    assert is_refused(response, 400)
                if path[-1] != "attestationObject":
                    wrong = changed(signed, path, value)
                    assert is_refused(send_login(api, wrong), 401)
                    proof = reauthenticate(api, verified["token"], credential=wrong)
                    assert is_refused(proof, 400)

    @pytest.mark.parametrize("path", OTHERS, ids=".".join)
    def test_other_member_is_no_error_of_ours(self, api, verified, passkey, path):
        for value in (OMITTED, *WRONG_TYPES, WRONG_TEXTS[-1]):
            with case(value=ascii(value)[:20]):
                options = creation_options(api, verified["token"])
                made = registration(make_passkey(options), options)
                response = add(api, verified["token"], changed(made, path, value))
                assert response.ok or is_refused(response, 400)

    def test_user_handle_is_checked(self, api, passkey):
        path = ("response", "userHandle")
        for value in (OMITTED, *WRONG_TYPES, *WRONG_TEXTS):
            with case(value=ascii(value)[:20]):
                wrong = changed(assertion(passkey, login_options(api)), path, value)
                assert is_refused(send_login(api, wrong), 401)

    @pytest.mark.parametrize("value", [None, True, 1, [], "x", {}, [{}], {"id": "x"}])
    def test_credential_that_is_none_is_refused(self, api, verified, value):
        assert_invalid(add(api, verified["token"], value))
        assert_invalid(send_login(api, value))
        assert_invalid(reauthenticate(api, verified["token"], credential=value))

    def test_missing_credential_is_named(self, api, verified):
        for path in ("passkeys", "login/passkey"):
            with case(path=path):
                response = api.post(f"/api/auth/{path}", json={}, token=verified["token"])
                assert_invalid(response)

    def test_registration_is_no_login_and_vice_versa(self, api, verified, passkey):
        options = creation_options(api, verified["token"]) | {"rpId": "movie-bag.example"}
        made, signed = registration(passkey, options), assertion(passkey, options)
        assert is_refused(send_login(api, made), 401)
        assert_invalid(add(api, verified["token"], signed))


class TestBase64:
    def test_challenge_of_another_spelling_is_spent_as_well(self, api, passkey):
        options = login_options(api)
        padded = options | {"challenge": options["challenge"] + "=="}
        responses = [send_login(api, assertion(passkey, it)) for it in (padded, options)]
        assert [response.status_code for response in responses].count(200) <= 1

    def test_id_of_another_spelling_is_refused(self, api, passkey):
        credential = assertion(passkey, login_options(api))
        assert len(to_bytes(credential["id"])) % 3 == 2  # so the last character has unused bits
        last = credential["id"][-1]
        credential["id"] = credential["id"][:-1] + chr(ord(last) + 1)
        assert_error(send_login(api, credential), 401, "UnauthorizedError")
