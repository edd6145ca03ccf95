"""A token opens what it is for, while it lives; every other token is refused."""

import base64
import hmac
import json

import pytest
from flask_jwt_extended import jwt_required

from database.models import User
from services import token_service
from tests.conftest import NEW_PASSWORD
from tests.test_bad_input import raw_get, refused

KEY = "a key for tests of more than 32 bytes"
OTHER_KEY = "another key that is as long as the first"
NEW = {"password": NEW_PASSWORD}
NO_TOKEN, BAD_TOKEN = "Bearer", 'Bearer error="invalid_token"'

# Every route that asks for a token: the scopes it opens to, and how to knock.
DOORS = {
    "verify": ({"access"}, lambda api, token: api.whoami(token)),
    "refresh": ({"refresh"}, lambda api, token: api.refresh(token)),
    "logout": (
        {"access", "refresh"},
        lambda api, token: api.delete("/api/auth/logout", token=token),
    ),
    "sessions": ({"access"}, lambda api, token: api.get("/api/auth/sessions", token=token)),
    "me": ({"access"}, lambda api, token: api.get("/api/users/me", token=token)),
    "reset": ({"pwd_reset"}, lambda api, token: api.reset(token)),
    "reset by bearer": (
        {"pwd_reset"},
        lambda api, token: api.post("/api/auth/reset", json=NEW, token=token),
    ),
    "page": ({"pwd_reset"}, lambda api, token: api.get(f"/reset/{token}")),
}
KEYS = [(door, scope) for door, (scopes, _) in DOORS.items() for scope in sorted(scopes)]
FOREIGN = [
    (door, scope)
    for door, (scopes, _) in DOORS.items()
    for scope in ("access", "refresh", "pwd_reset")
    if scope not in scopes
]


def encoded(part):
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(token):
    """Return header and claims."""
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]


def signed(header, claims, key=KEY, digest="sha256"):
    """Sign by hand what no library would."""
    text = f"{encoded(header)}.{encoded(claims)}"
    return f"{text}.{encoded(hmac.digest(key.encode(), text.encode(), digest))}"


def with_signature_of(good, header, claims):
    return f"{encoded(header)}.{encoded(claims)}.{good.split('.')[2]}"


def without(claims, name):
    return {key: value for key, value in claims.items() if key != name}


FORGED = {
    "no algorithm, no signature": lambda h, c: f"{encoded(h | {'alg': 'none'})}.{encoded(c)}.",
    "no algorithm in odd case": lambda h, c: f"{encoded(h | {'alg': 'nOnE'})}.{encoded(c)}.",
    "no algorithm but a signature": lambda h, c: signed(h | {"alg": "none"}, c),
    "algorithm missing": lambda h, c: signed(without(h, "alg"), c),
    "algorithm a list": lambda h, c: signed(h | {"alg": ["HS256"]}, c),
    "HS512": lambda h, c: signed(h | {"alg": "HS512"}, c, digest="sha512"),
    "HS384": lambda h, c: signed(h | {"alg": "HS384"}, c, digest="sha384"),
    "RS256 with an HMAC": lambda h, c: signed(h | {"alg": "RS256"}, c),
    "another key": lambda h, c: signed(h, c, OTHER_KEY),
    "an empty key": lambda h, c: signed(h, c, ""),
    "unknown kid": lambda h, c: signed(h | {"kid": "00000000"}, c),
    "no kid": lambda h, c: signed(without(h, "kid"), c),
    "kid no string": lambda h, c: signed(h | {"kid": [h["kid"]]}, c),
    "signature cut": lambda h, c: signed(h, c)[:-4],
    "signature missing": lambda h, c: signed(h, c).rpartition(".")[0] + ".",
    "payload altered": lambda h, c: with_signature_of(signed(h, c), h, c | {"exp": c["exp"] + 9}),
    "header altered": lambda h, c: with_signature_of(signed(h, c), h | {"cty": "JWT"}, c),
    "garbage": lambda h, c: "garbage",
    "three dots": lambda h, c: "...",
    "two parts": lambda h, c: signed(h, c).rpartition(".")[0],
    "four parts": lambda h, c: signed(h, c) + ".x",
    "non-ASCII": lambda h, c: "é.é.é",
    "10,000 characters": lambda h, c: "a" * 10_000,
    "10,000 dots": lambda h, c: "a." * 5_000,
    "payload nested deep": lambda h, c: signed(h, b'{"":' * 5_000 + b"0" + b"}" * 5_000),
    "payload nested deep, unsigned": lambda h, c: f"{encoded(h)}.{encoded(b'[' * 30_000)}.x",
    "header nested deep": lambda h, c: signed(b"[" * 30_000, c),
    "payload of 5,000 digits": lambda h, c: signed(h, b'{"exp":' + b"9" * 5_000 + b"}"),
    "payload a list": lambda h, c: signed(h, [c]),
    "payload null": lambda h, c: signed(h, None),
    "payload no JSON": lambda h, c: signed(h, b"{"),
    "payload invalid UTF-8": lambda h, c: signed(h, b"\xff"),
    "header a list": lambda h, c: signed([h], c),
    "sub missing": lambda h, c: signed(h, without(c, "sub")),
    "sub a number": lambda h, c: signed(h, c | {"sub": 5}),
    "sub an operator": lambda h, c: signed(h, c | {"sub": {"$ne": None}}),
    "sub no id": lambda h, c: signed(h, c | {"sub": "ada"}),
    "sub of nobody": lambda h, c: signed(h, c | {"sub": "0" * 24}),
    "no scope": lambda h, c: signed(h, without(c, "scope")),
    "every scope": lambda h, c: signed(h, c | {"scope": ["access", "refresh", "pwd_reset"]}),
    "exp no number": lambda h, c: signed(h, c | {"exp": "never"}),
    "no exp": lambda h, c: signed(h, without(c, "exp")),
    "none of our own claims": lambda h, c: signed(h, {k: c[k] for k in ("sub", "exp", "scope")}),
}


