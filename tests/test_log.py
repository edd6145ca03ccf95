"""What is logged: every request, nothing secret; in production as JSON."""

import base64
import http.client
import io
import json
import logging
import re
from datetime import UTC, datetime

import pytest
import requests

from config import DEVELOPMENT, PRODUCTION
from database.models import Mail
from logs import dress
from services.fingerprint import fingerprint
from tests.conftest import ADA, NEW_PASSWORD, wait_until
from tests.test_settings import PRODUCTION as SETTINGS

# Not the password that the greeting suggests.
EVE = {"email": "eve@example.com", "password": "a secret of hers"}


def test_the_log_of_a_run_has_no_password_no_token_and_no_traceback(run):
    server = run()
    api = f"{server.url}/api/auth"
    secrets = [EVE["password"], NEW_PASSWORD, "a wrong password", "password1"]

    def bearer(token):
        secrets.append(token)
        return {"Authorization": f"Bearer {token}"}

    server.post("/api/auth/signup", **EVE)
    server.post("/api/auth/login", email=EVE["email"], password="a wrong password")
    tokens = server.post("/api/auth/login", **EVE).json()
    requests.get(f"{api}/verify", headers=bearer(tokens["token"]), timeout=10)
    requests.get(f"{api}/verify?token={tokens['token']}", timeout=10)
    requests.get(f"{server.url}/api/{tokens['token']}", timeout=10)
    requests.post(f"{api}/refresh", headers=bearer(tokens["refresh_token"]), timeout=10)
    requests.post(f"{api}/refresh", headers=bearer("not.a.token"), timeout=10)
    server.post("/api/auth/forgot", email=EVE["email"])
    mails = server.data_dir / "email.log"
    text = wait_until(lambda: mails.exists() and mails.read_text())
    token = text.partition("/reset/")[2].split()[0]
    secrets.append(token)
    requests.get(f"{server.url}/reset/{token}", timeout=10)
    requests.post(f"{server.url}/reset/{token}", data={"password": "password1"}, timeout=10)
    server.post("/api/auth/reset", reset_token=token, password=NEW_PASSWORD)
    server.post("/api/auth/reset", reset_token=token, password=NEW_PASSWORD)
    requests.post(f"{api}/login", data=b"\xff" + EVE["password"].encode(), timeout=10)
    wait_until(lambda: mails.read_text().count("Subject: ") == 2)
    server.terminate()

    log = server.log.read_text()
    assert "POST /api/auth/reset 200" in log
    assert "GET /reset/<token> 200" in log
    assert "Traceback" not in log
    for secret in secrets:
        assert secret not in log
        assert base64.b64encode(secret.encode()).decode() not in log
    assert "eyJ" not in log


@pytest.fixture
def written(caplog):
    """Return a function that returns what was logged since the last call, in a format."""
    caplog.set_level(logging.INFO)
    handlers = {env: dress(logging.StreamHandler(io.StringIO()), env) for env in ENVS}
    for handler in handlers.values():
        handler.addFilter(lambda record: record.name != "mail.log")  # the SMTP server of the tests
        logging.getLogger().addHandler(handler)

    def lines(env=PRODUCTION):
        text = handlers[env].stream.getvalue()
        handlers[env].stream.truncate(handlers[env].stream.seek(0))
        return list(map(json.loads, text.splitlines())) if env == PRODUCTION else text

    yield lines
    for handler in handlers.values():
        logging.getLogger().removeHandler(handler)


ENVS = (DEVELOPMENT, PRODUCTION)


def test_a_line_in_production_is_an_object_with_the_facts_as_fields(api, ada, written):
    written()
    api.log_in()
    audit, access = written()
    now = datetime.now(UTC)
    for line in (audit, access):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert abs(datetime.fromisoformat(line["time"]) - now).total_seconds() < 10
        assert line["level"] == "INFO"
    assert (audit["logger"], audit["event"]) == ("services.audit", "login")
    assert audit["message"] == f"event=login user={audit['user']} ip=127.0.0.1"
    asked = {"method": "POST", "route": "/api/auth/login", "status": 200}
    assert access.items() >= asked.items()
    assert 0 < access["duration_ms"] < 5000


