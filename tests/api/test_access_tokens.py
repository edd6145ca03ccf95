"""Access tokens that other services verify too (RFC 9068), and which of them are refused."""

import base64
import time
import uuid

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from database.models import User
from services import token_keys, token_service
from tests.support.assertions import assert_error
from tests.support.email_client import verify_all
from tests.support.factor_client import code_of, log_in_by_code, reauthenticate
from tests.support.forged_tokens import without
from tests.support.private_keys import EC_KEY, ED_KEY, KEYS, kid_of, setting, sign_by
from tests.support.token_endpoints import ACCEPTED, assert_rejected, send, token_of_each_scope
from tests.support.tokens import KEY, decode_parts, sign

ISSUER = "https://movie-bag.example"
EACH_ALGORITHM = pytest.mark.parametrize("algorithm", KEYS)
EACH_PRIVATE = pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])


@pytest.fixture
def serve(make_app, http):
    """Return a function that serves an application with these private keys."""

    def serve(*keys, **settings):
        http.app = make_app(JWT_PRIVATE_KEYS=setting(*keys), **settings)
        return http

    return serve


@pytest.fixture
def log_in(serve):
    """Return a function that serves an application with these keys, and Ada's first pair."""

    def log_in(*keys, **settings):
        api = serve(*keys, **settings)
        api.sign_up()
        return api, api.log_in().json()

    return log_in


def sign_again(algorithm, header, claims):
    """Return a token signed as the application signs access tokens."""
    key = KEYS[algorithm]
    return sign_by(key, header, claims) if key else sign(header, claims)


class TestWhatItSays:
    @EACH_ALGORITHM
    def test_header_and_claims(self, log_in, clock, algorithm):
        key = KEYS[algorithm]
        _, pair = log_in(key)
        header, claims = decode_parts(pair["token"])
        kid = kid_of(key) if key else token_keys.key_id(KEY)
        assert header == {"alg": algorithm, "kid": kid, "typ": "at+jwt"}
        now, user = int(time.time()), User.objects.get()
        uuid.UUID(claims.pop("jti"))
        assert claims == {
            **{"iss": ISSUER, "aud": ISSUER, "client_id": "movie-bag", "sub": str(user.id)},
            **{"iat": now, "exp": now + 900, "auth_time": now, "amr": ["pwd"]},
            **{"role": "user", "verified": False, "scope": "access"},
            **{"sid": next(iter(user.sessions)), "gen": 0},
            **{"type": "access", "fresh": False},
        }

    def test_id_is_of_one_token(self, log_in):
        api, pair = log_in(EC_KEY)
        tokens = [pair["token"], api.refresh(pair["refresh_token"]).json()["token"]]
        assert len({decode_parts(token)[1]["jti"] for token in tokens}) == 2

    def test_audience_is_that_of_the_setting(self, log_in):
        api, pair = log_in(EC_KEY, JWT_AUDIENCE="https://api.example.com")
        assert decode_parts(pair["token"])[1]["aud"] == "https://api.example.com"
        assert api.verify(pair["token"]).status_code == 200

    def test_role_and_verified_are_those_of_the_user(self, api, ada):
        verify_all()
        User.objects.update(set__role="admin")
        claims = decode_parts(api.refresh(ada["refresh_token"]).json()["token"])[1]
        assert (claims["role"], claims["verified"]) == ("admin", True)

    def test_amr_is_that_of_the_login(self, api, factor):
        pair = log_in_by_code(api, code_of(factor.secret)).json()
        assert decode_parts(pair["token"])[1]["amr"] == ["pwd", "otp"]

    def test_auth_time_moves_with_a_reauthentication(self, api, factor, clock):
        before = decode_parts(factor.token)[1]["auth_time"]
        pair = api.refresh(factor.tokens["refresh_token"]).json()
        assert decode_parts(pair["token"])[1]["auth_time"] == before
        code = code_of(factor.secret)
        token = reauthenticate(api, pair["token"], code=code).json()["token"]
        assert decode_parts(token)[1]["auth_time"] == int(time.time()) > before

    @EACH_PRIVATE
    def test_tokens_of_other_scopes_stay_our_own(self, log_in, algorithm):
        api, pair = log_in(KEYS[algorithm])
        tokens = without(token_of_each_scope(api.app, pair), "access")
        for scope, token in tokens.items():
            header, claims = decode_parts(token)
            assert header == {"alg": "HS256", "kid": token_keys.key_id(KEY), "typ": "JWT"}, scope
            assert not claims.keys() & {"iss", "aud", "client_id", "role"}, scope


