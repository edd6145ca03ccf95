"""Bad input: every kind of it is a clear 4xx, which names the field, and nothing is done."""

import json
import re
import unicodedata

import pyotp
import pytest
from markupsafe import escape
from marshmallow.fields import String

from database.documents import DOCUMENTS
from database.models import Movie, User
from resources.routes import API_ROUTES
from schemas.fields import Flag
from services import factor_service, passkey_service
from services.token_service import CHANGE, INVITE, PWD_RESET, UNDO
from tests.support.assertions import assert_error, case
from tests.support.authenticator import assertion, new_passkey, registration
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.endpoints import (
    ENDPOINTS,
    TOTP_SECRET,
    path_for_admin,
    path_of_passkey,
    store_totp,
)
from tests.support.snapshot import snapshot
from tests.support.tokens import link_token, reset_token, store_changes

JSON = {"Content-Type": "application/json"}


def fields_of(method, path):
    """Return the fields of the body that an endpoint accepts."""
    return getattr(API_ROUTES[path], method.lower()).operation.body().fields


WITH_BODY = [path for method, path, _, token in ENDPOINTS if fields_of(method, path) and not token]
# The field and the scope of the token with which a request would change something.
MAILED_TOKENS = {
    "/api/auth/reset": ("reset_token", PWD_RESET),
    "/api/auth/invite": ("invite_token", INVITE),
    "/api/auth/email/confirm": ("confirm_token", CHANGE),
    "/api/auth/email/reject": ("confirm_token", CHANGE),
    "/api/auth/email/undo": ("undo_token", UNDO),
}
# For these the user has a second factor, or is adding one.
IN_FORCE = {
    ("POST", "/api/auth/login/mfa"),
    ("POST", "/api/auth/mfa/recovery-codes"),
    ("DELETE", "/api/auth/mfa/totp"),
}
BEING_ADDED = {("POST", "/api/auth/mfa/totp/confirm")}
# With these fields each request would change something, so that a test sees if it does.
EFFECTIVE_FIELDS = {
    ("POST", "/api/auth/signup"): {"email": EVE["email"]},
    ("PUT", "/api/auth/password"): {"password": NEW_PASSWORD},
    ("PUT", "/api/auth/email"): {"email": EVE["email"], "current_password": ADA["password"]},
    ("POST", "/api/auth/reauthenticate"): {"current_password": ADA["password"]},
    ("PATCH", "/api/auth/passkeys/<passkey_id>"): {"name": "Her phone"},
    ("POST", "/api/movies"): {"name": "M"},
    ("PUT", "/api/movies/<movie_id>"): {"name": "M"},
    ("PATCH", "/api/movies/<movie_id>"): {"name": "M"},
    ("POST", "/api/users"): {"email": EVE["email"]},
    ("PATCH", "/api/users/me"): {"name": "Ada"},
    ("PATCH", "/api/users/<user_id>"): {"name": "Ada"},
    ("DELETE", "/api/users/<user_id>"): {"current_password": ADA["password"]},
}
# The only user is the last admin, who can't be deleted.
WITHOUT_EFFECT = {("DELETE", "/api/users/me"), ("DELETE", "/api/users/<user_id>")}
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


def effective_request(app, method, path, body):
    """Return path and body of a request of the only user that would change something."""
    filled, user = path_of_passkey(path_for_admin(path)), store_changes(User.objects.get())
    owner_id = str(user.id)
    if path in MAILED_TOKENS:
        field, scope = MAILED_TOKENS[path]
        body = body | {field: link_token(app, user, scope)}
    body = body | EFFECTIVE_FIELDS.get((method, path), {}) | prepare_factor(app, method, path)
    heat = {"name": "Heat", "name_casefold": "heat", "casts": ["Al"], "genres": ["Crime"]}
    movie = Movie.objects.first() or Movie(**heat, added_by=owner_id).save()
    filled = filled.replace("<movie_id>", str(movie.id))
    return filled, body