def knock(api, door, token):
    return DOORS[door][1](api, token)


def shut(answer, error="BadTokenError"):
    """Hold what a door says to a bad token; the page says it in HTML."""
    if answer.request.path_url.startswith("/reset/"):
        assert answer.status_code == 401
        assert answer.headers["Content-Type"].startswith("text/html")
    else:
        refused(answer, 401, error)
    assert answer.headers["WWW-Authenticate"] == BAD_TOKEN


@pytest.fixture
def tokens(app, ada):
    """Return a good token of each scope."""
    with app.app_context():
        pwd_reset = token_service.reset_token(User.objects.get())
    return {"access": ada["token"], "refresh": ada["refresh_token"], "pwd_reset": pwd_reset}


@pytest.mark.parametrize(("door", "scope"), KEYS)
def test_a_token_opens_what_asks_for_its_scope(api, tokens, door, scope):
    assert knock(api, door, tokens[scope]).status_code == 200


@pytest.mark.parametrize(("door", "scope"), KEYS)
def test_a_token_signed_by_hand_as_we_sign_opens(api, tokens, door, scope):
    assert knock(api, door, signed(*decoded(tokens[scope]))).status_code == 200


@pytest.mark.parametrize(("door", "scope"), FOREIGN)
def test_a_token_of_a_foreign_scope_is_refused_and_harms_nothing(api, tokens, door, scope):
    shut(knock(api, door, tokens[scope]))
    for own, right in (("verify", "access"), ("refresh", "refresh"), ("page", "pwd_reset")):
        assert knock(api, own, tokens[right]).status_code == 200


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_token_is_refused_everywhere(api, tokens, forge):
    for door, scope in KEYS:
        shut(knock(api, door, forge(*decoded(tokens[scope]))))
    assert api.whoami(tokens["access"]).status_code == 200


@pytest.mark.parametrize(("door", "scope"), KEYS)
def test_a_token_of_a_deleted_user_is_refused(api, tokens, door, scope):
    User.objects.delete()
    shut(knock(api, door, tokens[scope]))


@pytest.mark.parametrize(("door", "scope"), [key for key in KEYS if key[1] != "pwd_reset"])
def test_a_token_of_a_session_that_was_logged_out_is_refused(api, tokens, door, scope):
    knock(api, "logout", tokens["refresh"])
    shut(knock(api, door, tokens[scope]))


