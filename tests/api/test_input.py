"""Bad input: every kind of it is a clear 4xx, which names the field, and nothing is done."""

import json
import re

from database.models import Job, Movie, User
from tests.support.assertions import assert_error, case
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.endpoints import ENDPOINTS, path_for_admin

JSON = {"Content-Type": "application/json"}
WITH_BODY = [path for _, path, body, token in ENDPOINTS if body and not token]
# With these fields each request would change something, so that a test sees if it does.
EFFECTIVE_FIELDS = {
    ("POST", "/api/auth/signup"): {"email": EVE["email"]},
    ("PUT", "/api/auth/password"): {"password": NEW_PASSWORD},
    ("PUT", "/api/movies/<movie_id>"): {"name": "M"},
    ("POST", "/api/users"): {"email": EVE["email"]},
    ("PATCH", "/api/users/<user_id>"): {"name": "Ada"},
    ("DELETE", "/api/users/<user_id>"): {"current_password": ADA["password"]},
}
NOT_A_JSON_OBJECT = {
    "a word": b"hello",
    "cut off": b'{"email": "ada',
    "two objects": b"{}{}",
    "a comma too many": b'{"email": "ada@example.com",}',
    "a list": b"[]",
    "a string": b'"email"',
    "a number": b"5",
    "null": b"null",
    "invalid UTF-8": b'{"email": "\xff@example.com"}',
    "UTF-16": json.dumps(ADA).encode("utf-16"),
    "UTF-16 without its mark": json.dumps(ADA).encode("utf-16-le"),
    "60,000 lists, open": b"[" * 60_000,
    "30,000 lists": b"[" * 30_000 + b"]" * 30_000,
    "10,900 objects": b'{"":' * 10_900 + b"0" + b"}" * 10_900,
    "10,900 objects in a field": b'{"email":' + b'{"":' * 10_900 + b"0" + b"}" * 10_901,
    "NaN": b'{"email": NaN}',
    "Infinity": b'{"email": Infinity}',
    "minus Infinity": b'{"email": -Infinity}',
    "5,000 digits": b'{"email": ' + b"9" * 5000 + b"}",
    "a lone surrogate": rb'{"email": "\ud800"}',
    "a lone surrogate as a name": rb'{"\ud800": "ada@example.com"}',
}
NOT_STRINGS = [{"$ne": None}, {"$gt": ""}, [], [ADA["email"]], 0, 1.5, True, None]
NOT_EMAILS = [
    *("", "@", "ada", "ada@", "@example.com", "ada@home@example.com", "ada@localhost"),
    *("ada@example.com\nBcc: eve@example.com", "ada\r\nBcc: eve@example.com", "a\rda@example.com"),
    *("ada@example.com\n", "ada@example.com\r\n", "\nada@example.com", "ada@example.com\u2028"),
    *("ada@example.com,eve@example.com", "ada@example.com;eve@example.com", "a,da@example.com"),
    *("<ada@example.com>", "Ada <ada@example.com>", "ada(home)@example.com", "ada@[127.0.0.1]"),
    *("ada\0@example.com", "ada@example.com\0", "ada lovelace@example.com", "ada@example .com"),
    *('"ada lovelace"@example.com', '"ada"@example.com', "adä@example.com"),
    *("a" * 288 + "@example.com", "ada@" + "example." * 37 + "com"),
]
# zxcvbn refuses more than 72 characters.
SLOWEST_PASSWORD = ('"4@8({[<6936!1|17$5+7%2"*4' * 5)[:128]


def effective_request(method, path, body):
    """Return path and body of a request of the only user that would change something."""
    filled, owner_id = path_for_admin(path), str(User.objects.get().id)
    heat = {"name": "Heat", "name_casefold": "heat", "casts": ["Al"], "genres": ["Crime"]}
    movie = Movie.objects.first() or Movie(**heat, added_by=owner_id).save()
    filled = filled.replace("<movie_id>", str(movie.id))
    return filled, body | EFFECTIVE_FIELDS.get((method, path), {})


def stored():
    """Return everything that is stored."""
    return [document.to_mongo() for kind in (User, Job, Movie) for document in kind.objects]