def prepare_factor(app, method, path):
    """Store the second factor and the challenge that a request needs, and return its fields."""
    User.objects.update(set__factors={})
    if (method, path) in IN_FORCE | BEING_ADDED:
        store_totp(is_in_force=(method, path) in IN_FORCE)
    user, code = User.objects.get(), pyotp.TOTP(TOTP_SECRET).now()
    with app.app_context():
        if path == "/api/auth/login/mfa":
            mfa_token = factor_service.code_required(user).members["mfa_token"]
            return {"mfa_token": mfa_token, "code": code}
        if path == "/api/auth/mfa/totp/confirm":
            return {"code": code}
        if path == "/api/auth/login/passkey":
            options = passkey_service.login_options()
            return {"credential": assertion(new_passkey(user.id.binary), options)}
        if (method, path) == ("POST", "/api/auth/passkeys"):
            options = passkey_service.registration_options(user)
            return {"credential": registration(new_passkey(user.id.binary), options)}
    return {}


def stored():
    """Return everything that is stored."""
    return [document.to_mongo() for kind in DOCUMENTS for document in kind.objects]


def test_table_of_endpoints_equals_the_url_map(app):
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/")]
    rules = [rule for rule in rules if not rule.endpoint.startswith("pages.")]
    served = {(method, rule.rule) for rule in rules for method in rule.methods}
    listed = {(method, path) for method, path, *_ in ENDPOINTS}
    with_form = {("POST", "/api/auth/introspect")}
    assert {route for route in served if route[0] not in ("HEAD", "OPTIONS")} == listed | with_form


def test_effective_request_changes_something(api, ada):
    restore = snapshot()
    for method, path, body, token_name in ENDPOINTS:
        if method != "GET" and (method, path) not in WITHOUT_EFFECT:
            with case(method=method, path=path):
                restore()
                path, body = effective_request(api.app, method, path, body)
                before = stored()
                api.request(method, path, json=body or None, token=ada.get(token_name))
                assert stored() != before


