"""What other services read: the public keys, and where they find what they need (RFC 8414)."""

import base64

import pytest

from tests.support.assertions import assert_error
from tests.support.private_keys import EC_KEY, ED_KEY, kid_of, setting
from tests.support.tokens import decode_parts

JWKS = "/.well-known/jwks.json"
METADATA = "/.well-known/oauth-authorization-server"
EACH_PATH = pytest.mark.parametrize("path", [JWKS, METADATA])


@pytest.fixture
def with_keys(make_app, http):
    """Return a client of an application with two private keys."""
    http.app = make_app(JWT_PRIVATE_KEYS=setting(EC_KEY, ED_KEY))
    return http


class TestPublicKeys:
    def test_keys_are_those_of_the_setting_in_its_order(self, with_keys):
        ec_key, ed_key = with_keys.get(JWKS).json()["keys"]
        numbers = EC_KEY.public_key().public_numbers()
        for name in ("x", "y"):
            number = int.from_bytes(decoded(ec_key.pop(name)), "big")
            assert number == getattr(numbers, name)
        assert decoded(ed_key.pop("x")) == ED_KEY.public_key().public_bytes_raw()
        used = {"use": "sig"}
        kind = {"kty": "EC", "crv": "P-256", "alg": "ES256"}
        assert ec_key == {"kid": kid_of(EC_KEY)} | kind | used
        kind = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA"}
        assert ed_key == {"kid": kid_of(ED_KEY)} | kind | used

    def test_kid_is_that_of_tokens(self, with_keys):
        with_keys.sign_up()
        token = with_keys.log_in().json()["token"]
        assert decode_parts(token)[0]["kid"] == with_keys.get(JWKS).json()["keys"][0]["kid"]

    def test_no_member_is_private(self, with_keys):
        public = {"kid", "kty", "crv", "x", "y", "alg", "use"}
        for key in with_keys.get(JWKS).json()["keys"]:
            assert key.keys() <= public

    def test_key_that_is_listed_twice_is_published_once(self, make_app, http):
        http.app = make_app(JWT_PRIVATE_KEYS=setting(EC_KEY, ED_KEY, EC_KEY))
        found = [key["kid"] for key in http.get(JWKS).json()["keys"]]
        assert found == [kid_of(EC_KEY), kid_of(ED_KEY)]

    def test_none_are_published_of_secrets(self, api):
        assert api.get(JWKS).json() == {"keys": []}


def decoded(text):
    """Return the bytes of base64url; RFC 7518 wants all 32 of a coordinate."""
    found = base64.urlsafe_b64decode(text + "=")
    assert len(found) == 32
    return found


class TestMetadata:
    def test_metadata(self, api):
        url = "https://movie-bag.example"
        assert api.get(METADATA).json() == {
            "issuer": url,
            "jwks_uri": f"{url}{JWKS}",
            "introspection_endpoint": f"{url}/api/auth/introspect",
            "introspection_endpoint_auth_methods_supported": ["Bearer"],
            "response_types_supported": [],
            "grant_types_supported": [],
            "service_documentation": f"{url}/api/docs",
        }

    def test_issuer_is_that_of_tokens(self, api, ada):
        assert api.get(METADATA).json()["issuer"] == decode_parts(ada["token"])[1]["iss"]

    def test_paths_are_those_of_the_product(self, api):
        metadata = api.get(METADATA).json()
        document = api.get("/api/openapi.json").json()
        assert api.get(metadata["jwks_uri"].removeprefix(metadata["issuer"])).status_code == 200
        path = metadata["introspection_endpoint"].removeprefix(metadata["issuer"])
        assert document["paths"][path].keys() == {"post"}


class TestRequest:
    @EACH_PATH
    def test_response_may_be_kept_for_five_minutes(self, with_keys, path):
        response = with_keys.get(path)
        assert response.headers["Cache-Control"] == "public, max-age=300"
        assert response.headers["Content-Type"] == "application/json"

    @EACH_PATH
    def test_head_is_get_without_a_body(self, with_keys, path):
        got, head = with_keys.get(path), with_keys.request("HEAD", path)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("Cache-Control", "Content-Type", "Content-Length"):
            assert head.headers[name] == got.headers[name]

    @EACH_PATH
    def test_query_and_other_methods_are_refused(self, with_keys, path):
        refused = with_keys.get(f"{path}?kid=1")
        assert assert_error(refused, 400, "SchemaValidationError").keys() == {"kid"}
        assert "public" not in refused.headers.get("Cache-Control", "")
        assert_error(with_keys.post(path), 405, "MethodNotAllowedError")

    @EACH_PATH
    def test_nobody_need_log_in(self, with_keys, path):
        response = with_keys.get(path, token="garbled")
        assert (response.status_code, response.json()) == (200, with_keys.get(path).json())
