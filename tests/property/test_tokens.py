"""Any text in place of a token is rejected in the one way, even if our own key has signed it."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services import token_service
from services.errors import TokenError
from services.token_service import ACCESS, CHANGE, CONFIRM, INVITE, MFA, PWD_RESET, REFRESH, UNDO
from tests.support.stored_user import read_stored_user, restore_user
from tests.support.strategies import A_FEW, ANY_BYTES, JSON, json_bytes
from tests.support.token_endpoints import (
    EACH_ACCEPTED,
    SCOPES,
    TOKEN_ENDPOINTS,
    assert_rejected,
    send,
    token_of_each_scope,
)
from tests.support.tokens import KEY, OTHER_KEY, decode_parts, encode_part, sign

TIMES = {"exp": int, "iat": int, "nbf": int}
SESSION_TYPES = {"scope": str, "sid": str, "gen": int}
VERSION_TYPES = {"pwv": int, "ev": int, "change": str, "logins": int}
ISSUER_TYPES = {"iss": str, "aud": str}
TYPES = {"sub": str, "jti": str, **ISSUER_TYPES, **VERSION_TYPES, **SESSION_TYPES, **TIMES}
SESSION_CLAIMS = {"sub", "exp", *SESSION_TYPES}
VERSION_OF = {
    **{PWD_RESET: "pwv", CONFIRM: "ev", CHANGE: "change", UNDO: "change"},
    INVITE: "pwv",
}
CLAIMS_OF = {
    **{ACCESS: {*SESSION_CLAIMS, *ISSUER_TYPES}, REFRESH: SESSION_CLAIMS},
    MFA: {"scope", "sub", "exp", "pwv", "logins"},
    **{scope: {"scope", "sub", "exp", "jti", version} for scope, version in VERSION_OF.items()},
}
OPTIONAL_CLAIMS = {"iat", "nbf"}
# They are never read: `auth_time` is that of the stored session.
OTHER_CLAIMS = ("type", "fresh", "csrf", "role", "amr", "auth_time", "verified", "client_id")
OPERATORS = [{"$gt": -1}, {"$ne": None}, {"$exists": True}, {"$in": [0]}, {"$where": "1"}, [0]]
PATHS = ["a.b", ".generation", "$where", "$", "", "\0", "..", "0" * 16, "0" * 24]
INTEGERS = [-1, True, 2**31, 2**63, -(2**64), 10**300]
FLOATS = [0.0, 1e308, float("inf"), float("nan")]
ODD = JSON | st.sampled_from([*OPERATORS, *PATHS, *INTEGERS, *FLOATS, "9" * 9])
ALGORITHMS = st.sampled_from(["none", "None", "HS256", "HS384", "HS512", "RS256", "ES256", ""])
HEADER_NAMES = ("kid", "typ", "cty", "crit", "b64", "jwk", "jku", "x5u")
HEADERS = st.fixed_dictionaries(
    {}, optional={name: ODD for name in HEADER_NAMES} | {"alg": ALGORITHMS | ODD}
)
CLAIMS = st.fixed_dictionaries(
    {},
    optional={name: ODD for name in (*TYPES, *OTHER_CLAIMS)}
    | {"scope": st.sampled_from(SCOPES) | ODD},
)
OMITTED = st.sets(st.sampled_from(["alg", "kid", *TYPES]), max_size=2)
PARTS = ANY_BYTES | json_bytes(JSON)


@pytest.fixture
def valid(app, ada):
    """Return a valid token of each scope, by scope."""
    tokens = token_of_each_scope(app, ada)
    with app.app_context():
        yield tokens


def decode(token):
    """Return the claims of a token after a check of their types; None if it is rejected."""
    decoded = None
    for scope in SCOPES:
        try:
            decoded = token_service.decode(token, scope)
        except TokenError:
            continue
        types = {name: type(claim) for name, claim in decoded.items()}
        assert types == {name: TYPES[name] for name in types}
        assert types.keys() - OPTIONAL_CLAIMS == CLAIMS_OF[scope]
        assert all(0 <= decoded[name] <= 10**11 for name in types.keys() & TIMES.keys())
    return decoded


def changed(part, changes, omitted):
    return {name: value for name, value in (part | changes).items() if name not in omitted}


class TestDecode:
    def test_any_text_is_rejected(self, valid):
        @given(st.text() | st.lists(PARTS.map(encode_part), min_size=2, max_size=4).map(".".join))
        def check(text):
            assert decode(text) is None

        check()

    def test_token_with_a_changed_bit_is_rejected(self, valid):
        @given(st.sampled_from(SCOPES), st.integers(0, 2), st.integers(0, 999), st.integers(1, 255))
        def check(scope, part, position, bits):
            parts = [bytearray(base64.urlsafe_b64decode(p + "==")) for p in valid[scope].split(".")]
            parts[part][position % len(parts[part])] ^= bits
            assert decode(".".join(encode_part(bytes(part)) for part in parts)) is None

        check()

    def test_only_our_key_and_algorithm_sign(self, valid):
        keys = st.sampled_from([KEY, OTHER_KEY, ""])

        @given(st.sampled_from(SCOPES), HEADERS, CLAIMS, OMITTED, keys)
        def check(scope, header, claims, omitted, key):
            valid_header, valid_claims = decode_parts(valid[scope])
            header = changed(valid_header, header, omitted)
            decoded = decode(sign(header, changed(valid_claims, claims, omitted), key))
            assert decoded is None or (key == KEY and header["alg"] == "HS256")

        check()


def is_accepted(response):
    """Return whether an endpoint accepts a token; otherwise assert how it rejects it."""
    if response.status_code == 200:
        return True
    is_page = response.headers["Content-Type"].startswith("text/html")
    assert_rejected(response, "" if is_page else response.json()["error"])
    return False


TRIED_CLAIMS = [
    *({"gen": {"$gt": -1}}, {"gen": {"$exists": True}}, {"gen": 2**63}, {"pwv": 2**63}),
    *({"sid": "\0"}, {"sid": {}}, {"exp": "99999999999"}, {"jti": {"$ne": None}}),
    *({"ev": {"$gt": -1}}, {"change": {"$exists": True}}),
    *({"logins": {"$gt": -1}}, {"logins": 2**63}, {"logins": 0.0}, {"logins": True}),
]


def with_examples(tried):
    """Return a decorator that tries each of these claims, and omits none."""

    def decorate(check):
        for claims in tried:
            check = example(claims, set())(check)
        return check

    return decorate


class TestEndpoints:
    @EACH_ACCEPTED
    def test_forged_claims_are_rejected_and_change_nothing(
        self, api, stopped_worker, valid, endpoint, scope
    ):
        stored = read_stored_user()
        header, real = decode_parts(valid[scope])

        @A_FEW
        @given(CLAIMS, OMITTED)
        @with_examples([{"sid": f"{real.get('sid')}.rotated.g0"}])
        @with_examples([{"change": f"{real.get('change')}.at"}, *TRIED_CLAIMS])
        def check(claims, omitted):
            signed = changed(real, claims, omitted)
            unchanged = {name for name in signed if signed[name] == real.get(name)}
            if is_accepted(send(api, endpoint, sign(header, signed))):
                assert unchanged >= real.keys() & {"sub", "sid", "gen", *VERSION_TYPES}
                assert signed["scope"] in TOKEN_ENDPOINTS[endpoint].scopes
            elif not (endpoint == "refresh" and unchanged >= {"sub", "sid"}):  # that is reuse
                assert read_stored_user() == stored
            restore_user(stored)

        check()