def test_table_of_endpoints_equals_the_url_map(app):
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/")]
    rules = [rule for rule in rules if not rule.endpoint.startswith("pages.")]
    served = {(method, rule.rule) for rule in rules for method in rule.methods}
    listed = {(method, path) for method, path, *_ in ENDPOINTS}
    assert {route for route in served if route[0] not in ("HEAD", "OPTIONS")} == listed


class TestUnknownField:
    def test_unknown_field_is_named_and_nothing_is_done(self, api, ada):
        for method, path, body, token_name in ENDPOINTS:
            with case(method=method, path=path):
                path, body = effective_request(method, path, body)
                body, token, before = body | {"is_admin": True}, ada.get(token_name), stored()
                response = api.request(method, path, json=body, token=token)
                errors = assert_error(response, 400, "SchemaValidationError")
                assert errors == {"is_admin": ["Unknown field."]}
                assert stored() == before

    def test_unknown_parameter_is_named_and_nothing_is_done(self, api, ada):
        for method, path, body, token_name in ENDPOINTS:
            with case(method=method, path=path):
                path, body = effective_request(method, path, body)
                token, before = ada.get(token_name), stored()
                response = api.request(method, f"{path}?page=5", json=body or None, token=token)
                errors = assert_error(response, 400, "SchemaValidationError")
                assert errors == {"page": ["Unknown field."]}
                assert stored() == before

    def test_unknown_field_may_have_any_name(self, api):
        for name in ("", "$where", "email.x", "__proto__", "пароль", "\0", "a" * 9999):
            with case(name=name):
                response = api.post("/api/auth/login", json=ADA | {name: 1})
                assert assert_error(response, 400, "SchemaValidationError").keys() == {name}


class TestMissingField:
    required_fields = {
        "/api/auth/signup": {"email", "password"},
        "/api/auth/login": {"email", "password"},
        "/api/auth/forgot": {"email"},
        "/api/auth/reset": {"password"},
    }

    def test_every_endpoint_with_a_body_is_tested(self):
        assert self.required_fields.keys() == set(WITH_BODY)

    def test_missing_fields_are_named(self, api):
        for path, required in self.required_fields.items():
            for body in (None, {}):
                with case(path=path, body=body):
                    errors = assert_error(api.post(path, json=body), 400, "SchemaValidationError")
                    assert errors == dict.fromkeys(required, ["Missing data for required field."])


class TestBody:
    def test_body_that_is_no_json_object_is_a_bad_request(self, api):
        for kind, data in NOT_A_JSON_OBJECT.items():
            for path in WITH_BODY:
                with case(kind=kind, path=path):
                    response = api.post(path, data=data, headers=JSON)
                    assert_error(response, 400, "BadRequestError")

    def test_body_over_64_kib_is_too_large(self, api, ada):
        for method, path, _, token_name in ENDPOINTS:
            for size in (64 * 1024 + 1, 1024 * 1024):
                with case(method=method, path=path, size=size):
                    data, url, token = b"x" * size, path_for_admin(path), ada.get(token_name)
                    response = api.request(method, url, data=data, headers=JSON, token=token)
                    assert_error(response, 413, "RequestTooLargeError")

    def test_body_of_64_kib_is_read(self, api):
        data = json.dumps(ADA).encode().ljust(64 * 1024)
        response = api.post("/api/auth/login", data=data, headers=JSON)
        assert_error(response, 401, "UnauthorizedError")

    def test_other_content_type_is_unsupported(self, api):
        for content_type in (
            *(None, "", "text/plain", "text/json", "application/xml", "application/jsonp"),
            *("application/x-www-form-urlencoded", "multipart/form-data; boundary=x"),
        ):
            headers = {} if content_type is None else {"Content-Type": content_type}
            for path in WITH_BODY:
                with case(content_type=content_type, path=path):
                    response = api.post(path, data=json.dumps(ADA).encode(), headers=headers)
                    assert_error(response, 415, "UnsupportedMediaTypeError")

    def test_content_type_may_be_in_any_case_with_a_charset(self, api, ada):
        data = json.dumps(ADA).encode()
        for content_type in ("application/json; charset=utf-8", "Application/JSON"):
            headers = {"Content-Type": content_type}
            assert api.post("/api/auth/login", data=data, headers=headers).status_code == 200


