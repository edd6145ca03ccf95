"""`@jwt_required()` of Flask-JWT-Extended on a resource that a learner adds.

It gives the same response as `requires_user` to every request.
"""

import pytest
from flask import jsonify
from flask_jwt_extended import current_user, get_jwt_identity, jwt_required
from flask_restful import Resource
from marshmallow import Schema, fields

from database.models import User
from resources.routes import Api
from tests.support.assertions import raw_get
from tests.support.client import ADA, NEW_PASSWORD
from tests.support.forged_tokens import FORGED, without
from tests.support.private_keys import EC_KEY, ED_KEY, setting, sign_by
from tests.support.token_endpoints import BAD_TOKEN, token_of_each_scope
from tests.support.tokens import KEY, OTHER_KEY, decode_parts, sign
from web import decorators

EACH_TESTING = pytest.mark.parametrize("testing", [False, True], ids=["production", "TESTING"])
OURS, LIBRARY = "/ours", "/library"
HEADERS = [
    *("", "Bearer", "Bearer ", "bearer", "Bearer,", ",", "Basic x", "Basic eDp5", "Token x", "x"),
    *("Bearer a b", "Bearer a, , b", "Bearer a,,b", "Bearer , a", "Bearer a,", "Bearer good,bad"),
    *("Bearer {valid}", "bearer {valid}", "BEARER {valid}", "Bearer   {valid}  "),
    *("{valid}", "Bearer{valid}", "Bearer={valid}", "Bearer: {valid}", "JWT {valid}"),
    *("{valid} Bearer", "Bearer {valid} {valid}", "Bearer {valid} x", "Bearer Bearer {valid}"),
    *("Bearer {valid},", ",Bearer {valid}", "Bearer {valid},bad", "Bearer bad,{valid}"),
    *("Bearer {valid},{valid}", "Bearer {valid}, {valid}", "Bearer {valid}, Bearer {valid}"),
    *("Bearer {valid}, Basic z", "Basic z, Bearer {valid}", "Bearer\t{valid}", "Bearer é"),
    *('Bearer "{valid}"', "Bearer {valid};", "Bearer {valid}?", "Bearer ?"),
]
# Signed with our key. Another program that has it may sign these.
ODD_CLAIMS = {
    "as they are": lambda h, c: (h, c),
    "a claim more": lambda h, c: (h, c | {"more": [1]}),
    "issuer": lambda h, c: (h, c | {"iss": "another"}),
    "issuer no string": lambda h, c: (h, c | {"iss": 5}),
    "issuer missing": lambda h, c: (h, without(c, "iss")),
    "audience": lambda h, c: (h, c | {"aud": "movie-bag"}),
    "audience missing": lambda h, c: (h, without(c, "aud")),
    "audience among others": lambda h, c: (h, c | {"aud": [c["aud"], "a"]}),
    "audiences": lambda h, c: (h, c | {"aud": ["a", "b"]}),
    "audience no string": lambda h, c: (h, c | {"aud": 5}),
    "type missing": lambda h, c: (h, without(c, "type")),
    "type refresh": lambda h, c: (h, c | {"type": "refresh"}),
    "type unknown": lambda h, c: (h, c | {"type": ["access"]}),
    "fresh missing": lambda h, c: (h, without(c, "fresh")),
    "fresh": lambda h, c: (h, c | {"fresh": True}),
    "fresh no boolean": lambda h, c: (h, c | {"fresh": "yes"}),
    "csrf": lambda h, c: (h, c | {"csrf": 5}),
    "jti missing": lambda h, c: (h, without(c, "jti")),
    "jti no string": lambda h, c: (h, c | {"jti": 5}),
    "iat missing": lambda h, c: (h, without(c, "iat")),
    "iat no number": lambda h, c: (h, c | {"iat": "now"}),
    "iat in the future": lambda h, c: (h, c | {"iat": c["iat"] + 500}),
    "iat of a clock ahead": lambda h, c: (h, c | {"iat": c["iat"] + 8}),
    "nbf of a clock ahead": lambda h, c: (h, c | {"nbf": c["iat"] + 8}),
    "nbf": lambda h, c: (h, c | {"nbf": c["iat"] - 5}),
    "nbf in the future": lambda h, c: (h, c | {"nbf": c["iat"] + 500}),
    "nbf no number": lambda h, c: (h, c | {"nbf": "now"}),
    "exp a fraction": lambda h, c: (h, c | {"exp": c["exp"] + 0.5}),
    "exp a string": lambda h, c: (h, c | {"exp": str(c["exp"])}),
    "exp 0": lambda h, c: (h, c | {"exp": 0}),
    "exp negative": lambda h, c: (h, c | {"exp": -1}),
    "exp true": lambda h, c: (h, c | {"exp": True}),
    "exp huge": lambda h, c: (h, c | {"exp": 10**30}),
    "expired, no sid": lambda h, c: (h, without(c, "sid") | {"exp": 5}),
    "expired, another scope": lambda h, c: (h, c | {"exp": 5, "scope": "refresh"}),
    "expired, unknown scope": lambda h, c: (h, c | {"exp": 5, "scope": "all"}),
    "expired, no sub": lambda h, c: (h, without(c, "sub") | {"exp": 5}),
    "expired, in the future": lambda h, c: (h, c | {"exp": 5, "nbf": c["iat"] + 500}),
    "expired, of no user": lambda h, c: (h, c | {"exp": 5, "sub": "0" * 24}),
    "sid missing": lambda h, c: (h, without(c, "sid")),
    "sid unknown": lambda h, c: (h, c | {"sid": "0" * 16}),
    "sid of a field": lambda h, c: (h, c | {"sid": c["sid"] + ".rotated"}),
    "gen missing": lambda h, c: (h, without(c, "gen")),
    "gen of the future": lambda h, c: (h, c | {"gen": 1}),
    "gen an operator": lambda h, c: (h, c | {"gen": {"$gte": 0}}),
    "gen a fraction": lambda h, c: (h, c | {"gen": 0.5}),
    "gen a string": lambda h, c: (h, c | {"gen": "0"}),
    "gen false": lambda h, c: (h, c | {"gen": False}),
    "auth_time missing": lambda h, c: (h, without(c, "auth_time")),
    "auth_time a string": lambda h, c: (h, c | {"auth_time": "0"}),
    "sub in capitals": lambda h, c: (h, c | {"sub": c["sub"].upper()}),
    "typ missing": lambda h, c: (without(h, "typ"), c),
    "typ of before": lambda h, c: (h | {"typ": "JWT"}, c),
    "typ another": lambda h, c: (h | {"typ": "logout+jwt"}, c),
    "typ no string": lambda h, c: (h | {"typ": 5}, c),
    "another header": lambda h, c: (h | {"jku": "https://evil.example"}, c),
    "not encoded": lambda h, c: (h | {"b64": False}, c),
    "not encoded, critical": lambda h, c: (h | {"b64": False, "crit": ["b64"]}, c),
    "kid null": lambda h, c: (h | {"kid": None}, c),
    "kid empty": lambda h, c: (h | {"kid": ""}, c),
    "kid an object": lambda h, c: (h | {"kid": {}}, c),
}


