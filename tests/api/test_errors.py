"""Errors: every one has the same JSON shape, whatever went wrong and wherever."""

import json
import subprocess
import sys

import pytest
from flask import request
from pymongo.collection import Collection
from pymongo.errors import ExecutionTimeout

from database.models import User
from tests.support.assertions import assert_error, case, raw_get
from tests.support.client import ADA, NEW_PASSWORD
from tests.support.endpoints import ENDPOINTS
from tests.support.processes import HOME, environment, free_port
from tests.support.tokens import reset_token

INCOMPLETE = "Request is missing required fields"
INVALID = "Some fields are not valid, see errors"
SIGNUP, LOGIN = "/api/auth/signup", "/api/auth/login"


class TestUnknownUrl:
    def test_unknown_path_is_not_found(self, api):
        for path in (
            *("/api", "/dev/mail", "/api/nothing", "/api/auth/login/", "/api/auth/login%00"),
            *("/%ff", "/é"),
        ):
            for method in ("GET", "POST"):
                with case(method=method, path=path):
                    assert_error(api.request(method, path), 404, "NotFoundError")

    def test_response_to_an_unknown_method_lists_known_ones(self, api):
        for known_method, path, *_ in ENDPOINTS:
            for method in ("PROPFIND", "NONSENSE", "TRACE"):
                with case(method=method, path=path):
                    response = api.request(method, path)
                    assert_error(response, 405, "MethodNotAllowedError")
                    assert known_method in response.headers["Allow"].split(", ")

    def test_broken_host_header_is_no_server_error(self, api):
        for host in (
            *("", " ", "..", "a b", "a/b", "@", "[::1", "h:x", "h:99999999", "a" * 5000),
            *("\xff", "<>"),
        ):
            with case(host=host):
                response, body = raw_get(api.port, [("Host", host.encode("latin-1"))])
                assert (response.status, body["status"]) in [(400, 400), (401, 401)]
                assert body.keys() == {"message", "status", "error"}


class TestValidationMessage:
    """The tutorial's tests ask for its message where a field is missing or unknown."""

    @pytest.mark.parametrize(
        ("path", "fields", "message"),
        [
            (LOGIN, {}, INCOMPLETE),
            (LOGIN, {"email": ADA["email"]}, INCOMPLETE),
            (LOGIN, ADA | {"is_admin": True}, INCOMPLETE),
            (f"{LOGIN}?page=5", ADA, INCOMPLETE),
            (LOGIN, ADA | {"email": "ada"}, INVALID),
            (LOGIN, ADA | {"password": None}, INVALID),
            (SIGNUP, ADA | {"password": "password1"}, INVALID),
            (SIGNUP, ADA | {"password_confirmation": "other"}, INVALID),
            (LOGIN, {"email": "ada"}, INCOMPLETE),
            (LOGIN, ADA | {"email": "ada", "is_admin": True}, INCOMPLETE),
            (SIGNUP, {"email": "ada", "password": "password1", "age": 5}, INCOMPLETE),
        ],
        ids=[
            *("all missing", "one missing", "unknown", "unknown parameter"),
            *("invalid", "null", "weak password", "other confirmation"),
            *("missing and invalid", "unknown and invalid", "unknown and two invalid"),
        ],
    )
    def test_message_depends_on_missing_and_unknown_fields(self, api, path, fields, message):
        response = api.post(path, json=fields)
        assert assert_error(response, 400, "SchemaValidationError")
        assert response.json()["message"] == message

    def test_wrong_current_password_is_not_a_missing_field(self, api, ada):
        path, token = "/api/users/me", ada["token"]
        response = api.delete(path, json={"current_password": "wrong"}, token=token)
        assert_error(response, 400, "SchemaValidationError")
        assert response.json()["message"] == INVALID

    def test_reset_without_a_token_has_a_missing_field(self, api):
        response = api.post("/api/auth/reset", json={"password": NEW_PASSWORD})
        errors = assert_error(response, 400, "SchemaValidationError")
        assert errors == {"reset_token": ["Missing data for required field."]}
        assert response.json()["message"] == INCOMPLETE


@pytest.fixture(params=[True, False], ids=["TESTING", "not TESTING"])
def failing_api(request, make_app, http):
    """Serve an application with TESTING on, then off; one of its views fails."""
    http.app = make_app(TESTING=request.param)
    http.app.add_url_rule("/api/fails", view_func=fail, methods=["POST"])
    http.sign_up()
    return http


def fail():
    raise RuntimeError(f"unforeseen, after {len(request.get_data())} bytes")


def send_expired_token(api, clock):
    token = api.log_in().json()["token"]
    clock.shift(901)
    return api.verify(token)