class TestUnknownField:
    def test_unknown_field_is_named_and_nothing_is_done(self, api, ada):
        for method, path, body, token_name in ENDPOINTS:
            with case(method=method, path=path):
                path, body = effective_request(api.app, method, path, body)
                body, token, before = body | {"is_admin": True}, ada.get(token_name), stored()
                response = api.request(method, path, json=body, token=token)
                errors = assert_error(response, 400, "SchemaValidationError")
                assert errors == {"is_admin": ["Unknown field."]}
                assert stored() == before

    def test_unknown_parameter_is_named_and_nothing_is_done(self, api, ada):
        for method, path, body, token_name in ENDPOINTS:
            with case(method=method, path=path):
                path, body = effective_request(api.app, method, path, body)
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
        "/api/auth/reset": {"reset_token", "password"},
        "/api/auth/invite": {"invite_token", "password"},
        "/api/auth/email/confirm": {"confirm_token"},
        "/api/auth/email/reject": {"confirm_token"},
        "/api/auth/email/resend": {"email"},
        "/api/auth/email/undo": {"undo_token"},
        "/api/auth/login/mfa": {"mfa_token"},
        "/api/auth/login/passkey": {"credential"},
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
        "/api/auth/signup": ["email", "password", "password_confirmation", "name", "locale"],
        "/api/auth/login": ["email", "password"],
        "/api/auth/forgot": ["email"],
        "/api/auth/reset": ["reset_token", "password", "password_confirmation"],
        "/api/auth/invite": ["invite_token", "password", "password_confirmation"],
        "/api/auth/email/confirm": ["confirm_token"],
        "/api/auth/email/reject": ["confirm_token"],
        "/api/auth/email/resend": ["email"],
        "/api/auth/email/undo": ["undo_token"],
        "/api/auth/login/mfa": ["mfa_token", "code", "recovery_code"],
        "/api/auth/login/passkey": ["credential"],
    }

    def test_every_text_field_is_tested(self):
        assert {path: set(names) for path, names in self.text_fields.items()} == {
            path: {name for name, it in fields_of("POST", path).items() if not isinstance(it, Flag)}
            for path in WITH_BODY
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
            resend = api.post("/api/auth/email/resend", json={"email": email})
            for response in (
                *(api.sign_up(email=email), api.log_in(email=email), api.forgot(email), resend),
            ):
                with case(email=email, url=response.url):
                    errors = assert_error(response, 400, "SchemaValidationError")
                    assert errors == {"email": ["Not a valid email address."]}
        assert stored() == []

    def test_change_to_what_is_no_email_is_refused(self, api, ada):
        before = stored()
        for email in NOT_EMAILS:
            with case(email=email):
                body = {"email": email, "current_password": ADA["password"]}
                response = api.put("/api/auth/email", json=body, token=ada["token"])
                errors = assert_error(response, 400, "SchemaValidationError")
                assert errors == {"email": ["Not a valid email address."]}
        assert stored() == before


class TestNewPassword:
    weak_passwords = {
        "no character": ("", {}),
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
    no_names = (
        *("", " \n ", "x" * 101, "Ada\nBcc: eve", "Ada\r\nLovelace", "Ada\u2028L"),
        *("A http://evil.ex", "Visit evil.com", "www.evil.ex", "https：／／evil"),
        *("evil。com", "evil．com", "evil｡com", "evil․com", "a℀b", "evil.c\u200dom"),
        *("evil.भारत", "evil.ලංකා", "evil.c\u0324om"),
        *("-", "...", "!?", "❤", "\u2800", "\u0301", "_"),
        *("evil\u202emoc", "\ue000", "Ada\u0007"),
    )
    # One or more of each range of Default_Ignorable_Code_Point.
    ignorable = (
        "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180e\u180f\u200b\u200e\u202a\u2060"
        "\u2064\u2065\u206f\u3164\ufe00\ufe0f\ufeff\uffa0\ufff0\ufff8\U0001bca0\U0001d173\U000e0000"
        "\U000e0041\U000e0100\U000e0fff"
    )
    joiners = "\u200c\u200d"

    def assert_refused(self, api, name):
        with case(name=ascii(name)):
            errors = assert_error(api.sign_up(name=name), 400, "SchemaValidationError")
            assert errors.keys() == {"name"}

    def test_text_that_is_no_name_is_refused(self, api):
        for name in self.no_names:
            self.assert_refused(api, name)
        assert User.objects.count() == 0

    def test_invisible_characters_are_refused(self, api):
        for character in self.ignorable:
            for name in (character, character * 3, f"A{character}da", f"Ada{character}"):
                self.assert_refused(api, name)

    def test_joiners_are_refused_except_between_letters(self, api):
        for joiner in self.joiners:
            for name in ("{}", "{}Ada", "Ada{}", "Ada {}L", "A{}{}da", "1{}2", "A.{}da", "A{}-"):
                self.assert_refused(api, name.replace("{}", joiner))

    def test_names_of_persons_are_accepted(self, api):
        names = ["J.R.R. Tolkien", "Zoë O'Neil-Smith", "李小龍", "Dr. No", "x" * 100, "李。", "7"]
        names += ["علی\u200cرضا", "र\u094d\u200dय", "ක\u0dca\u200dෂ", "র\u200d\u09cdয", "ﬁona"]
        for number, name in enumerate(names):
            response = api.sign_up(email=f"user{number}@example.com", name=name)
            assert response.status_code == 200, ascii(name)
            assert User.objects.get(email=f"user{number}@example.com").name == normal(name)


def normal(text):
    return unicodedata.normalize("NFKC", text)


class TestLength:
    """The length that was sent counts, whatever is left of it in the stored form."""

    @pytest.fixture
    def fields(self):
        """Return each text field of each endpoint with its limit: a list has that of a line."""
        found = []
        for method, path, body, token in ENDPOINTS:
            for name, field in fields_of(method, path).items():
                line = getattr(field, "inner", field)
                is_other = name in ("_id", "added_by", "scopes") or name.endswith("_token")
                if isinstance(line, String) and not is_other:
                    limit = line.metadata["maxLength"]
                    found.append((method, path, body, token, name, limit, line is not field))
        return found

    def test_text_over_its_limit_is_refused_by_name(self, api, ada, fields):
        for method, path, body, token, name, limit, is_list in fields:
            with case(method=method, path=path, field=name):
                url, body = effective_request(api.app, method, path, body)
                before = stored()
                text = "a" + " " * limit
                request = {"json": body | {name: [text] if is_list else text}}
                response = api.request(method, url, **request, token=ada.get(token))
                errors = assert_error(response, 400, "SchemaValidationError")
                assert errors == {name: [f"Must be at most {limit:,} characters long."]}
                assert stored() == before

    def test_limits_are_those_of_the_contract(self, fields):
        limits = {(name, limit) for *_, name, limit, _ in fields}
        movies = {("name", 400), ("name", 200), ("casts", 200), ("genres", 200), ("id", 100)}
        passwords = ("password", "password_confirmation", "current_password")
        others = {
            ("email", 320),
            ("role", 100),
            ("locale", 35),
            ("code", 20),
            ("recovery_code", 100),
            *((name, 1024) for name in passwords),
        }
        assert limits == movies | others

    def test_longest_texts_are_accepted(self, api, ada):
        blank = " " * 300
        email = f"{blank}eve@example.com"
        assert api.sign_up(email=email.rjust(320), name="Eve".ljust(400)).status_code == 200
        heat = {"name": "Heat".ljust(400), "casts": ["Al".ljust(200)], "genres": ["C".ljust(200)]}
        assert api.post("/api/movies", json=heat, token=ada["token"]).status_code == 200
        found = api.get("/api/movies", params={"q": "heat".ljust(400), "genre": "C".ljust(200)})
        assert [movie["name"] for movie in found.json()] == ["Heat"]
        assert api.log_in(password="x" * 1024).status_code == 401

    def test_query_parameter_over_its_limit_is_refused(self, api, ada):
        path_for_admin("")
        for path, name, limit in (
            ("/api/movies", "q", 400),
            ("/api/movies", "genre", 200),
            ("/api/movies", "after", 1000),
            ("/api/users", "after", 1000),
        ):
            params = {name: "a".ljust(limit + 1)}
            response = api.get(path, params=params, token=ada["token"])
            errors = assert_error(response, 400, "SchemaValidationError")
            assert errors == {name: [f"Must be at most {limit:,} characters long."]}

    def test_query_over_16_kib_is_a_bad_request(self, api, ada):
        assert_error(api.get(f"/api/movies?q={'%20' * 5600}"), 400, "BadRequestError")

    def test_email_is_limited_in_both_parts(self, api):
        domain = ".".join(["d" * 63] * 3)  # 191 characters, 254 with 62 and the @
        for local, status in ((64, 200), (65, 400)):
            assert api.sign_up(email="l" * local + "@example.com").status_code == status
        for local, status in ((62, 200), (63, 400)):
            assert api.sign_up(email="l" * local + "@" + domain).status_code == status
        for send in (api.log_in, api.forgot):
            assert send(email="l" * 65 + "@example.com").status_code == 400


class TestAllErrorsAtOnce:
    wrong = {
        "email": ("ada", "Not a valid email address."),
        "password": ("password1", "This is a very common password."),
        "password_confirmation": ("another", "Passwords don't match."),
        "name": ("evil.ex", "Not a name."),
        "nickname": ("Ada", "Unknown field."),
    }
    body = {name: value for name, (value, _) in wrong.items()}
    expected = {name: sentence for name, (_, sentence) in wrong.items()}

    def assert_all_named(self, response, **expected):
        errors = assert_error(response, 400, "SchemaValidationError")
        assert {name: sentences[0] for name, sentences in errors.items()} == expected

    def new_password(self):
        names = ("password", "password_confirmation", "nickname")
        body = {name: self.body[name] for name in names}
        return body, {name: self.expected[name] for name in names}

    def test_signup_names_all(self, api):
        response = api.post("/api/auth/signup?page=5", json=self.body)
        self.assert_all_named(response, **self.expected, page="Unknown field.")

    def test_creation_by_an_admin_names_all(self, api, ada):
        path = path_for_admin("/api/users")
        response = api.post(path, json=self.body | {"role": "root"}, token=ada["token"])
        self.assert_all_named(response, **self.expected, role="Must be one of: user, admin.")

    def test_change_of_password_names_all_but_the_current(self, api, ada):
        body, expected = self.new_password()
        body |= {"current_password": "wrong"}
        response = api.put("/api/auth/password", json=body, token=ada["token"])
        self.assert_all_named(response, **expected)
        del body["current_password"]
        response = api.put("/api/auth/password", json=body, token=ada["token"])
        missing = "Missing data for required field."
        self.assert_all_named(response, **expected, current_password=missing)

    def test_reset_names_all(self, api, ada):
        body, expected = self.new_password()
        token = reset_token(api.app, User.objects.get())
        response = api.post("/api/auth/reset", json=body | {"reset_token": token})
        self.assert_all_named(response, **expected)
        self.assert_all_named(api.post("/api/auth/reset", json=body, token=token), **expected)

    def test_reset_without_a_token_estimates_no_password(self, api):
        body, expected = self.new_password()
        del expected["password"]
        missing = "Missing data for required field."
        response = api.post("/api/auth/reset", json=body)
        self.assert_all_named(response, **expected, reset_token=missing)

    def test_page_names_all(self, api, ada):
        body, expected = self.new_password()
        page = f"/reset/{reset_token(api.app, User.objects.get())}"
        response = api.post(page, data=body)
        assert response.status_code == 400
        assert all(escape(sentence) in response.text for sentence in expected.values())

    def test_change_of_user_names_all(self, api, ada):
        body = {"name": "evil.ex", "role": "root", "nickname": "Ada"}
        path = path_for_admin("/api/users/<user_id>")
        response = api.patch(path, json=body, token=ada["token"])
        expected = {name: self.expected[name] for name in ("name", "nickname")}
        self.assert_all_named(response, **expected, role="Must be one of: user, admin.")

    def test_missing_password_has_no_confirmation_to_match(self, api):
        body = {"email": "ada@example.com", "password_confirmation": "x"}
        response = api.post("/api/auth/signup", json=body)
        self.assert_all_named(response, password="Missing data for required field.")

    def test_word_of_a_wrong_email_is_no_part_of_the_estimate(self, api):
        response = api.sign_up(email="tzvrqelkm@", password="tzvrqelkm")
        self.assert_all_named(response, email=self.expected["email"])

    def test_unknown_fields_are_named_up_to_100(self, api):
        body = {f"field{number}": 1 for number in range(300)}
        errors = assert_error(api.sign_up(**body), 400, "SchemaValidationError")
        assert len(errors) == 100


class TestOrderOfRefusals:
    """A token comes before the fields, the fields before the current password and the address."""

    weak = {"password": "password1"}

    def test_token_comes_before_the_fields(self, api, ada):
        for method, path, token in (
            ("POST", "/api/auth/reset", "nonsense"),
            ("PUT", "/api/auth/password", "nonsense"),
            ("PUT", "/api/auth/email", "nonsense"),
            ("POST", "/api/auth/email/confirm", "nonsense"),
            ("POST", "/api/auth/email/reject", "nonsense"),
            ("POST", "/api/auth/email/undo", "nonsense"),
            ("POST", "/api/users", "nonsense"),
        ):
            response = api.request(method, path, json={"password": "password1"}, token=token)
            assert_error(response, 401, "BadTokenError")
        body = self.weak | {"reset_token": "nonsense"}
        assert_error(api.post("/api/auth/reset", json=body), 401, "BadTokenError")
        assert api.post("/reset/nonsense", data=self.weak).status_code == 401

    def test_used_token_comes_before_the_fields(self, api, ada):
        token = reset_token(api.app, User.objects.get())
        api.reset(token)
        assert_error(api.reset(token, "password1"), 401, "UsedTokenError")
        assert api.post(f"/reset/{token}", data=self.weak).status_code == 401

    def test_role_comes_before_the_fields(self, api, ada):
        response = api.post("/api/users", json=self.weak, token=ada["token"])
        assert_error(response, 403, "ForbiddenError")

    def test_fields_come_before_the_current_password(self, api, ada):
        body = self.weak | {"current_password": "wrong"}
        response = api.put("/api/auth/password", json=body, token=ada["token"])
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"password"}
        body = {"password": NEW_PASSWORD, "current_password": "wrong"}
        response = api.put("/api/auth/password", json=body, token=ada["token"])
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"current_password"}

    def test_fields_come_before_the_password_of_a_change(self, api, ada):
        for email, wrong in (("ada", "email"), (EVE["email"], "current_password")):
            body = {"email": email, "current_password": "wrong"}
            response = api.put("/api/auth/email", json=body, token=ada["token"])
            assert assert_error(response, 400, "SchemaValidationError").keys() == {wrong}

    def test_fields_come_before_the_age_of_the_login(self, api, ada, clock):
        clock.shift(601)
        response = api.put("/api/auth/email", json={"email": "ada"}, token=ada["token"])
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"email"}

    def test_fields_come_before_the_taken_email(self, api, ada):
        errors = assert_error(api.sign_up(**self.weak), 400, "SchemaValidationError")
        assert errors.keys() == {"password"}
        assert_error(api.sign_up(), 400, "EmailAlreadyExistsError")
