"""Tokens: each opens only what asks for its scope, until it expires; every other is rejected."""

import json
import time

import pytest

from database.models import User
from services.token_service import MAX_TOKEN_LENGTH
from tests.support.assertions import assert_error, case, raw_get
from tests.support.forged_tokens import FORGED
from tests.support.token_endpoints import (
    ACCEPTED,
    EACH_ACCEPTED,
    NEW,
    NO_TOKEN,
    READING,
    REJECTED,
    SECONDS,
    SESSION_SCOPES,
    TOKEN_ENDPOINTS,
    assert_rejected,
    send,
    token_of_each_scope,
)
from tests.support.tokens import KEY, OTHER_KEY, decode_parts, sign


@pytest.fixture
def tokens(app, ada):
    """Return a valid token of each scope."""
    return token_of_each_scope(app, ada)


class TestScope:
    @EACH_ACCEPTED
    def test_token_of_the_scope_is_accepted(self, api, tokens, endpoint, scope):
        assert send(api, endpoint, tokens[scope]).status_code == 200

    @EACH_ACCEPTED
    def test_token_signed_by_another_library_is_accepted(self, api, tokens, endpoint, scope):
        assert send(api, endpoint, sign(*decode_parts(tokens[scope]))).status_code == 200

    def test_token_of_another_scope_is_rejected(self, api, tokens):
        for endpoint, scope in REJECTED:
            assert_rejected(send(api, endpoint, tokens[scope]))
            if scope in READING:
                assert send(api, READING[scope], tokens[scope]).status_code == 200
        for scope, reading in READING.items():
            assert send(api, reading, tokens[scope]).status_code == 200
        assert api.refresh(tokens["refresh"]).status_code == 200


def assert_refused(api, endpoint, token):
    """Send a token that is not valid; one in a field of the body is too long for that first."""
    response = send(api, endpoint, token)
    if endpoint == "login/mfa" and len(token) > MAX_TOKEN_LENGTH:
        assert_error(response, 400, "SchemaValidationError")
    else:
        assert_rejected(response)


class TestForgedToken:
    @EACH_ACCEPTED
    def test_forged_token_is_rejected(self, api, tokens, endpoint, scope):
        valid = tokens[scope]
        for name, forge in FORGED.items():
            with case(name=name):
                assert_refused(api, endpoint, forge(*decode_parts(valid)))
        assert send(api, endpoint, valid).status_code == 200


NUMBERS = (
    *(-1, -(10**400), 10**12, 2**63, 10**400, 10**4000, True),
    *(1e12, 1e308, -1e308, float("inf"), float("-inf"), float("nan")),
)


class TestNumberOfToken:
    """Our own key has signed it, as another program that has the key may: still it is no time."""

    @EACH_ACCEPTED
    def test_number_out_of_range_is_rejected(self, api, tokens, endpoint, scope):
        header, claims = decode_parts(tokens[scope])
        numbers = {"exp", "iat", "nbf", "gen", "pwv", "ev", "logins"}
        for name in numbers & {*claims, "nbf"}:
            for number in NUMBERS:
                with case(claim=name, number=repr(number)[:20]):
                    assert_refused(api, endpoint, sign(header, claims | {name: number}))
        assert send(api, endpoint, tokens[scope]).status_code == 200

    @EACH_ACCEPTED
    def test_number_that_python_can_not_read_is_rejected(self, api, tokens, endpoint, scope):
        header, claims = decode_parts(tokens[scope])
        for name in ("exp", "iat", "nbf"):
            for number in (b"1e400", b"-1e400", b"9" * 2500, b"1.5", b'"1e400"', b"[1]", b"null"):
                with case(claim=name, number=number[:20]):
                    payload = json.dumps(claims).encode()[:-1] + b',"%s":%s}' % (
                        name.encode(),
                        number,
                    )
                    assert_rejected(send(api, endpoint, sign(header, payload)))

    @EACH_ACCEPTED
    def test_time_is_accepted_up_to_its_maximum(self, api, tokens, endpoint, scope):
        header, claims = decode_parts(tokens[scope])
        for number in (int(claims["exp"]), 10**11):
            forged = sign(header, claims | {"exp": number, "iat": 0, "nbf": 0})
            reading, status = READING.get(scope, "verify"), 200 if scope in READING else 401
            assert send(api, reading, forged).status_code == status