class TestTypes:
    text_fields = {
        "/api/auth/signup": ["email", "password", "password_confirmation", "name"],
        "/api/auth/login": ["email", "password"],
        "/api/auth/forgot": ["email"],
        "/api/auth/reset": ["reset_token", "password", "password_confirmation"],
    }

    def test_value_that_is_no_string_is_refused_by_name(self, api, ada):
        before = stored()
        for _, path, body, _ in ENDPOINTS:
            body = body | EFFECTIVE_FIELDS.get(("POST", path), {})
            for field in self.text_fields.get(path, []):
                for value in NOT_STRINGS:
                    with case(path=path, field=field, value=value):
                        response = api.post(path, json=body | {field: value})
                        assert field in assert_error(response, 400, "SchemaValidationError")
        assert stored() == before


class TestEmail:
    def test_text_that_is_no_email_is_refused(self, api):
        for email in NOT_EMAILS:
            for response in (api.sign_up(email=email), api.log_in(email=email), api.forgot(email)):
                with case(email=email, url=response.url):
                    errors = assert_error(response, 400, "SchemaValidationError")
                    assert errors == {"email": ["Not a valid email address."]}
        assert stored() == []


class TestNewPassword:
    weak_passwords = {
        "7 characters": ("gk2#vT9", {}),
        "129 characters": ("x7!Kq" * 25 + "abcd", {}),
        "common": ("password1", {}),
        "variation": ("Password123!", {}),
        "repeat": ("a" * 73, {}),
        "local part": ("tzvrqelkm", {"email": "tzvrqelkm@example.com"}),
        "email": ("tzvrqelkm@example.com", {"email": "tzvrqelkm@example.com"}),
        "names": ("xilqornvabdute", {"name": "Xilqorn Vabdute"}),
        "name": ("Xilqorn Vabdute", {"name": "Xilqorn Vabdute"}),
    }

    def test_weak_password_is_refused_with_reasons(self, api):
        for kind, (password, owner) in self.weak_passwords.items():
            with case(kind=kind):
                response = api.sign_up(password=password, **owner)
                errors = assert_error(response, 400, "SchemaValidationError")
                assert errors.keys() == {"password"}
                assert all(re.fullmatch(r"[A-Z].+\.", reason) for reason in errors["password"])
        assert User.objects.count() == 0

    def test_words_of_other_users_are_accepted(self, api):
        owner = {"email": "tzvrqelkm@example.com", "name": "Xilqorn Vabdute"}
        assert api.sign_up(password="tzvrqelkm", **owner).status_code == 400
        for number, password in enumerate(["tzvrqelkm", "xilqornvabdute"]):
            response = api.sign_up(email=f"user{number}@example.com", password=password)
            assert response.status_code == 200

    def test_different_confirmation_is_refused(self, api):
        response = api.sign_up(password_confirmation="other")
        errors = assert_error(response, 400, "SchemaValidationError")
        assert errors == {"password_confirmation": ["Passwords don't match."]}
        assert User.objects.count() == 0

    def test_longest_password_that_is_slow_to_estimate_is_accepted(self, api):
        assert api.sign_up(password=SLOWEST_PASSWORD).status_code == 200


class TestName:
    def test_text_that_is_no_name_is_refused(self, api):
        for name in (
            *("", " \n ", "x" * 101, "Ada\nBcc: eve", "Ada\r\nLovelace", "Ada\u2028L", "\u200b"),
            *("A http://evil.ex", "Visit evil.com", "www.evil.ex", "https：／／evil"),
            "evil\u202emoc",
        ):
            with case(name=name):
                errors = assert_error(api.sign_up(name=name), 400, "SchemaValidationError")
                assert errors.keys() == {"name"}
        assert User.objects.count() == 0

    def test_names_of_persons_are_accepted(self, api):
        names = ["J.R.R. Tolkien", "Zoë O'Neil-Smith", "李小龍", "Dr. No", "x" * 100]
        for number, name in enumerate(names):
            response = api.sign_up(email=f"user{number}@example.com", name=name)
            assert response.status_code == 200, name
