"""The log: every request, no secret; in production a JSON object per line."""

import base64
import http.client
import io
import json
import logging
import re
from datetime import UTC, datetime

import pytest
import requests
from pymongo.errors import AutoReconnect

from config import DEVELOPMENT, PRODUCTION
from database.models import Job
from infra.logging import configure_handler
from infra.pseudonym import pseudonym
from services import event_service, health_service
from services.event_service import Event
from services.mail_queue import SEND_EMAIL
from setting_sources import RENAMED_SETTINGS
from tests.support.client import ADA, NEW_PASSWORD
from tests.support.concurrency import wait_until
from tests.support.settings import PRODUCTION_SETTINGS, SECRETS_KEY
from tests.support.tokens import KEY, OTHER_KEY

# Not the password that the greeting suggests.
EVE = {"email": "eve@example.com", "password": "a secret of hers"}
FORMATS = (DEVELOPMENT, PRODUCTION)


@pytest.fixture
def logged(caplog):
    """Return a function that returns what was logged since the last call, in a format."""
    caplog.set_level(logging.INFO)
    handlers = {
        env: configure_handler(logging.StreamHandler(io.StringIO()), env) for env in FORMATS
    }
    for handler in handlers.values():
        logging.getLogger().addHandler(handler)

    def lines(env=PRODUCTION):
        text = handlers[env].stream.getvalue()
        handlers[env].stream.truncate(handlers[env].stream.seek(0))
        return list(map(json.loads, text.splitlines())) if env == PRODUCTION else text

    yield lines
    for handler in handlers.values():
        logging.getLogger().removeHandler(handler)


class TestSecrets:
    """No password, token, link or email is logged."""

    def test_log_of_a_whole_run_contains_no_secret(self, run):
        server = run()
        passwords = [EVE["password"], NEW_PASSWORD, "a wrong password", "password1"]
        tokens = self.use_sessions(server)
        reset_token = self.use_reset_link(server)
        server.terminate()

        log = server.log.read_text()
        assert "POST /api/auth/reset 200" in log
        assert "GET /reset/<token> 200" in log
        assert "Traceback" not in log
        for secret in [*passwords, *tokens, reset_token, EVE["email"]]:
            assert secret not in log
            assert base64.b64encode(secret.encode()).decode() not in log
        assert "eyJ" not in log

    def use_sessions(self, server):
        """Send tokens where they belong and where they do not; return them."""
        api = f"{server.url}/api/auth"

        def bearer(token):
            return {"Authorization": f"Bearer {token}"}

        server.post("/api/auth/signup", **EVE)
        server.post("/api/auth/login", email=EVE["email"], password="a wrong password")
        pair = server.post("/api/auth/login", **EVE).json()
        token, refresh_token = pair["token"], pair["refresh_token"]
        requests.get(f"{api}/verify", headers=bearer(token), timeout=10)
        requests.get(f"{api}/verify?token={token}", timeout=10)
        requests.get(f"{server.url}/api/{token}", timeout=10)
        requests.post(f"{api}/refresh", headers=bearer(refresh_token), timeout=10)
        requests.post(f"{api}/refresh", headers=bearer("not.a.token"), timeout=10)
        requests.post(f"{api}/login", data=b"\xff" + EVE["password"].encode(), timeout=10)
        return [token, refresh_token, "not.a.token"]

    def use_reset_link(self, server):
        """Reset the password by page and API, also with a weak password and twice."""
        server.post("/api/auth/forgot", email=EVE["email"])
        mails = server.data_dir / "email.log"
        wait_until(lambda: mails.exists() and "/reset/" in mails.read_text())
        token = mails.read_text().partition("/reset/")[2].split()[0]
        page = f"{server.url}/reset/{token}"
        requests.get(page, timeout=10)
        requests.post(page, data={"password": "password1"}, timeout=10)
        for _ in range(2):
            server.post("/api/auth/reset", reset_token=token, password=NEW_PASSWORD)
        # The links that confirm the signup and reset the password, and the notice.
        wait_until(lambda: mails.read_text().count("\nSubject: ") == 3)
        return token

    @pytest.mark.parametrize("broken", ["application", "hook"])
    def test_log_of_a_broken_request_names_no_path(self, http, app, logged, broken):
        if broken == "hook":
            app.after_request(fail)
        http.app = fail if broken == "application" else app
        assert requests.get(f"{http.url}/reset/eyJsecret", timeout=10).status_code == 500
        lines = logged()
        assert any("traceback" in line for line in lines)
        assert "eyJsecret" not in json.dumps(lines)


def fail(*_):
    raise RuntimeError("unforeseen")


