"""The reference pages: each is what its generator returns, and is true of the running product."""

import re
from collections import defaultdict
from itertools import chain

import pytest
import requests
from jsonschema import Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families

from database.models import ADMIN, User
from production_checks import REQUIRED_IN_PRODUCTION
from scripts.reference import api as api_page
from scripts.reference import application, commands, errors, events, metrics, settings, values
from scripts.reference.pages import FOLDER, PAGES
from services import settings_changes
from services.event_service import MAIL_EVENTS, Event
from tests.support.api_keys import create_key
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.concurrency import wait_until
from tests.support.email_client import verify_all
from tests.support.factor_client import (
    code_of,
    confirm_totp,
    reauthenticate,
    remove_totp,
    renew_codes,
    start_totp,
)
from tests.support.markdown import anchors
from tests.support.passkeys import add_passkey, listed, log_in
from tests.support.processes import HOME, free_port
from tests.support.smtp_server import text_of, token_in

# What the mail server of the test replies to each recipient.
REPLIES = {ADA["email"]: "250 OK", EVE["email"]: "451 busy", "bob@example.com": "550 no mailbox"}
ENV_EXAMPLE = (HOME / ".env.example").read_text()


class TestPages:
    @pytest.mark.parametrize("name", PAGES)
    def test_page_is_up_to_date(self, name):
        path = FOLDER / name
        written = path.read_text() if path.exists() else ""
        assert written == PAGES[name](), f"docs/reference/{name} is out of date: make reference"

    def test_folder_has_no_other_page(self):
        assert sorted(path.name for path in FOLDER.iterdir()) == sorted(PAGES)

    def test_environment_changes_no_page(self, monkeypatch):
        before = [render() for render in PAGES.values()]
        for name, value in {"APP_ENV": "production", "PORT": "1", "COLUMNS": "40"}.items():
            monkeypatch.setenv(name, value)
        application.application.cache_clear()
        application.document.cache_clear()
        assert [render() for render in PAGES.values()] == before

    @pytest.mark.parametrize("name", PAGES)
    def test_anchors_are_unique(self, name):
        found = anchors(FOLDER / name)
        assert len(set(found)) == len(found)


class TestSettings:
    def test_setting_without_explanation_fails(self):
        text = ENV_EXAMPLE.replace("# The password at the mail server.\n", "")
        with pytest.raises(ValueError, match="does not explain MAIL_PASSWORD"):
            list(settings.read_groups(text))

    def test_setting_that_is_not_shown_fails(self):
        text = ENV_EXAMPLE.replace("# MAIL_PASSWORD=\n", "")
        with pytest.raises(ValueError, match="does not have MAIL_PASSWORD"):
            list(settings.read_groups(text))

    def test_required_settings_say_so(self):
        groups = settings.read_groups(ENV_EXAMPLE)
        explained = chain.from_iterable(group.settings for group in groups)
        required = {it.name for it in explained if it.comment.startswith("Required in production")}
        assert required == set(REQUIRED_IN_PRODUCTION)

    def test_values_are_words(self):
        accepted = {
            "PORT": "a whole number, 1 to 65,535",
            "MAIL_USE_TLS": "`true` or `false`",
            "APP_ENV": "`development` or `production`",
            "RESET_URL": "a link that contains {token}",
            "PUBLIC_URL": "an http or https URL",
            "RATELIMIT_LOGIN_PER_IP": "one limit or more, as `5 per minute; 50 per day`",
        }
        assert {name: settings.accepted(name) for name in accepted} == accepted


class TestErrors:
    def test_page_has_every_error_of_the_openapi_document(self):
        schema = application.document()["components"]["schemas"]["ErrorName"]
        names = sorted(described.name for described in errors.described_errors())
        assert names == schema["enum"]

    def test_operations_are_those_that_answer_it(self):
        sections = [" ".join(part.split()) for part in errors.render().split("\n## ")]
        answered = {part.split("`")[1]: part.partition("Answered by: ")[2] for part in sections[1:]}
        assert answered["UsedTokenError"].startswith("[resetPassword](api.md#resetpassword), ")
        assert answered["InternalServerError"] == "any request"
        assert answered["RequestTooLargeError"].startswith("every operation but [checkHealth]")
        assert answered["LastAdminError"].count("](api.md#") == 4

    def test_every_error_says_when_and_what_to_do(self):
        for described in errors.described_errors():
            assert described.when.endswith(".") and described.what_to_do.endswith("."), described