class TestLengthOfToken:
    """4,096 characters, wherever a token is sent."""

    @EACH_ACCEPTED
    def test_longest_token_is_accepted(self, api, tokens, endpoint, scope):
        header, claims = decode_parts(tokens[scope])
        token = sign(header, claims)
        while len(token) < 4096:
            header["x"] = header.get("x", "") + "x"
            token = sign(header, claims)
        longest, too_long = token, sign(header | {"x": header["x"] + "xxx"}, claims)
        if len(longest) > 4096:
            longest = sign(header | {"x": header["x"][:-1]}, claims)
        assert len(longest) <= 4096 < len(too_long)
        assert_refused(api, endpoint, too_long)
        assert send(api, endpoint, longest).status_code == 200


class TestRevokedToken:
    def test_token_of_a_deleted_user_is_rejected(self, api, tokens):
        User.objects.delete()
        for endpoint, scope in ACCEPTED:
            error = "SessionEndedError" if scope in SESSION_SCOPES else "BadTokenError"
            assert_rejected(send(api, endpoint, tokens[scope]), error)

    def test_session_token_is_rejected_after_logout(self, api, tokens):
        send(api, "logout", tokens["refresh"])
        for endpoint, scope in ACCEPTED:
            if scope in SESSION_SCOPES:
                assert_rejected(send(api, endpoint, tokens[scope]), "SessionEndedError")

    @EACH_ACCEPTED
    def test_token_of_no_user_or_session_is_rejected(self, api, tokens, endpoint, scope):
        header, claims = decode_parts(tokens[scope])
        for unknown in ({"sub": "0" * 24}, {"sid": "0" * 16}):
            if unknown.keys() <= claims.keys():
                error = "SessionEndedError" if scope in SESSION_SCOPES else "BadTokenError"
                assert_rejected(send(api, endpoint, sign(header, claims | unknown)), error)


class TestExpiry:
    @EACH_ACCEPTED
    def test_token_is_valid_a_second_before(self, api, tokens, clock, endpoint, scope):
        clock.move_to(decode_parts(tokens[scope])[1]["iat"] + SECONDS[scope] - 1)
        assert send(api, endpoint, tokens[scope]).status_code == 200

    def test_token_is_expired_a_second_after(self, api, tokens, clock):
        for endpoint, scope in ACCEPTED:
            clock.move_to(decode_parts(tokens[scope])[1]["iat"] + SECONDS[scope] + 1)
            assert_rejected(send(api, endpoint, tokens[scope]), "ExpiredTokenError")


class TestLeeway:
    """The clock of the machine that signed may be ahead, by JWT_LEEWAY seconds."""

    @EACH_ACCEPTED
    @pytest.mark.parametrize("name", ["iat", "nbf"])
    def test_token_of_a_clock_ahead_is_accepted(self, api, tokens, clock, endpoint, scope, name):
        header, claims = decode_parts(tokens[scope])
        signed_at = int(time.time())
        for seconds, status in ((11, 401), (9, 200)):
            token = sign(header, claims | {name: signed_at + seconds})
            assert send(api, endpoint, token).status_code == status

    def test_pair_of_a_machine_ahead_is_accepted(self, api, ada, clock):
        clock.shift(1)
        tokens = api.log_in().json()
        clock.shift(-1)
        assert api.verify(tokens["token"]).status_code == 200
        assert api.refresh(tokens["refresh_token"]).status_code == 200

    def test_0_turns_it_off(self, make_app, http, clock):
        http.app = make_app(JWT_LEEWAY=0)
        http.sign_up()
        tokens = http.log_in().json()
        clock.shift(-2)
        assert_error(http.verify(tokens["token"]), 401, "BadTokenError")

    def test_expiry_has_no_leeway(self, api, ada, clock):
        clock.move_to(decode_parts(ada["token"])[1]["exp"])
        assert_error(api.verify(ada["token"]), 401, "ExpiredTokenError")


