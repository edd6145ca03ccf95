"""Whatever comes as a token is refused in the one way, even what is signed with our key."""

import base64
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from database.models import User
from services import token_service
from services.errors import TokenError
from services.token_service import ACCESS, PWD_RESET, REFRESH
from tests.test_fuzz import A_FEW, JSON
from tests.test_tokens import DOORS, KEY, KEYS, OTHER_KEY, decoded, encoded, knock, shut, signed

SCOPES = (ACCESS, REFRESH, PWD_RESET)
TYPES = {"sub": str, "exp": int, "sid": str, "gen": int, "auth_time": float, "pwv": int}
OTHERS = ("iss", "aud", "iat", "nbf", "jti", "type", "fresh", "csrf")
OPERATORS = [{"$gt": -1}, {"$ne": None}, {"$exists": True}, {"$in": [0]}, {"$where": "1"}, [0]]
PATHS = ["a.b", ".generation", "$where", "$", "", "\0", "..", "0" * 16, "0" * 24]
NUMBERS = [
    -1,
    0.0,
    True,
    2**31,
    2**63,
    -(2**64),
    10**300,
    1e308,
    float("inf"),
    float("nan"),
    "9" * 9,
]
ODD = JSON | st.sampled_from([*OPERATORS, *PATHS, *NUMBERS])
ALGORITHMS = st.sampled_from(["none", "None", "HS256", "HS384", "HS512", "RS256", "ES256", ""])
HEADERS = st.fixed_dictionaries(
    {},
    optional={name: ODD for name in ("kid", "typ", "cty", "crit", "b64", "jwk", "jku", "x5u")}
    | {"alg": ALGORITHMS | ODD},
)
CLAIMS = st.fixed_dictionaries(
    {},
    optional={name: ODD for name in (*TYPES, *OTHERS)} | {"scope": st.sampled_from(SCOPES) | ODD},
)
LEFT_OUT = st.sets(st.sampled_from(["alg", "kid", "scope", *TYPES]), max_size=2)
PARTS = st.binary() | st.text().map(str.encode) | JSON.map(json.dumps).map(str.encode)


@pytest.fixture
def good(app, ada):
    """Return a good token of each scope, by scope."""
    with app.app_context():
        pwd_reset = token_service.reset_token(User.objects.get())
        yield {ACCESS: ada["token"], REFRESH: ada["refresh_token"], PWD_RESET: pwd_reset}


def read(token):
    """Return the claims of a token, held to their types, or None when it is refused."""
    found = None
    for scope in SCOPES:
        try:
            found = token_service.read(token, scope)
        except TokenError:
            continue
        names = {"sub", "exp"} | ({"pwv"} if scope == PWD_RESET else {"sid", "gen", "auth_time"})
        assert {name: type(claim) for name, claim in found.items()} == {
            name: TYPES[name] for name in names
        }
    return found


def changed(good, other, left_out):
    return {name: value for name, value in (good | other).items() if name not in left_out}


def test_a_text_is_no_token(good):
    @given(st.text() | st.lists(PARTS.map(encoded), min_size=2, max_size=4).map(".".join))
    def try_out(text):
        assert read(text) is None

    try_out()


def test_a_token_of_which_a_bit_is_changed_is_refused(good):
    @given(st.sampled_from(SCOPES), st.integers(0, 2), st.integers(0, 999), st.integers(1, 255))
    def try_out(scope, part, place, bits):
        parts = [bytearray(base64.urlsafe_b64decode(p + "==")) for p in good[scope].split(".")]
        parts[part][place % len(parts[part])] ^= bits
        assert read(".".join(encoded(bytes(part)) for part in parts)) is None

    try_out()


def test_a_token_that_is_signed_in_another_way_is_refused(good):
    @given(
        st.sampled_from(SCOPES), HEADERS, CLAIMS, LEFT_OUT, st.sampled_from([KEY, OTHER_KEY, ""])
    )
    def try_out(scope, header, claims, left_out, key):
        ours, payload = decoded(good[scope])
        changed_header = changed(ours, header, left_out)
        found = read(signed(changed_header, changed(payload, claims, left_out), key))
        assert found is None or (key == KEY and changed_header["alg"] == "HS256")

    try_out()


def opened(answer):
    """Say whether a door opened; hold what it says to a bad token."""
    if answer.status_code == 200:
        return True
    page = answer.headers["Content-Type"].startswith("text/html")
    shut(answer, None if page else answer.json()["error"])
    return False


@pytest.mark.parametrize(("door", "scope"), KEYS)
def test_claims_that_we_would_not_sign_open_nothing_and_change_nothing(
    api, still_outbox, good, door, scope
):
    stored = User.objects.get().to_mongo()
    header, real = decoded(good[scope])

    @A_FEW
    @given(CLAIMS, LEFT_OUT)
    @example({"gen": {"$gt": -1}}, set())
    @example({"gen": {"$exists": True}}, set())
    @example({"gen": 2**63}, set())
    @example({"sid": "\0"}, set())
    @example({"sid": {}}, set())
    @example({"sid": f"{real.get('sid')}.rotated.g0"}, set())
    @example({"exp": "99999999999"}, set())
    @example({"auth_time": "yesterday"}, set())
    @example({"auth_time": float("nan")}, set())
    @example({"pwv": 2**63}, set())
    def try_out(claims, left_out):
        said = changed(real, claims, left_out)
        true = {name for name in said if said[name] == real.get(name)}
        if opened(knock(api, door, signed(header, said))):
            assert true >= real.keys() & {"sub", "sid", "gen", "pwv"}
            assert said["scope"] in DOORS[door][0]
        elif not (door == "refresh" and true >= {"sub", "sid"}):  # that is a replay
            assert User.objects.get().to_mongo() == stored
        User.objects.delete()
        User._get_collection().insert_one(dict(stored))

    try_out()