def bytes_of(text):
    return base64.urlsafe_b64decode(text + "==")


def verify_by_hand(token, jwk):
    """Verify a signature by the public key as it is published, without a library of JWTs."""
    text, _, signature = token.rpartition(".")
    signature = bytes_of(signature)
    if jwk["kty"] == "OKP":
        Ed25519PublicKey.from_public_bytes(bytes_of(jwk["x"])).verify(signature, text.encode())
        return
    x, y, r, s = (
        int.from_bytes(part, "big")
        for part in (bytes_of(jwk["x"]), bytes_of(jwk["y"]), signature[:32], signature[32:])
    )
    key = EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
    key.verify(encode_dss_signature(r, s), text.encode(), ECDSA(SHA256()))


class TestAnotherService:
    """It verifies by what is published alone."""

    @EACH_PRIVATE
    def test_library_verifies(self, log_in, algorithm):
        api, pair = log_in(KEYS[algorithm])
        metadata = api.get("/.well-known/oauth-authorization-server").json()
        path = metadata["jwks_uri"].removeprefix(ISSUER)
        key = jwt.PyJWKClient(api.url + path).get_signing_key_from_jwt(pair["token"])
        claims = jwt.decode(
            pair["token"],
            key,
            algorithms=["ES256", "EdDSA"],
            audience=ISSUER,
            issuer=metadata["issuer"],
            options={"require": ["exp", "iat", "sub", "jti", "client_id"]},
        )
        assert claims["sub"] == str(User.objects.get().id)

    @EACH_PRIVATE
    def test_signature_is_that_of_the_standard(self, log_in, algorithm):
        api, pair = log_in(KEYS[algorithm])
        (jwk,) = api.get("/.well-known/jwks.json").json()["keys"]
        verify_by_hand(pair["token"], jwk)


OF_ANOTHER = {
    "iss missing": lambda claims: without(claims, "iss"),
    "iss of another": lambda claims: claims | {"iss": "https://other.example"},
    "iss longer": lambda claims: claims | {"iss": f"{ISSUER}/"},
    "iss no text": lambda claims: claims | {"iss": [ISSUER]},
    "aud missing": lambda claims: without(claims, "aud"),
    "aud of another": lambda claims: claims | {"aud": "https://other.example"},
    "aud of several": lambda claims: claims | {"aud": [ISSUER, "https://other.example"]},
    "aud null": lambda claims: claims | {"aud": None},
}


class TestIssuerAndAudience:
    @EACH_ALGORITHM
    def test_token_without_or_of_another_is_refused(self, log_in, algorithm):
        api, pair = log_in(KEYS[algorithm])
        header, claims = decode_parts(pair["token"])
        assert api.verify(sign_again(algorithm, header, claims)).status_code == 200
        for name, change in OF_ANOTHER.items():
            response = api.verify(sign_again(algorithm, header, change(claims)))
            assert assert_error(response, 401, "BadTokenError") == {}, name

    def test_token_of_another_service_with_our_keys_is_refused(self, log_in, serve):
        _, pair = log_in(EC_KEY, JWT_AUDIENCE="https://other.example")
        assert_rejected(serve(EC_KEY).verify(pair["token"]))


def as_before(pair):
    """Return a pair as the version before signed it: both with one set of claims."""
    claims_of = {name: decode_parts(pair[name])[1] for name in ("token", "refresh_token")}
    known = {"jti", "iat", "sub", "exp", "scope", "sid", "gen"}
    others = {"fresh": False, "type": "access", "auth_time": int(time.time()), "verified": True}
    header = {"alg": "HS256", "kid": token_keys.key_id(KEY), "typ": "JWT"}
    return {
        name: sign(header, {claim: claims[claim] for claim in known} | others)
        for name, claims in claims_of.items()
    }