class LibraryResource(Resource):
    """What a learner writes."""

    @jwt_required()
    def get(self):
        return {"id": str(current_user.id), "email": current_user.email}


class AccountSchema(Schema):
    """An account."""

    id = fields.String()
    email = fields.String()


class OurResource(Resource):
    """The same with the product's own decorators."""

    @decorators.requires_user
    @decorators.response(AccountSchema)
    def get(self, user, claims):
        """Return the account."""
        return user


@pytest.fixture
def serve(make_app, http):
    """Return a function that serves an application with both resources."""

    def serve(testing=False, **settings):
        http.app = make_app(**settings)
        http.app.testing = testing
        api = Api(http.app)
        api.add_resource(LibraryResource, LIBRARY)
        api.add_resource(OurResource, OURS)
        return http

    return serve


@pytest.fixture
def api(serve):
    return serve()


def get_both(api, token=None, **headers):
    """Send one request to both resources; return the response that both must give."""
    headers |= {"X-Request-ID": "same"}
    ours, library = (api.get(path, token=token, headers=headers) for path in (OURS, LIBRARY))
    assert comparable(library) == comparable(ours)
    return library


def comparable(response):
    """Return a response without the time."""
    headers = {name: value for name, value in response.headers.items() if name != "Date"}
    return response.status_code, response.content, headers


def status_and_error(response):
    return response.status_code, response.json().get("error")


ACCEPTED = (200, None)
MISSING, BAD, EXPIRED, SUPERSEDED = (
    (401, f"{name}TokenError") for name in ("Missing", "Bad", "Expired", "Superseded")
)
ENDED = (401, "SessionEndedError")


# What happens to a session, and what both resources say to its access token afterwards.
def reset(api, tokens):
    api.reset(token_of_each_scope(api.app, tokens)["pwd_reset"])


def reuse(api, tokens):
    for agent in ("one", "another"):
        api.refresh_as(agent, tokens["refresh_token"])