def test_a_failed_login_names_the_address_by_its_fingerprint(api, ada, written):
    api.log_in(password="wrong")
    (line,) = [line for line in written() if line.get("event") == "login_failed"]
    assert re.fullmatch("[0-9a-f]{12}", line["address"])


def test_all_lines_of_a_request_and_its_answer_have_one_id_and_no_other_request_has_it(
    api, ada, written
):
    written()
    ids = [api.log_in().headers["X-Request-ID"] for _ in range(2)]
    assert [line["request_id"] for line in written()] == [ids[0], ids[0], ids[1], ids[1]]
    assert ids[0] != ids[1]


def test_in_development_the_id_is_in_the_text(api, written):
    written(DEVELOPMENT)
    number = api.get("/healthz/").headers["X-Request-ID"]
    assert re.search(rf"INFO {number} GET unknown 404 \d+\.\d ms$", written(DEVELOPMENT))


@pytest.mark.parametrize("given", ["a", "A-z_0.9", "x" * 64])
def test_the_id_of_a_caller_is_kept(api, written, given):
    assert api.get("/", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given
    assert written()[-1]["request_id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", 'a"b', "a,b", "é", "{}", "<b>"])
def test_an_id_that_is_long_or_not_well_formed_is_replaced(api, written, given):
    connection = http.client.HTTPConnection("127.0.0.1", api.server.effective_port, timeout=10)
    connection.request("GET", "/", headers={"X-Request-ID": given.encode("latin-1")})
    made = connection.getresponse().headers["X-Request-ID"]
    connection.close()
    assert re.fullmatch("[0-9a-f]{16}", made)
    assert written()[-1]["request_id"] == made


def test_a_failure_is_one_line_with_the_traceback_in_a_field(api, written):
    api.app.add_url_rule("/api/fails", view_func=fails)
    number = api.get("/api/fails").headers["X-Request-ID"]
    failure, access = written()
    assert failure["level"] == "ERROR"
    assert failure["request_id"] == access["request_id"] == number
    assert failure["traceback"].startswith("Traceback")
    assert failure["traceback"].endswith("RuntimeError: unforeseen")


def fails(*_):
    raise RuntimeError("unforeseen")


def test_a_line_about_a_mail_has_the_id_of_the_mail_and_of_no_request(api, ada, mailbox, written):
    mailbox.reply = lambda recipient: "550 No such user"
    api.forgot()
    wish = wait_until(lambda: Mail.objects(state=Mail.GIVEN_UP).first())
    (line,) = wait_until(lambda: [line for line in written() if "given up" in line["message"]])
    assert line["mail"] == str(wish.id)
    assert "request_id" not in line


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_that_succeed_are_not_logged_and_those_that_fail_are(api, written, path, clock):
    api.get(path)
    assert written() == []
    Mail(kind="reset", email="x", created_at=0, due_at=1e12).save()
    api.get(path)
    assert [line["status"] for line in written()] == ([503] if path == "/readyz" else [])


@pytest.mark.parametrize("broken", ["application", "hook"])
def test_what_servers_say_of_a_request_that_breaks_names_no_path(http, app, written, broken):
    if broken == "hook":
        app.after_request(fails)
    http.app = fails if broken == "application" else app
    assert requests.get(f"{http.url}/reset/eyJsecret", timeout=10).status_code == 500
    text = json.dumps(lines := written())
    assert any("traceback" in line for line in lines)
    assert "eyJsecret" not in text


def test_all_that_run_py_says_in_production_is_json(run, smtp):
    settings = SETTINGS | {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": smtp}
    del settings["MONGODB_URI"]
    server = run(**settings)
    server.post("/api/auth/signup", **ADA)
    server.terminate()
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert lines[0]["message"] == f"Movie-bag is on 127.0.0.1:{server.port}"
    assert "signup" in [line.get("event") for line in lines]


def test_only_who_has_the_key_can_make_the_fingerprint_of_an_address(make_app):
    made = set()
    for letter in "ab":
        with make_app(JWT_SECRET_KEY=letter * 32).app_context():
            made |= {fingerprint("ada@example.com"), fingerprint("ada@example.com")}
    assert len(made) == 2
    assert all(re.fullmatch("[0-9a-f]{12}", each) for each in made)