class TestUpgrade:
    """Clients refresh once: their access token is refused as an expired one is."""

    @EACH_ALGORITHM
    def test_pair_of_the_version_before_gets_the_next(self, log_in, algorithm):
        api, pair = log_in(KEYS[algorithm])
        before = as_before(pair)
        assert_rejected(api.verify(before["token"]), "ExpiredTokenError")
        after = api.refresh(before["refresh_token"]).json()
        assert api.verify(after["token"]).status_code == 200
        assert api.refresh(after["refresh_token"]).status_code == 200

    @EACH_PRIVATE
    def test_pair_before_private_keys_gets_the_next(self, log_in, serve, algorithm):
        api, pair = log_in()
        assert api.verify(pair["token"]).status_code == 200
        api = serve(KEYS[algorithm])
        assert_rejected(api.verify(pair["token"]), "ExpiredTokenError")
        after = api.refresh(pair["refresh_token"]).json()
        assert api.verify(after["token"]).status_code == 200
        assert decode_parts(after["token"])[0]["alg"] == algorithm

    @EACH_PRIVATE
    def test_type_of_other_tokens_is_refused(self, log_in, algorithm):
        api, pair = log_in(KEYS[algorithm])
        header, claims = decode_parts(pair["token"])
        for other in (header | {"typ": "JWT"}, without(header, "typ"), header | {"typ": ["x"]}):
            refused = api.verify(sign_again(algorithm, other, claims))
            assert_rejected(refused, "ExpiredTokenError")


class TestWhatAPrivateKeySigns:
    """Access tokens alone: it opens nothing else, whatever a token says."""

    @EACH_PRIVATE
    def test_token_of_another_scope_is_refused(self, log_in, algorithm):
        key = KEYS[algorithm]
        api, pair = log_in(key)
        tokens = token_of_each_scope(api.app, pair)
        header = {"alg": algorithm, "kid": kid_of(key)}
        for endpoint, scope in ACCEPTED:
            if scope != "access":
                claims = decode_parts(tokens[scope])[1] | {"iss": ISSUER, "aud": ISSUER}
                for token_type in ("JWT", "at+jwt"):
                    assert_rejected(
                        send(api, endpoint, sign_by(key, header | {"typ": token_type}, claims))
                    )
        assert api.refresh(pair["refresh_token"]).status_code == 200


class TestLeeway:
    @EACH_PRIVATE
    @pytest.mark.parametrize(("seconds", "status"), [(9, 200), (11, 401)])
    def test_clock_of_the_signer_may_be_ahead(self, log_in, clock, algorithm, seconds, status):
        api, pair = log_in(KEYS[algorithm])
        clock.shift(-seconds)
        assert api.verify(pair["token"]).status_code == status

    def test_expiry_has_none(self, log_in, clock):
        api, pair = log_in(EC_KEY)
        clock.move_to(decode_parts(pair["token"])[1]["exp"])
        assert_rejected(api.verify(pair["token"]), "ExpiredTokenError")


class TestSignature:
    @EACH_ALGORITHM
    def test_signature_is_verified_once_in_a_process(self, log_in, algorithm):
        api, pair = log_in(KEYS[algorithm])
        before = token_service._verify_signature_once.cache_info().misses
        for _ in range(3):
            assert api.verify(pair["token"]).status_code == 200
        assert token_service._verify_signature_once.cache_info().misses == before + 1

    def test_token_that_comes_once_is_not_remembered(self, log_in):
        api, pair = log_in(EC_KEY)
        before = token_service._verify_signature_once.cache_info()
        assert api.refresh(pair["refresh_token"]).status_code == 200
        assert token_service._verify_signature_once.cache_info() == before


class TestSeveralKeys:
    def test_first_signs_and_all_verify(self, log_in, serve):
        _, old = log_in(EC_KEY)
        api = serve(ED_KEY, EC_KEY)
        assert api.verify(old["token"]).status_code == 200
        new = api.refresh(old["refresh_token"]).json()
        assert decode_parts(new["token"])[0]["kid"] == kid_of(ED_KEY)
        api = serve(ED_KEY)
        assert api.verify(new["token"]).status_code == 200
        assert_rejected(api.verify(old["token"]))