class TestAuthorizationHeader:
    @pytest.mark.parametrize(
        "name",
        [
            *("GET verify", "POST refresh", "DELETE logout", "POST reset", "POST invite"),
            *("POST email/confirm", "POST email/reject", "POST email/undo"),
        ],
    )
    def test_malformed_header_is_no_token(self, api, tokens, name):
        method, path = name.split()
        endpoint = path.rpartition("/")[2]
        body = NEW if endpoint in ("reset", "invite") else None
        valid = tokens[sorted(TOKEN_ENDPOINTS[endpoint].scopes)[0]]
        for header in (
            *("", "Bearer", "Bearer ", "Bearer a b", "Basic eDp5", "Token x", "Bearer, x"),
            *("{valid}", "Bearer{valid}", "Bearer={valid}", "Token {valid}", "JWT {valid}"),
            *("{valid} Bearer", "Bearer {valid} {valid}", "Bearer {valid}, Bearer {valid}"),
            "Basic eDp5, Bearer {valid}",
        ):
            headers = {"Authorization": header.format(valid=valid)}
            response = api.request(method, f"/api/auth/{path}", json=body, headers=headers)
            assert_error(response, 401, "MissingTokenError")
            assert response.headers["WWW-Authenticate"] == NO_TOKEN

    @pytest.mark.parametrize("name", ["GET verify", "POST refresh", "DELETE logout"])
    def test_missing_header_is_no_token(self, api, name):
        method, endpoint = name.split()
        response = api.request(method, f"/api/auth/{endpoint}")
        assert_error(response, 401, "MissingTokenError")
        assert response.headers["WWW-Authenticate"] == NO_TOKEN

    @pytest.mark.parametrize(
        ("path", "body", "field"),
        [
            ("reset", NEW, "reset_token"),
            ("invite", NEW, "invite_token"),
            ("email/confirm", None, "confirm_token"),
            ("email/reject", None, "confirm_token"),
            ("email/undo", None, "undo_token"),
        ],
    )
    def test_link_without_any_token_names_the_field(self, api, path, body, field):
        response = api.post(f"/api/auth/{path}", json=body)
        assert assert_error(response, 400, "SchemaValidationError").keys() == {field}

    def test_tokens_separated_by_a_comma_are_one_bad_token(self, api, tokens):
        assert_rejected(api.verify(f"{tokens['access']},{tokens['access']}"))

    def test_two_headers_are_no_token(self, api, tokens):
        header = ("Authorization", f"Bearer {tokens['access']}")
        response, body = raw_get(api.port, [("Host", "localhost"), header, header])
        assert (response.status, body["status"], body["error"]) == (401, 401, "MissingTokenError")
        assert response.headers["WWW-Authenticate"] == NO_TOKEN

    @pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
    def test_scheme_may_be_in_any_case(self, api, tokens, scheme):
        headers = {"Authorization": f"{scheme} {tokens['access']}"}
        assert api.get("/api/auth/verify", headers=headers).status_code == 200


class TestKeyRotation:
    def test_each_key_verifies_and_the_first_signs(self, make_app, http):
        keys = (KEY, f"{OTHER_KEY},{KEY}", OTHER_KEY)
        old, both, new = (make_app(JWT_SECRET_KEY=key) for key in keys)
        http.app = old
        http.sign_up()
        before = http.log_in().json()
        http.app = both
        assert http.verify(before["token"]).status_code == 200
        after = http.refresh(before["refresh_token"]).json()
        assert http.verify(after["token"]).status_code == 200
        http.app = new
        assert http.verify(after["token"]).status_code == 200
        assert_rejected(http.refresh(before["refresh_token"]))
        http.app = old
        assert_rejected(http.verify(after["token"]))

    def test_token_verified_before_is_rejected_without_its_key(self, api, make_app, tokens):
        assert api.verify(tokens["access"]).status_code == 200
        api.app = make_app(JWT_SECRET_KEY=OTHER_KEY)
        assert_rejected(api.verify(tokens["access"]))
        api.app = make_app(JWT_SECRET_KEY=f"{OTHER_KEY},{KEY}")
        assert api.verify(tokens["access"]).status_code == 200