class TestJsonLines:
    def test_line_is_an_object_with_the_values_as_fields(self, api, ada, logged):
        logged()
        api.log_in()
        event, request = logged()
        now = datetime.now(UTC)
        for line in (event, request):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
            assert abs(datetime.fromisoformat(line["time"]) - now).total_seconds() < 60
            assert line["level"] == "INFO"
        assert (event["logger"], event["event"]) == ("infra.audit_log", "login")
        assert event["message"] == f"event=login user={event['user']} ip=127.0.0.1 amr=pwd"
        described = {"method": "POST", "route": "/api/auth/login", "status": 200}
        assert request.items() >= described.items()
        assert request["duration_ms"] > 0

    def test_traceback_of_a_bug_is_a_field_of_one_line(self, api, logged):
        api.app.add_url_rule("/api/fails", view_func=fail)
        request_id = api.get("/api/fails").headers["X-Request-ID"]
        bug, request = logged()
        assert bug["level"] == "ERROR"
        assert bug["request_id"] == request["request_id"] == request_id
        assert bug["traceback"].startswith("Traceback")
        assert bug["traceback"].endswith("RuntimeError: unforeseen")

    def test_all_output_of_run_py_is_json(self, run, smtp):
        settings = PRODUCTION_SETTINGS | {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": smtp}
        settings["SECRETS_KEY"] = SECRETS_KEY
        del settings["MONGODB_URI"]  # that of the tests
        old, new = next(iter(RENAMED_SETTINGS.items()))
        server = run(**settings, **{old: "7 per minute"})
        server.post("/api/auth/signup", **ADA)
        server.terminate()
        lines = [json.loads(line) for line in server.log.read_text().splitlines()]
        assert lines[0]["message"] == f"The setting {old} is now called {new}"
        assert lines[1]["message"] == f"Movie-bag is on 127.0.0.1:{server.port}"
        assert "signup" in [line.get("event") for line in lines]


class TestRequestId:
    def test_lines_of_a_request_and_its_response_have_one_id(self, api, ada, logged):
        logged()
        ids = [api.log_in().headers["X-Request-ID"] for _ in range(2)]
        assert [line["request_id"] for line in logged()] == [ids[0], ids[0], ids[1], ids[1]]
        assert ids[0] != ids[1]

    def test_id_is_in_the_text_of_development(self, api, logged):
        logged(DEVELOPMENT)
        request_id = api.get("/healthz/").headers["X-Request-ID"]
        assert re.search(rf"INFO {request_id} GET unknown 404 \d+\.\d ms$", logged(DEVELOPMENT))

    @pytest.mark.parametrize("given", ["a", "A-z_0.9", "x" * 64])
    def test_well_formed_id_of_a_client_is_kept(self, api, logged, given):
        assert api.get("/", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given
        assert logged()[-1]["request_id"] == given

    @pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", 'a"b', "a,b", "é", "{}", "<b>"])
    def test_malformed_or_long_id_is_replaced(self, api, logged, given):
        connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=10)
        connection.request("GET", "/", headers={"X-Request-ID": given.encode("latin-1")})
        generated = connection.getresponse().headers["X-Request-ID"]
        connection.close()
        assert re.fullmatch("[0-9a-f]{16}", generated)
        assert logged()[-1]["request_id"] == generated

    def test_line_about_a_job_has_the_id_of_the_job_alone(self, api, ada, mailbox, logged):
        mailbox.reply = lambda recipient: "550 No such user"
        api.forgot()
        job = wait_until(lambda: Job.objects(state=Job.FAILED).first())
        (line,) = wait_until(lambda: [line for line in logged() if " failed: " in line["message"]])
        reason = "SMTP 550 No such user"
        assert line["message"] == f"Job {job.id} ({SEND_EMAIL}) failed: {reason}; it is kept"
        assert line["job"] == str(job.id)
        assert "request_id" not in line


class TestHealthChecks:
    """A health check that succeeds is not logged: load balancers send one every few seconds."""

    @pytest.mark.parametrize("path", ["/healthz", "/readyz"])
    def test_success_is_not_logged(self, api, logged, path):
        assert api.get(path).status_code == 200
        assert logged() == []

    def test_failure_is_logged(self, api, logged, monkeypatch):
        def fail_to_write():
            raise AutoReconnect("away")

        monkeypatch.setattr(health_service, "try_write", fail_to_write)
        api.get("/readyz")
        reason, request = logged()
        assert reason["message"] == "The database can't be written: away"
        assert request["status"] == 503


class TestPseudonym:
    """An email is logged by a pseudonym."""

    def test_failed_login_names_the_email_by_its_pseudonym(self, api, ada, logged):
        api.log_in(password="wrong")
        (line,) = [line for line in logged() if line.get("event") == "login_failed"]
        assert line["email"] == pseudonym(ADA["email"], api.app.config["JWT_SECRET_KEY"])

    def test_only_the_owner_of_the_key_can_compute_it(self):
        keys = ["a" * 32, "b" * 32]
        pseudonyms = {pseudonym("ada@example.com", key) for key in [*keys, *keys]}
        assert len(pseudonyms) == 2
        assert all(re.fullmatch("[0-9a-f]{12}", text) for text in pseudonyms)

    def test_pseudonym_in_the_log_depends_on_the_key_of_the_app(self, make_app, logged):
        for key in (KEY, OTHER_KEY):
            with make_app(JWT_SECRET_KEY=key).app_context():
                event_service.record(Event.LOGIN_FAILED, email=ADA["email"])
        emails = [line["email"] for line in logged() if line.get("event") == "login_failed"]
        assert len(set(emails)) == len(emails) == 2


class TestShell:
    def test_event_at_the_shell_has_no_client_ip(self, app, logged):
        options = ("--password", ADA["password"])
        app.test_cli_runner().invoke(args=["user", "create", ADA["email"], *options])
        (line,) = logged()
        assert re.fullmatch("event=signup user=[0-9a-f]{24} ip=shell", line["message"])