@pytest.mark.parametrize(("door", "scope"), KEYS)
def test_a_token_lives_until_a_second_before_its_time(api, tokens, clock, door, scope):
    seconds = {"access": 900, "refresh": 2592000, "pwd_reset": 600}[scope]
    clock.move_to(decoded(tokens[scope])[1]["iat"] + seconds - 1)
    assert knock(api, door, tokens[scope]).status_code == 200


@pytest.mark.parametrize(("door", "scope"), KEYS)
def test_a_token_is_dead_a_second_after_its_time(api, tokens, clock, door, scope):
    seconds = {"access": 900, "refresh": 2592000, "pwd_reset": 600}[scope]
    clock.move_to(decoded(tokens[scope])[1]["iat"] + seconds + 1)
    shut(knock(api, door, tokens[scope]), "ExpiredTokenError")


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "Bearer", "Bearer ", "Bearer a b", "Basic eDp5", "Token x", "Bearer, x"),
        *("{good}", "Bearer{good}", "Bearer={good}", "Token {good}", "JWT {good}", "{good} Bearer"),
        *("Bearer {good} {good}", "Bearer {good}, Bearer {good}", "Basic eDp5, Bearer {good}"),
    ],
)
@pytest.mark.parametrize("door", ["GET verify", "POST refresh", "DELETE logout", "POST reset"])
def test_an_authorization_header_of_a_wrong_form_is_no_token(api, tokens, door, header):
    method, name = door.split()
    body = NEW if name == "reset" else None
    good = tokens[sorted(DOORS[name][0])[0]]
    headers = {} if header is None else {"Authorization": header.format(good=good)}
    answer = api.request(method, f"/api/auth/{name}", json=body, headers=headers)
    if name == "reset" and header is None:
        assert refused(answer, 400, "SchemaValidationError").keys() == {"reset_token"}
    else:
        refused(answer, 401, "MissingTokenError")
        assert answer.headers["WWW-Authenticate"] == NO_TOKEN


def test_a_comma_list_of_tokens_is_one_bad_token(api, tokens):
    shut(api.whoami(f"{tokens['access']},{tokens['access']}"))


def test_two_authorization_headers_are_no_token(api, tokens):
    header = ("Authorization", f"Bearer {tokens['access']}")
    answer, body = raw_get(api, [("Host", "localhost"), header, header])
    assert (answer.status, body["status"], body["error"]) == (401, 401, "MissingTokenError")
    assert answer.headers["WWW-Authenticate"] == NO_TOKEN


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_the_scheme_may_be_in_any_case(api, tokens, scheme):
    headers = {"Authorization": f"{scheme} {tokens['access']}"}
    assert api.get("/api/auth/verify", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "options",
    [{}, {"optional": True}, {"refresh": True}, {"verify_type": False}, {"fresh": True}],
    ids=str,
)
@pytest.mark.parametrize("scope", ["access", "refresh", "pwd_reset"])
def test_the_librarys_own_jwt_required_opens_to_no_token(app, api, scope, options, request):
    opened = []
    app.add_url_rule("/plain", view_func=jwt_required(**options)(lambda: opened.append(1) or "in"))
    token = request.getfixturevalue("tokens")[scope]
    assert 400 <= api.get("/plain", token=token).status_code < 500
    assert opened == []


def test_of_several_keys_each_verifies_and_the_first_signs(make_app, http):
    keys = (KEY, f"{OTHER_KEY},{KEY}", OTHER_KEY)
    old, both, new = (make_app(JWT_SECRET_KEY=key) for key in keys)
    http.app = old
    http.sign_up()
    before = http.log_in().json()
    http.app = both
    assert http.whoami(before["token"]).status_code == 200
    after = http.refresh(before["refresh_token"]).json()
    assert http.whoami(after["token"]).status_code == 200
    http.app = new
    assert http.whoami(after["token"]).status_code == 200
    shut(http.refresh(before["refresh_token"]))
    http.app = old
    shut(http.whoami(after["token"]))


def test_a_token_that_was_good_is_refused_by_who_does_not_have_its_key(api, make_app, tokens):
    assert api.whoami(tokens["access"]).status_code == 200
    api.app = make_app(JWT_SECRET_KEY=OTHER_KEY)
    shut(api.whoami(tokens["access"]))
    api.app = make_app(JWT_SECRET_KEY=f"{OTHER_KEY},{KEY}")
    assert api.whoami(tokens["access"]).status_code == 200