def change_password(api, tokens):
    body = {"current_password": ADA["password"], "password": NEW_PASSWORD}
    api.put("/api/auth/password", json=body, token=tokens["token"])


HISTORY = {
    "nothing": (lambda api, tokens: None, ACCEPTED),
    "logout": (lambda api, tokens: api.log_out(tokens["token"]), ENDED),
    "refresh": (lambda api, tokens: api.refresh(tokens["refresh_token"]), ACCEPTED),
    "reuse": (reuse, ENDED),
    "password": (change_password, SUPERSEDED),
    "every session revoked": (
        lambda api, tokens: api.delete("/api/auth/sessions", token=tokens["token"]),
        ENDED,
    ),
    "user deleted": (lambda api, tokens: User.objects.delete(), ENDED),
    "reset": (reset, ENDED),
}


class TestSameResponse:
    """Both resources give one response: status, body and headers."""

    @EACH_TESTING
    @pytest.mark.parametrize(("happen", "expected"), HISTORY.values(), ids=HISTORY)
    def test_access_token_after(self, serve, testing, happen, expected):
        api = serve(testing)
        api.sign_up()
        tokens = api.log_in().json()
        happen(api, tokens)
        assert status_and_error(get_both(api, tokens["token"])) == expected

    @EACH_TESTING
    def test_no_token(self, serve, testing):
        response = get_both(serve(testing))
        assert status_and_error(response) == MISSING
        assert response.headers["WWW-Authenticate"] == "Bearer"

    @EACH_TESTING
    @pytest.mark.parametrize("scope", ["refresh", "pwd_reset"])
    def test_token_of_another_scope(self, serve, testing, scope):
        api = serve(testing)
        api.sign_up()
        token = token_of_each_scope(api.app, api.log_in().json())[scope]
        response = get_both(api, token)
        assert status_and_error(response) == BAD
        assert response.headers["WWW-Authenticate"] == BAD_TOKEN

    @pytest.mark.parametrize(("seconds", "expected"), [(-1, ACCEPTED), (0, EXPIRED), (1, EXPIRED)])
    def test_access_token_around_its_expiry(self, api, ada, clock, seconds, expected):
        clock.move_to(decode_parts(ada["token"])[1]["exp"] + seconds)
        assert status_and_error(get_both(api, ada["token"])) == expected

    @pytest.mark.parametrize(("seconds", "expected"), [(9, ACCEPTED), (11, SUPERSEDED)])
    def test_access_token_after_a_refresh(self, api, ada, clock, seconds, expected):
        api.refresh(ada["refresh_token"])
        clock.shift(seconds)
        assert status_and_error(get_both(api, ada["token"])) == expected

    @pytest.mark.parametrize(("seconds", "expected"), [(9, ACCEPTED), (11, BAD)])
    def test_token_of_a_clock_ahead(self, api, ada, clock, seconds, expected):
        clock.shift(-seconds)
        assert status_and_error(get_both(api, ada["token"])) == expected

    @EACH_TESTING
    def test_forged_token(self, serve, testing):
        api = serve(testing)
        api.sign_up()
        parts = decode_parts(api.log_in().json()["token"])
        for name, forge in FORGED.items():
            assert status_and_error(get_both(api, forge(*parts))) == BAD, name

    @EACH_TESTING
    def test_odd_claims(self, serve, testing):
        api = serve(testing)
        api.sign_up()
        parts = decode_parts(api.log_in().json()["token"])
        for name, change in ODD_CLAIMS.items():
            response = get_both(api, sign(*change(*parts)))
            expected = (ACCEPTED, BAD, EXPIRED, SUPERSEDED, ENDED)
            assert status_and_error(response) in expected, name

    @EACH_TESTING
    def test_every_form_of_the_header(self, serve, testing):
        api = serve(testing)
        api.sign_up()
        token = api.log_in().json()["token"]
        seen = set()
        for form in HEADERS:
            header = form.format(valid=token).encode()
            seen.add(status_and_error(get_both(api, Authorization=header)))
        assert seen == {ACCEPTED, MISSING, BAD}

    def test_two_headers(self, api, ada):
        headers = [("Host", "localhost"), *2 * [("Authorization", f"Bearer {ada['token']}")]]
        bodies = [raw_get(api.port, headers, path)[1] for path in (OURS, LIBRARY)]
        assert bodies[0] == bodies[1]
        assert bodies[1]["error"] == "MissingTokenError"

    def test_key_rotation(self, serve):
        tokens = {}
        for key in (KEY, OTHER_KEY):
            serve(JWT_SECRET_KEY=key).sign_up()
            tokens[key] = serve(JWT_SECRET_KEY=key).log_in().json()["token"]
        for keys, accepted in (
            (f"{OTHER_KEY},{KEY}", (KEY, OTHER_KEY)),
            (f"{KEY},{OTHER_KEY}", (KEY, OTHER_KEY)),
            (OTHER_KEY, (OTHER_KEY,)),
        ):
            api = serve(JWT_SECRET_KEY=keys)
            for key, token in tokens.items():
                expected = ACCEPTED if key in accepted else BAD
                assert status_and_error(get_both(api, token)) == expected


