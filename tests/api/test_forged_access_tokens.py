"""Access tokens that an attacker makes of what is published: keys, and members of the header."""

import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.utils import base64url_decode

from private_keys import token_key
from services import token_keys
from tests.support.assertions import case
from tests.support.private_keys import (
    EC_KEY,
    ED_KEY,
    KEYS,
    OTHER_EC_KEY,
    kid_of,
    pem,
    setting,
    sign_by,
)
from tests.support.token_endpoints import assert_rejected
from tests.support.tokens import KEY, decode_parts, encode_part, sign

EACH_PRIVATE = pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
# What names of keys from outside are, where they become a path, a query or a key of a dictionary.
KIDS = (
    *("../../../dev/null", "/dev/null", "' OR '1'='1", "x' UNION SELECT 'secret", "$(id)", "\0"),
    *("k" * 2000, "", None, 0, True, [], {}, {"$ne": None}, 1e308, "\ud800"),
)


@pytest.fixture
def api(make_app, http):
    """Return a client of an application with two private keys."""
    http.app = make_app(JWT_PRIVATE_KEYS=setting(EC_KEY, ED_KEY))
    return http


@pytest.fixture
def parts(api):
    """Return header and claims of a valid access token."""
    api.sign_up()
    return decode_parts(api.log_in().json()["token"])


def public_texts(key, jwk):
    """Return a public key in each form in which an attacker may take it for a secret."""
    public = key.public_key()
    text = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {
        "PEM": text,
        "PEM without its last newline": text.rstrip(),
        "DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "OpenSSH": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "JWK": json.dumps(jwk).encode(),
        "JWK without blanks": json.dumps(jwk, separators=(",", ":")).encode(),
        "JWKS": json.dumps({"keys": [jwk]}).encode(),
        "x": jwk["x"].encode(),
        "bytes of x": base64url_decode(jwk["x"]),
        "kid": jwk["kid"].encode(),
        "nothing": b"",
    }


def sign_bytes(header, claims, secret, digest):
    """Return a token of which the secret is any bytes."""
    text = f"{encode_part(header)}.{encode_part(claims)}"
    return f"{text}.{encode_part(hmac.digest(secret, text.encode(), digest))}"


class TestAlgorithm:
    """The key decides about the algorithm (CVE-2026-48526 and those before it)."""

    @EACH_PRIVATE
    def test_public_key_is_no_secret(self, api, parts, algorithm):
        header, claims = parts
        kid = kid_of(KEYS[algorithm])
        (jwk,) = (it for it in api.get("/.well-known/jwks.json").json()["keys"] if it["kid"] == kid)
        for form, secret in public_texts(KEYS[algorithm], jwk).items():
            for named in (kid, token_keys.key_id(KEY)):
                for name, digest in (("HS256", "sha256"), ("HS512", "sha512")):
                    forged = header | {"alg": name, "kid": named}
                    with case(form=form, kid=named, algorithm=name):
                        assert_rejected(api.verify(sign_bytes(forged, claims, secret, digest)))

    @EACH_PRIVATE
    def test_secret_signs_no_token_of_a_private_key(self, api, parts, algorithm):
        header, claims = parts
        kid = kid_of(KEYS[algorithm])
        for name in (algorithm, "HS256"):
            assert_rejected(api.verify(sign(header | {"alg": name, "kid": kid}, claims)))

    @EACH_PRIVATE
    def test_no_algorithm_needs_a_signature(self, api, parts, algorithm):
        header, claims = parts
        for name in ("none", "None", "NONE", ""):
            forged = header | {"alg": name, "kid": kid_of(KEYS[algorithm])}
            unsigned = f"{encode_part(forged)}.{encode_part(claims)}."
            assert_rejected(api.verify(unsigned))
            assert_rejected(api.verify(sign_by(KEYS[algorithm], forged, claims)))

    @pytest.mark.parametrize(("signing", "named"), [(EC_KEY, ED_KEY), (ED_KEY, EC_KEY)])
    def test_key_signs_under_its_own_name_alone(self, api, parts, signing, named):
        header, claims = parts
        for name in ("ES256", "EdDSA"):
            forged = header | {"alg": name, "kid": kid_of(named)}
            assert_rejected(api.verify(sign_by(signing, forged, claims)))
        algorithm = "ES256" if signing is EC_KEY else "EdDSA"
        own = {"alg": algorithm, "kid": kid_of(signing)}
        assert api.verify(sign_by(signing, header | own, claims)).status_code == 200


class TestKid:
    def test_unknown_kid_is_refused(self, api, parts):
        header, claims = parts
        for kid in (*KIDS, kid_of(OTHER_EC_KEY), [header["kid"]], header["kid"][:8]):
            for key in (EC_KEY, OTHER_EC_KEY):
                assert_rejected(api.verify(sign_by(key, header | {"kid": kid}, claims)))
            assert_rejected(api.verify(sign(header | {"alg": "HS256", "kid": kid}, claims, "")))

    def test_kid_of_10000_characters_is_refused(self, api, parts):
        header, claims = parts
        assert_rejected(api.verify(sign_by(EC_KEY, header | {"kid": "k" * 10_000}, claims)))

    def test_key_of_another_is_refused_under_our_kid(self, api, parts):
        assert_rejected(api.verify(sign_by(OTHER_EC_KEY, *parts)))


@pytest.fixture
def key_server():
    """Return the URL of a server that has an attacker's keys, and the requests to it."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/keys", requests
        server.shutdown()
        thread.join()


class TestKeyInTheHeader:
    """Nothing of a header is read but `kid`, `alg` and `typ`."""

    def test_key_of_the_header_is_not_used(self, api, parts, key_server):
        url, requests = key_server
        header, claims = parts
        jwk = token_key(OTHER_EC_KEY, "").jwk
        public = OTHER_EC_KEY.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        members = {
            "jku": url,
            "x5u": url,
            "jwk": jwk,
            "x5c": [public.hex()],
            "url": url,
        }
        for name, value in [*members.items(), ("kid", url)]:
            for kid in (header["kid"], kid_of(OTHER_EC_KEY)):
                forged = header | {"kid": kid, name: value}
                assert_rejected(api.verify(sign_by(OTHER_EC_KEY, forged, claims)))
        assert api.verify(sign_by(EC_KEY, header | members, claims)).status_code == 200
        assert requests == []


class TestSignature:
    def test_signature_in_another_form_is_refused(self, api, parts):
        token = sign_by(EC_KEY, *parts)
        text, _, signature = token.rpartition(".")
        raw = base64url_decode(signature)
        for forged in (b"", bytes(64), raw[:63], raw + b"\0", raw[32:] + raw[:32]):
            assert_rejected(api.verify(f"{text}.{encode_part(forged)}"))
        assert api.verify(token).status_code == 200

    def test_private_key_is_in_no_response(self, api, parts):
        lines = {line for key in (EC_KEY, ED_KEY) for line in pem(key).splitlines()[1:-1]}
        for path in ("/.well-known/jwks.json", "/api/openapi.json"):
            text = api.get(path).text
            assert not any(line in text for line in lines)
