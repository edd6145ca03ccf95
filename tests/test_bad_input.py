"""Bad input of every kind is a clear 4xx, and every error has the one shape."""

import contextlib
import http.client
import json
import re
import subprocess
import sys
import time

import pytest
from flask import request
from pymongo.collection import Collection
from pymongo.errors import ExecutionTimeout

from database.models import Mail, User
from services import token_service
from services.errors import SchemaValidationError
from services.password_service import check_policy
from tests.conftest import ADA, NEW_PASSWORD
from tests.servers import HOME, environment
from tests.smtp import free_port

# Every route of the API, with a body that is good and the bearer token it asks for.
ROUTES = [
    ("POST", "/api/auth/signup", ADA | {"email": "eve@example.com"}, None),
    ("POST", "/api/auth/login", ADA, None),
    ("POST", "/api/auth/refresh", {}, "refresh_token"),
    ("GET", "/api/auth/verify", {}, "token"),
    ("DELETE", "/api/auth/logout", {}, "token"),
    ("POST", "/api/auth/forgot", {"email": ADA["email"]}, None),
    ("POST", "/api/auth/reset", {"password": NEW_PASSWORD}, None),
    ("GET", "/api/auth/sessions", {}, "token"),
    ("DELETE", "/api/auth/sessions", {}, "token"),
    ("DELETE", "/api/auth/sessions/<session_id>", {}, "token"),
    (
        *("PUT", "/api/auth/password"),
        *({"current_password": ADA["password"], "password": NEW_PASSWORD}, "token"),
    ),
    ("GET", "/api/openapi.json", {}, None),
    ("GET", "/api/movies", {}, None),
    ("POST", "/api/movies", {"name": "M", "casts": ["Lorre"], "genres": ["Crime"]}, "token"),
    ("GET", "/api/movies/<movie_id>", {}, None),
    ("PUT", "/api/movies/<movie_id>", {"name": "M"}, "token"),
    ("DELETE", "/api/movies/<movie_id>", {}, "token"),
    ("GET", "/api/users/me", {}, "token"),
    ("PATCH", "/api/users/me", {"name": "Ada"}, "token"),
    ("DELETE", "/api/users/me", {"current_password": ADA["password"]}, "token"),
    ("GET", "/api/users", {}, "token"),
    ("POST", "/api/users", ADA | {"email": "eve@example.com"}, "token"),
    ("GET", "/api/users/<user_id>", {}, "token"),
    ("PATCH", "/api/users/<user_id>", {"name": "Ada"}, "token"),
    ("DELETE", "/api/users/<user_id>", {"current_password": ADA["password"]}, "token"),
]
WITH_BODY = [path for _, path, body, token in ROUTES if body and not token]
EACH_ROUTE = pytest.mark.parametrize(
    ("method", "path", "body", "token"),
    ROUTES,
    ids=[f"{method} {path}" for method, path, *_ in ROUTES],
)
JSON = {"Content-Type": "application/json"}
NOT_AN_OBJECT_IN_JSON = {
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
NOT_ADDRESSES = [
    *("", "@", "ada", "ada@", "@example.com", "ada@home@example.com", "ada@localhost"),
    *("ada@example.com\nBcc: eve@example.com", "ada\r\nBcc: eve@example.com", "a\rda@example.com"),
    *("ada@example.com\n", "ada@example.com\r\n", "\nada@example.com", "ada@example.com\u2028"),
    *("ada@example.com,eve@example.com", "ada@example.com;eve@example.com", "a,da@example.com"),
    *("<ada@example.com>", "Ada <ada@example.com>", "ada(home)@example.com", "ada@[127.0.0.1]"),
    *("ada\0@example.com", "ada@example.com\0", "ada lovelace@example.com", "ada@example .com"),
    *('"ada lovelace"@example.com', '"ada"@example.com', "adä@example.com"),
    *("a" * 288 + "@example.com", "ada@" + "example." * 37 + "com"),
]


def refused(answer, status, error):
    """Hold the one shape; return the errors by field."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert body.keys() - {"errors"} == {"message", "status", "error"}
    assert (body["status"], body["error"]) == (status, error)
    assert isinstance(body["message"], str) and body["message"]
    errors = body.get("errors", {})
    for sentences in errors.values():
        assert sentences
        assert all(isinstance(sentence, str) and sentence for sentence in sentences)
    return errors


def raw_get(api, headers):
    """Send GET /api/auth/verify with exactly these headers; return the answer and its body."""
    connection = http.client.HTTPConnection("127.0.0.1", api.server.effective_port, timeout=10)
    connection.putrequest("GET", "/api/auth/verify", skip_host=True, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, json.loads(body)


def test_the_table_of_routes_is_complete(app):
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/")]
    rules = [rule for rule in rules if not rule.endpoint.startswith("pages.")]
    served = {(method, rule.rule) for rule in rules for method in rule.methods}
    asked = {(method, path) for method, path, *_ in ROUTES}
    assert {route for route in served if route[0] not in ("HEAD", "OPTIONS")} == asked


def as_admin(path):
    """Make Ada, the only user, an admin, so that nothing but the request is wrong; fill in ids."""
    user = User.objects.get()
    User.objects.update(set__role="admin")
    session_id = next(iter(user.sessions))
    return path.replace("<user_id>", str(user.id)).replace("<session_id>", session_id)


@EACH_ROUTE
def test_an_unknown_field_is_named_and_nothing_is_done(api, ada, method, path, body, token):
    body, path = body | {"is_admin": True}, as_admin(path)
    answer = api.request(method, path, json=body, token=ada.get(token))
    assert refused(answer, 400, "SchemaValidationError") == {"is_admin": ["Unknown field."]}
    assert api.whoami(ada["token"]).status_code == 200
    assert (User.objects.count(), Mail.objects.count()) == (1, 0)


@EACH_ROUTE
def test_an_unknown_query_parameter_is_named_and_nothing_is_done(
    api, ada, method, path, body, token
):
    path = as_admin(path) + "?page=5"
    answer = api.request(method, path, json=body or None, token=ada.get(token))
    assert refused(answer, 400, "SchemaValidationError") == {"page": ["Unknown field."]}
    assert api.whoami(ada["token"]).status_code == 200
    assert (User.objects.count(), Mail.objects.count()) == (1, 0)


@pytest.mark.parametrize("name", ["", "$where", "email.x", "__proto__", "пароль", "\0", "a" * 9999])
def test_an_unknown_field_is_named_whatever_it_is_called(api, name):
    answer = api.post("/api/auth/login", json=ADA | {name: 1})
    assert refused(answer, 400, "SchemaValidationError").keys() == {name}


@pytest.mark.parametrize("path", WITH_BODY)
@pytest.mark.parametrize("body", [None, {}], ids=["no body", "empty object"])
def test_without_its_fields_a_request_is_told_which_it_needs(api, path, body):
    errors = refused(api.post(path, json=body), 400, "SchemaValidationError")
    needed = dict.fromkeys({"email", "password"}, ["Missing data for required field."])
    only = {"/api/auth/forgot": {"email"}, "/api/auth/reset": {"password"}}
    assert errors == {field: needed[field] for field in only.get(path, needed)}


@pytest.mark.parametrize("data", NOT_AN_OBJECT_IN_JSON.values(), ids=NOT_AN_OBJECT_IN_JSON)
def test_a_body_that_is_no_object_in_json_is_a_bad_request(api, data):
    for path in WITH_BODY:
        refused(api.post(path, data=data, headers=JSON), 400, "BadRequestError")


@EACH_ROUTE
@pytest.mark.parametrize("size", [64 * 1024 + 1, 1024 * 1024], ids=["64 KiB and 1", "1 MiB"])
def test_a_body_over_64_kib_is_too_large(api, ada, method, path, body, token, size):
    path = as_admin(path)
    answer = api.request(method, path, data=b"x" * size, headers=JSON, token=ada.get(token))
    refused(answer, 413, "RequestTooLargeError")


def test_a_body_of_64_kib_is_read(api):
    data = json.dumps(ADA).encode().ljust(64 * 1024)
    answer = api.post("/api/auth/login", data=data, headers=JSON)
    refused(answer, 401, "UnauthorizedError")


@pytest.mark.parametrize(
    "content_type",
    [
        *(None, "", "text/plain", "text/json", "application/xml", "application/jsonp"),
        *("application/x-www-form-urlencoded", "multipart/form-data; boundary=x"),
    ],
)
def test_another_content_type_is_unsupported(api, content_type):
    headers = {} if content_type is None else {"Content-Type": content_type}
    for path in WITH_BODY:
        answer = api.post(path, data=json.dumps(ADA).encode(), headers=headers)
        refused(answer, 415, "UnsupportedMediaTypeError")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_is_json_however_its_type_is_written(api, ada, content_type):
    data = json.dumps(ADA).encode()
    answer = api.post("/api/auth/login", data=data, headers={"Content-Type": content_type})
    assert answer.status_code == 200


@pytest.mark.parametrize("value", NOT_STRINGS, ids=json.dumps)
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/api/auth/signup", ["email", "password", "password_confirmation", "name"]),
        ("/api/auth/login", ["email", "password"]),
        ("/api/auth/forgot", ["email"]),
        ("/api/auth/reset", ["reset_token", "password", "password_confirmation"]),
    ],
)
def test_what_is_not_a_string_is_refused_by_name(api, ada, path, fields, value):
    good = next(body for _, route, body, _ in ROUTES if route == path)
    for field in fields:
        errors = refused(api.post(path, json=good | {field: value}), 400, "SchemaValidationError")
        assert field in errors
    assert (User.objects.count(), Mail.objects.count()) == (1, 0)


@pytest.mark.parametrize("address", NOT_ADDRESSES, ids=ascii)
def test_what_is_no_address_is_refused_and_makes_no_user_and_no_mail(api, address):
    for answer in (api.sign_up(email=address), api.log_in(email=address), api.forgot(address)):
        errors = refused(answer, 400, "SchemaValidationError")
        assert errors == {"email": ["Not a valid email address."]}
    assert (User.objects.count(), Mail.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    ("password", "of"),
    [
        ("gk2#vT9", {}),
        ("x7!Kq" * 25 + "abcd", {}),
        ("password1", {}),
        ("Password123!", {}),
        ("a" * 73, {}),
        ("tzvrqelkm", {"email": "tzvrqelkm@example.com"}),
        ("tzvrqelkm@example.com", {"email": "tzvrqelkm@example.com"}),
        ("xilqornvabdute", {"name": "Xilqorn Vabdute"}),
        ("Xilqorn Vabdute", {"name": "Xilqorn Vabdute"}),
    ],
    ids=["7", "129", "common", "variation", "repeat", "local part", "address", "names", "name"],
)
def test_a_weak_password_is_refused_with_its_reasons(api, password, of):
    errors = refused(api.sign_up(password=password, **of), 400, "SchemaValidationError")
    assert errors.keys() == {"password"}
    assert all(re.fullmatch(r"[A-Z].+\.", reason) for reason in errors["password"])
    assert User.objects.count() == 0


@pytest.mark.parametrize("password", ["tzvrqelkm", "xilqornvabdute"])
def test_what_is_personal_to_another_is_no_weak_password(api, password):
    assert api.sign_up(password=password).status_code == 200


def test_a_confirmation_that_differs_is_refused(api):
    errors = refused(api.sign_up(password_confirmation="other"), 400, "SchemaValidationError")
    assert errors == {"password_confirmation": ["Passwords don't match."]}
    assert User.objects.count() == 0


@pytest.mark.parametrize(
    "name",
    [
        *("", " \n ", "x" * 101, "Ada\nBcc: eve", "Ada\r\nLovelace", "Ada\u2028L", "\u200b"),
        *("A http://evil.ex", "Visit evil.com", "www.evil.ex", "https：／／evil", "evil\u202emoc"),
    ],
    ids=ascii,
)
def test_what_is_no_name_is_refused(api, name):
    errors = refused(api.sign_up(name=name), 400, "SchemaValidationError")
    assert errors.keys() == {"name"}
    assert User.objects.count() == 0


@pytest.mark.parametrize(
    "name", ["J.R.R. Tolkien", "Zoë O'Neil-Smith", "李小龍", "Dr. No", "x" * 100]
)
def test_a_persons_name_is_accepted(api, name):
    assert api.sign_up(name=name).status_code == 200


def test_a_database_error_on_a_write_is_unavailable_as_on_a_read(api, ada, monkeypatch):
    def too_late(*_, **__):
        raise ExecutionTimeout("operation exceeded time limit", 50)

    for operation in ("find_one_and_update", "update_one", "insert_one"):
        monkeypatch.setattr(Collection, operation, too_late)
    for answer in (api.refresh(ada["refresh_token"]), api.log_in(), api.forgot(), api.sign_up()):
        refused(answer, 503, "ServiceUnavailableError")


def test_no_password_takes_long_to_estimate(app):
    worst = ('"4@8({[<6936!1|17$5+7%2"*4' * 5)[:128]
    with app.app_context():
        begin = time.monotonic()
        with contextlib.suppress(SchemaValidationError):
            check_policy(worst)
        assert time.monotonic() - begin < 1


@pytest.mark.parametrize(
    "path",
    ["/api", "/dev/mail", "/api/nothing", "/api/auth/login/", "/api/auth/login%00", "/%ff", "/é"],
)
def test_an_unknown_path_is_not_found(api, path):
    for method in ("GET", "POST"):
        refused(api.request(method, path), 404, "NotFoundError")


@pytest.mark.parametrize("method", ["PROPFIND", "NONSENSE", "TRACE"])
@pytest.mark.parametrize(("right", "path"), [(right, path) for right, path, *_ in ROUTES])
def test_an_unknown_method_is_told_which_are_known(api, method, right, path):
    answer = api.request(method, path)
    refused(answer, 405, "MethodNotAllowedError")
    assert right in answer.headers["Allow"].split(", ")


@pytest.mark.parametrize(
    "host",
    ["", " ", "..", "a b", "a/b", "@", "[::1", "h:x", "h:99999999", "a" * 5000, "\xff", "<>"],
)
def test_a_broken_host_header_is_no_server_error(api, host):
    answer, body = raw_get(api, [("Host", host.encode("latin-1"))])
    assert (answer.status, body["status"]) in [(400, 400), (401, 401)]
    assert body.keys() == {"message", "status", "error"}


@pytest.fixture(params=[True, False], ids=["TESTING", "not TESTING"])
def either(request, make_app, http):
    """Serve an application with TESTING on, then off; one of its views fails."""
    http.app = make_app(TESTING=request.param)
    http.app.add_url_rule("/api/fails", view_func=fails, methods=["POST"])
    http.sign_up()
    return http


def fails():
    raise RuntimeError(f"unforeseen, after {len(request.get_data())} bytes")


def expired(api, clock):
    token = api.log_in().json()["token"]
    clock.shift(901)
    return api.whoami(token)


def used(api, _):
    with api.app.app_context():
        token = token_service.reset_token(User.objects.get())
    api.reset(token)
    return api.reset(token)


MESSAGES = {
    "SchemaValidationError": "Request is missing required fields",
    "EmailAlreadyExistsError": "User with given email address already exists",
    "UnauthorizedError": "Invalid username or password",
    "MissingTokenError": "Missing or invalid authorization header",
    "BadTokenError": "Invalid token",
    "ExpiredTokenError": "Token has expired",
    "UsedTokenError": "Reset token has already been used",
    "InternalServerError": "Something went wrong",
}
ERRORS = [
    (400, "SchemaValidationError", lambda api, _: api.post("/api/auth/login", json={})),
    (400, "BadRequestError", lambda api, _: api.post("/api/auth/login", json=[])),
    (400, "EmailAlreadyExistsError", lambda api, _: api.sign_up()),
    (401, "UnauthorizedError", lambda api, _: api.log_in(password="wrong")),
    (401, "MissingTokenError", lambda api, _: api.get("/api/auth/verify")),
    (401, "BadTokenError", lambda api, _: api.whoami("nonsense")),
    (401, "ExpiredTokenError", expired),
    (401, "UsedTokenError", used),
    (404, "NotFoundError", lambda api, _: api.get("/api/nothing")),
    (405, "MethodNotAllowedError", lambda api, _: api.put("/api/auth/login")),
    (413, "RequestTooLargeError", lambda api, _: api.post("/api/auth/login", data=b"x" * 65537)),
    (415, "UnsupportedMediaTypeError", lambda api, _: api.post("/api/auth/login", data=ADA)),
    (500, "InternalServerError", lambda api, _: api.post("/api/fails")),
]


@pytest.mark.parametrize(("status", "error", "ask"), ERRORS, ids=[error for _, error, _ in ERRORS])
def test_an_error_has_one_shape_with_testing_on_and_off(either, clock, status, error, ask):
    answer = ask(either, clock)
    refused(answer, status, error)
    message = answer.json()["message"]
    assert message == MESSAGES.get(error, message)


def test_the_log_of_a_failure_says_what_failed_and_nothing_of_the_body(either, caplog):
    body = json.dumps(ADA)
    refused(either.post("/api/fails?q=hidden", data=body), 500, "InternalServerError")
    assert f"RuntimeError: unforeseen, after {len(body)} bytes" in caplog.text
    for secret in (*ADA.values(), "hidden"):
        assert secret not in caplog.text


ASK_WITHOUT_A_DATABASE = """
from app import create_app
answer = create_app().test_client().post("/api/auth/forgot", json={"email": "ada@example.com"})
print(answer.status_code, answer.headers["Retry-After"], answer.content_type, answer.text)
"""


def test_while_the_database_is_away_the_service_is_unavailable(tmp_path):
    away = {"MONGODB_URI": f"mongodb://127.0.0.1:{free_port()}", "MONGODB_TIMEOUT": 1}
    settings = environment(DATA_DIR=tmp_path, **away)
    command = [sys.executable, "-c", ASK_WITHOUT_A_DATABASE]
    process = subprocess.run(command, cwd=HOME, env=settings, stdout=-1, stderr=-1, timeout=30)
    status, retry_after, content_type, text = process.stdout.decode().split(" ", 3)
    assert (status, content_type) == ("503", "application/json")
    assert int(retry_after) > 0
    assert json.loads(text) == {
        "message": "The service is busy, try again in a moment",
        "status": 503,
        "error": "ServiceUnavailableError",
    }