class TestCommands:
    def test_every_command_explains_itself_and_its_options(self):
        for path, command in commands.walk(application.application().cli):
            options = [it for it in command.params if it.param_type_name == "option"]
            assert command.help, path
            assert [it.name for it in options if not it.help] == [], path

    def test_commands_that_create_the_database_say_so(self):
        creating = [part for part in commands.render().split("### ") if commands.CREATES in part]
        names = ["movies import", "user create", "user import", "user invite"]
        assert sorted(part.split("\n")[0] for part in creating) == names


class TestMetrics:
    def test_running_server_exposes_what_the_page_lists(self, run):
        port = free_port()
        run(METRICS_PORT=port, BCRYPT_LOG_ROUNDS=5)  # a label is one of hashes of fewer rounds
        text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
        families = {
            family.name + ("_total" if family.type == "counter" else ""): family
            for family in text_string_to_metric_families(text)
            if family.name.startswith("movie_bag_") and not family.name.endswith("_created")
        }
        rows = re.findall(r"^\| `(movie_bag_\w+)` \| (.+) \|$", metrics.render(), re.MULTILINE)
        assert dict(rows).keys() == families.keys()
        for name, row in rows:
            labels = {label for sample in families[name].samples for label in sample.labels}
            assert set(re.findall("`(\\w+)`", row)) == labels - {"le"}
            assert families[name].documentation in row


class TestApi:
    def test_example_of_a_response_fits_its_schema(self):
        schemas = application.document()["components"]["schemas"]
        for name in api_page.response_names():
            schema = {"$ref": f"#/components/schemas/{name}"}
            validator = Draft202012Validator({**schema, "components": {"schemas": schemas}})
            assert not [*validator.iter_errors(values.example(schema))], name

    def test_page_explains_a_field_in_words(self):
        page = api_page.render()
        line = "A line of 1 to 200 characters; blanks around it are removed."
        assert f"| `name` | body | yes | {line} |" in page
        assert r"\x00" not in page


class TestEvents:
    """The lines of the log have the fields of the page, no other, and each in some line."""

    @pytest.fixture
    def fields(self, caplog):
        """Return a function that returns the fields which the lines of each event had so far."""
        caplog.set_level("INFO")

        def fields():
            found = defaultdict(set)
            for record in caplog.records:
                if event := vars(record).get("event"):
                    found[event] |= vars(record).keys() & (events.FIELD.keys() - {"request_id"})
            return dict(found)

        return fields

    def test_security_events(self, api, fields, mailbox, tmp_path):
        api.sign_up()
        User.objects.update(set__role=ADMIN)
        admin = api.log_in().json()["token"]
        act_as_admin(api, admin, mailbox)
        key = create_key(api, {"token": admin})
        api.delete(f"/api/keys/{key['id']}", token=admin)
        be_refused(api, admin)
        use_sessions(api)
        use_factors(api, api.log_in().json()["token"])
        use_passwords(api, mailbox)
        use_emails(api, mailbox)
        use_commands(api, tmp_path)
        documented = {it: set(events.FIELDS[it]) for it in Event if it not in MAIL_EVENTS}
        found = {event: names for event, names in fields().items() if event in documented}
        assert found == documented

    def test_mail_events(self, api, fields, mailbox):
        mailbox.reply = REPLIES.get
        for address in REPLIES:
            api.sign_up(email=address)
            api.forgot(address)
        wait_until(lambda: fields().keys() >= set(MAIL_EVENTS))
        assert {it: fields()[it] for it in MAIL_EVENTS} == {
            it: set(events.FIELDS[it]) for it in MAIL_EVENTS
        }


def act_as_admin(api, token, mailbox):
    invited = api.post("/api/users", json={"email": "dan@example.com"}, token=token)
    assert invited.status_code == 200
    accept = {"invite_token": mailed_token(mailbox, "dan@example.com", "invite")}
    api.post("/api/auth/invite", json=accept | {"password": NEW_PASSWORD})
    user_id = api.post("/api/users", json=EVE, token=token).json()["id"]
    for role in ("admin", "user"):
        api.patch(f"/api/users/{user_id}", json={"role": role}, token=token)
    api.get("/api/users/me/export", token=token)
    api.delete(f"/api/users/{user_id}/sessions", token=token)
    api.post(f"/api/users/{user_id}/reset", token=token)
    for is_disabled in (True, False):
        api.patch(f"/api/users/{user_id}", json={"disabled": is_disabled}, token=token)
        api.log_in(**EVE)
    api.get("/api/users", token=api.log_in(**EVE).json()["token"])
    api.delete(f"/api/users/{user_id}", token=token)