class TestPrivateKeys:
    """The same responses where access tokens are those that other services verify."""

    @pytest.fixture(params=[EC_KEY, ED_KEY], ids=["ES256", "EdDSA"])
    def signed(self, serve, request):
        """Return a client, the key, and header and claims of a valid token."""
        api = serve(JWT_PRIVATE_KEYS=setting(request.param))
        api.sign_up()
        return api, request.param, *decode_parts(api.log_in().json()["token"])

    def test_odd_claims(self, signed):
        api, key, *parts = signed
        seen = set()
        for change in ODD_CLAIMS.values():
            seen.add(status_and_error(get_both(api, sign_by(key, *change(*parts)))))
        assert seen == {ACCEPTED, BAD, EXPIRED, SUPERSEDED, ENDED}

    def test_forged_token(self, signed):
        api, key, *parts = signed
        for name, forge in FORGED.items():
            assert status_and_error(get_both(api, forge(*parts))) == BAD, name
        assert status_and_error(get_both(api, sign_by(key, *parts))) == ACCEPTED

    def test_token_of_before_is_expired(self, serve, ada):
        api = serve(JWT_PRIVATE_KEYS=setting(EC_KEY))
        assert status_and_error(get_both(api, ada["token"])) == EXPIRED
        pair = api.refresh(ada["refresh_token"]).json()
        assert status_and_error(get_both(api, pair["token"])) == ACCEPTED
        assert status_and_error(get_both(api, pair["refresh_token"])) == BAD


class TestOptions:
    """The options of `jwt_required`."""

    @pytest.fixture
    def add_view(self, app, http):
        """Return a function that serves a plain view of Flask with these options."""

        def add(**options):
            @jwt_required(**options)
            def view():
                email = current_user.email if current_user else None
                return jsonify(user=email, id=get_jwt_identity())

            app.add_url_rule("/view", view_func=view)
            http.app = app
            return http

        return add

    @EACH_TESTING
    @pytest.mark.parametrize("options", [{"refresh": True}, {"fresh": True}], ids=str)
    def test_refresh_and_fresh_always_refuse(self, add_view, app, testing, options):
        app.testing = testing
        api = add_view(**options)
        api.sign_up()
        valid = token_of_each_scope(app, api.log_in().json())
        header, claims = decode_parts(valid["access"])
        forged = [
            sign(header, claims | {"fresh": fresh, "type": kind})
            for fresh in (True, False)
            for kind in ("access", "refresh")
        ]
        for token in (*valid.values(), *forged):
            assert status_and_error(api.get("/view", token=token)) == BAD

    def test_optional_accepts_no_token_and_no_invalid_one(self, add_view, app):
        api = add_view(optional=True)
        assert api.get("/view").json() == {"user": None, "id": None}
        api.sign_up()
        tokens = token_of_each_scope(app, api.log_in().json())
        valid = tokens.pop("access")
        assert api.get("/view", token=valid).json()["user"] == "ada@example.com"
        for token in (*tokens.values(), "garbled"):
            assert status_and_error(api.get("/view", token=token)) == BAD

    def test_access_token_is_the_only_one_whatever_its_type(self, add_view, app):
        api = add_view(verify_type=False)
        api.sign_up()
        tokens = token_of_each_scope(app, api.log_in().json())
        for scope, token in tokens.items():
            status = 200 if scope == "access" else 401
            assert api.get("/view", token=token).status_code == status

    def test_current_user_is_the_user(self, add_view):
        api = add_view()
        user_id = api.sign_up().json()["id"]
        token = api.log_in().json()["token"]
        assert api.get("/view", token=token).json() == {"user": "ada@example.com", "id": user_id}


class TestOpenApi:
    def test_document_has_only_views_with_our_decorators(self, api):
        paths = api.get("/api/openapi.json").json()["paths"]
        assert paths[OURS].keys() == {"get"}
        assert LIBRARY not in paths