def send_superseded_token(api, clock):
    tokens = api.log_in().json()
    api.refresh(tokens["refresh_token"])
    clock.shift(11)
    return api.verify(tokens["token"])


def send_token_of_an_ended_session(api, _):
    token = api.log_in().json()["token"]
    api.log_out(token)
    return api.verify(token)


def send_used_token(api, _):
    token = reset_token(api.app, User.objects.get())
    api.reset(token)
    return api.reset(token)


class TestShape:
    messages = {
        "SchemaValidationError": INCOMPLETE,
        "EmailAlreadyExistsError": "User with given email address already exists",
        "UnauthorizedError": "Invalid username or password",
        "MissingTokenError": "Missing or invalid authorization header",
        "BadTokenError": "Invalid token",
        "SupersededTokenError": "Token was replaced by a refresh",
        "SessionEndedError": "Session has ended",
        "ExpiredTokenError": "Token has expired",
        "UsedTokenError": "Reset token has already been used",
        "InternalServerError": "Something went wrong",
    }
    requests = [
        (400, "SchemaValidationError", lambda api, _: api.post(LOGIN, json={})),
        (400, "BadRequestError", lambda api, _: api.post(LOGIN, json=[])),
        (400, "EmailAlreadyExistsError", lambda api, _: api.sign_up()),
        (401, "UnauthorizedError", lambda api, _: api.log_in(password="wrong")),
        (401, "MissingTokenError", lambda api, _: api.get("/api/auth/verify")),
        (401, "BadTokenError", lambda api, _: api.verify("nonsense")),
        (401, "SupersededTokenError", send_superseded_token),
        (401, "SessionEndedError", send_token_of_an_ended_session),
        (401, "ExpiredTokenError", send_expired_token),
        (401, "UsedTokenError", send_used_token),
        (404, "NotFoundError", lambda api, _: api.get("/api/nothing")),
        (405, "MethodNotAllowedError", lambda api, _: api.put(LOGIN)),
        (413, "RequestTooLargeError", lambda api, _: api.post(LOGIN, data=b"x" * 65537)),
        (415, "UnsupportedMediaTypeError", lambda api, _: api.post(LOGIN, data=ADA)),
        (500, "InternalServerError", lambda api, _: api.post("/api/fails")),
    ]

    @pytest.mark.parametrize(
        ("status", "error", "send"), requests, ids=[error for _, error, _ in requests]
    )
    def test_error_has_one_shape(self, failing_api, clock, status, error, send):
        response = send(failing_api, clock)
        assert_error(response, status, error)
        message = response.json()["message"]
        assert message == self.messages.get(error, message)

    def test_log_of_a_bug_has_the_reason_and_no_input(self, failing_api, caplog):
        body = json.dumps(ADA)
        response = failing_api.post("/api/fails?q=hidden", data=body)
        assert_error(response, 500, "InternalServerError")
        assert f"RuntimeError: unforeseen, after {len(body)} bytes" in caplog.text
        for secret in (*ADA.values(), "hidden"):
            assert secret not in caplog.text


SEND_WITHOUT_A_DATABASE = """
from app import create_app
response = create_app().test_client().post("/api/auth/forgot", json={"email": "ada@example.com"})
headers = response.headers["Retry-After"], response.content_type
print(response.status_code, *headers, response.text)
"""


class TestDatabaseError:
    def test_error_on_a_write_is_unavailable(self, api, ada, monkeypatch):
        def time_out(*_, **__):
            raise ExecutionTimeout("operation exceeded time limit", 50)

        for operation in ("find_one_and_update", "update_one", "insert_one"):
            monkeypatch.setattr(Collection, operation, time_out)
        for response in (
            api.refresh(ada["refresh_token"]),
            api.log_in(),
            api.forgot(),
            api.sign_up(),
        ):
            assert_error(response, 503, "ServiceUnavailableError")

    def test_service_is_unavailable_without_a_database(self, tmp_path):
        away = {"MONGODB_URI": f"mongodb://127.0.0.1:{free_port()}", "MONGODB_TIMEOUT": 1}
        process = subprocess.run(
            [sys.executable, "-c", SEND_WITHOUT_A_DATABASE],
            cwd=HOME,
            env=environment(DATA_DIR=tmp_path, **away),
            capture_output=True,
            text=True,
            timeout=30,
        )
        status, retry_after, content_type, text = process.stdout.split(" ", 3)
        assert (status, content_type) == ("503", "application/json")
        assert int(retry_after) > 0
        assert json.loads(text) == {
            "message": "The service is busy, try again in a moment",
            "status": 503,
            "error": "ServiceUnavailableError",
        }