def be_refused(api, token):
    api.verify("nonsense")
    settings = {"RATELIMIT_ENABLED": True, "RATELIMIT_WRITES_PER_USER": "1 per hour"}
    former = {name: api.app.config[name] for name in settings}
    api.app.config.update(settings)
    for _ in range(2):
        api.patch("/api/users/me", json={"name": "Ada"}, token=token)
    api.app.config.update(former)


def use_sessions(api):
    headers = {"User-Agent": "curl/8.5.0"}
    api.post("/api/auth/login", json=ADA, headers=headers)
    first = api.log_in().json()["refresh_token"]
    api.refresh(first)
    api.refresh(first)
    api.refresh_as("another program", first)
    api.log_out(api.log_in().json()["token"])
    other, token = api.log_in(), api.log_in().json()["token"]
    assert other.ok
    sessions = api.get("/api/auth/sessions", token=token).json()
    session_id = next(it["id"] for it in sessions if not it["current"])
    api.delete(f"/api/auth/sessions/{session_id}", token=token)
    api.delete("/api/auth/sessions", token=token)


def use_factors(api, token):
    verify_all()
    passkey = add_passkey(api, token, sign_count=1)
    log_in(api, passkey, sign_count=1)
    (stored,) = listed(api, token)
    api.delete(f"/api/auth/passkeys/{stored['id']}", token=token)
    token = reauthenticate(api, token, current_password=ADA["password"]).json()["token"]
    secret = start_totp(api, token).json()["secret"]
    confirm_totp(api, token, code_of(secret))
    renewed = renew_codes(api, token).json()["recovery_codes"]
    body = {"mfa_token": api.log_in().json()["mfa_token"]}
    for recovery_code in ("wrong", renewed[0]):
        api.post("/api/auth/login/mfa", json=body | {"recovery_code": recovery_code})
    remove_totp(api, token)
    api.app.test_cli_runner().invoke(args=["user", "reset", ADA["email"], "--factors"])


def use_passwords(api, mailbox):
    api.log_in(password="a wrong one")
    body = {"current_password": "a wrong one", "password": NEW_PASSWORD}
    token = api.log_in().json()["token"]
    api.put("/api/auth/password", json=body, token=token)
    api.put("/api/auth/password", json=body | {"current_password": ADA["password"]}, token=token)
    api.forgot()
    api.reset(mailed_token(mailbox, ADA["email"], "reset"), ADA["password"])


def use_emails(api, mailbox):
    api.sign_up(**EVE)
    api.app.config["EMAIL_VERIFICATION"] = "required"
    api.sign_up(**EVE)
    api.log_in(**EVE)
    api.post("/api/auth/email/resend", json={"email": EVE["email"]})
    confirm = {"confirm_token": mailed_token(mailbox, EVE["email"], "confirm")}
    api.post("/api/auth/email/confirm", json=confirm)
    token = api.log_in(**EVE).json()["token"]
    for name, action in (("bob", "reject"), ("carol", "confirm")):
        change = {"email": f"{name}@example.com", "current_password": EVE["password"]}
        api.put("/api/auth/email", json=change, token=token)
        confirm = {"confirm_token": mailed_token(mailbox, change["email"], "confirm")}
        api.post(f"/api/auth/email/{action}", json=confirm)
    undo = {"undo_token": mailed_token(mailbox, EVE["email"], "undo")}
    api.post("/api/auth/email/undo", json=undo)


def use_commands(api, folder):
    run = api.app.test_cli_runner().invoke
    users = folder / "users.jsonl"
    users.write_text('{"email": "frank@example.com"}')
    assert run(args=["user", "export"]).exit_code == 0
    assert run(args=["user", "import", str(users)]).exit_code == 0
    with api.app.app_context():
        settings_changes.record_changes({**api.app.config, "EVENT_DAYS": 1})


def mailed_token(mailbox, email, page):
    """Return the token of the link to a page in an email to this address."""

    def find():
        return [mail for mail in mailbox.to(email) if f"/{page}/" in text_of(mail)]

    return token_in(wait_until(find)[-1])
