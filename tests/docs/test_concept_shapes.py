"""docs/concepts: the examples of documents and tokens have the shape of the product's own."""

import json
import re
import time

import pytest
from bson import ObjectId, json_util
from pymongo import MongoClient

from database import started_settings
from database.db import ensure_indexes
from database.documents import DOCUMENTS
from database.migrations import VERSIONS
from database.models import Session, User
from jobs.queue import SEND_DELAY
from resources.routes import API_ROUTES
from services import settings_changes
from services.event_service import STORE_EVENT
from services.mail_kinds import EMAIL_CHANGED, NEW_DEVICE, RECOVERY_CODE_USED, RESET_PASSWORD
from services.token_service import (
    ACCESS,
    CHANGE,
    CONFIRM,
    INVITE,
    MFA,
    PWD_RESET,
    REFRESH,
    SCHEMAS,
    UNDO,
)
from services.webhook_service import SEND_WEBHOOK
from tests.support.api_keys import store_key
from tests.support.authenticator import assertion, new_passkey, registration, to_bytes
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.factor_client import enrol
from tests.support.markdown import code, sections, table
from tests.support.private_keys import EC_KEY, setting
from tests.support.processes import HOME
from tests.support.smtp_server import token_in
from tests.support.tokens import decode_parts, link_token
from tests.support.webhooks import SECRET, stop_webhooks

CONCEPTS = HOME / "docs" / "concepts"
STORED, TOKENS = sections(CONCEPTS / "documents.md"), sections(CONCEPTS / "tokens.md")
COLLECTIONS = [code(cell)[0] for cell, *_ in table(STORED[""], "collection")]
EACH_COLLECTION = pytest.mark.parametrize("name", COLLECTIONS)
BLOCKS = [block for part in TOKENS.values() for block in part.blocks if block.language == "json"]
EXAMPLES = [it for block in BLOCKS if "payload" in (it := json.loads(block.source))]
(PUBLIC_KEYS,) = (it for block in BLOCKS if "keys" in (it := json.loads(block.source)))
EACH_SCOPE = pytest.mark.parametrize("scope", SCHEMAS)
# The keys of a map, as the table of fields writes them.
MAP_KEYS = {
    r"[0-9a-f]{16}": "<id>",
    r"g\d+": "<generation>",
    r"[0-9a-f]{24}": "<change>",
    r"[0-9a-f]{64}": "<digest>",
    r"\d+_\d+": "<limit>",
    r"[A-Z]+(_[A-Z]+)+": "<setting>",
}
OLD_EMAIL, NEW_EMAIL = "ada@old.example", "ada@new.example"
HEX_ID = re.compile(r"[0-9a-f]{24}")


def confirm(api, token):
    assert api.post("/api/auth/email/confirm", json={"confirm_token": token}).status_code == 200


def change_email(api, token, email, password):
    body = {"email": email, "current_password": password}
    assert api.put("/api/auth/email", token=token, json=body).status_code == 200


def delete_user(api, token, password):
    response = api.delete("/api/users/me", token=token, json={"current_password": password})
    assert response.status_code == 200


def log_in_by_recovery_code(api, code, password):
    """Log in on a device that is new, whose browser keeps the refresh token in a cookie."""
    body = {"mfa_token": api.log_in(password=password).json()["mfa_token"], "recovery_code": code}
    headers = {"User-Agent": "curl/8.5.0", "Origin": api.app.config["PUBLIC_URL"]}
    response = api.post("/api/auth/login/mfa", json=body | {"cookie": True}, headers=headers)
    assert response.status_code == 200


def add_passkey(api, token):
    """Add a passkey and reauthenticate with it; return the next pair."""
    options = api.post("/api/auth/passkeys/options", token=token).json()
    passkey = new_passkey(to_bytes(options["user"]["id"]), sign_count=1)
    body = {"name": "Ada's phone", "credential": registration(passkey, options)}
    assert api.post("/api/auth/passkeys", token=token, json=body).status_code == 200
    options = api.post("/api/auth/login/passkey/options").json()
    body = {"credential": assertion(passkey, options)}
    return api.post("/api/auth/reauthenticate", token=token, json=body).json()


def placeholder(key):
    return next((name for keys, name in MAP_KEYS.items() if re.fullmatch(keys, key)), key)


def shape(value):
    """Return the keys and types of a document, however deep; like entries of a map count once."""
    if isinstance(value, dict):
        pairs = {f"{placeholder(key)}: {shape(inner)}" for key, inner in value.items()}
        return f"{{{', '.join(sorted(pairs))}}}"
    if isinstance(value, list):
        return f"list of {', '.join(sorted({shape(item) for item in value}))}"
    is_id = isinstance(value, str) and HEX_ID.fullmatch(value)
    return "24 hex digits" if is_id else type(value).__name__


def paths(value, path=""):
    """Yield the dotted path of each field, and whether it has no fields itself."""
    for key, inner in value.items():
        inner_path = f"{path}.{placeholder(key)}".lstrip(".")
        if not isinstance(inner, dict):
            yield inner_path, True
        elif inner:
            yield inner_path, False
            yield from paths(inner, inner_path)


# Of "correct horse battery", by Django's hasher with one round.
DJANGO_HASH = "pbkdf2_sha256$1$salt$JYNwuzKQP2HDmNqzFbI4LpAmdQnHjrRjcNuJfwqbpBw="
MOVIE = {"name": "Heat", "casts": ["Al Pacino"], "genres": ["Crime"]}


class TestDocuments:
    @pytest.fixture
    def collections(self, database, documents):
        with MongoClient(database) as client:
            yield client.get_default_database()

    @pytest.fixture
    def app(self, make_app):
        # With limits, because wrong codes are counted in the user's document.
        settings = {"EMAIL_VERIFICATION": "optional", "RATELIMIT_ENABLED": True}
        settings |= {"WEBHOOK_URLS": "http://localhost/", "WEBHOOK_SECRET": SECRET}
        app = make_app(APP_ENV="development", **settings)
        stop_webhooks(app)
        return app

    @pytest.fixture
    def work(self, app, stopped_worker, clock):
        """Return a function that does the jobs that are due after so many seconds."""

        def work_after(seconds):
            clock.shift(seconds)
            with app.app_context():
                stopped_worker.run_due_jobs()

        return work_after

    @pytest.fixture
    def notice(self, api, work, mailbox, collections):
        """Sign Ada up, change her email and return the job that her former email is notified by."""
        api.sign_up(email=OLD_EMAIL, name="Ada")
        work(SEND_DELAY)
        confirm(api, token_in(mailbox.mails[-1]))
        token = api.log_in(email=OLD_EMAIL).json()["token"]
        change_email(api, token, ADA["email"], ADA["password"])
        work(SEND_DELAY)
        confirm(api, token_in(mailbox.mails[-1]))
        api.log_out(token)
        return collections["job"].find_one({"arguments.mail": EMAIL_CHANGED})

    @pytest.fixture
    def used(self, api, work, mailbox, collections, notice, tmp_path):
        """Let users and an operator act; return Ada's tokens, and jobs that were queued by that."""
        jobs = collections["job"]
        pair = self.log_in_on_two_devices(api)
        warning, login = (
            jobs.find_one({"arguments.mail": mail}) for mail in (RECOVERY_CODE_USED, NEW_DEVICE)
        )
        self.begin_to_add_factors(api, work, mailbox)
        self.act_as_operator(api, tmp_path)
        change_email(api, pair["token"], NEW_EMAIL, NEW_PASSWORD)
        store_key(User.objects.get(email=ADA["email"]))
        others = [jobs.find_one({"kind": kind}) for kind in (STORE_EVENT, SEND_WEBHOOK)]
        return pair, [notice, warning, login, *others]

    @pytest.fixture
    def stored(self, api, work, mailbox, collections, used):
        """Return what the product stores, in the order of the examples."""
        pair, earlier = used
        names = ("user", "hash_kind", "passkey", "challenge", "started_settings")
        found = {name: [*collections[name].find()] for name in names}
        (passkey,) = found["passkey"]
        passkey["backed_up"] = bool(passkey["backed_up"])  # the embedded database returns 0
        found["reserved_email"] = [*collections["reserved_email"].find({"_id": OLD_EMAIL})]
        work(SEND_DELAY)
        jobs = self.delay_a_reset_link(api, work, mailbox, collections["job"])
        work(60)
        api.post("/api/movies", token=pair["token"], json=MOVIE)
        found["movie"] = [*collections["movie"].find()]
        found["sent_mail"] = [*collections["sent_mail"].find({"_id": jobs[0]["_id"]})]
        assert api.get("/readyz").status_code == 200
        events = collections["stored_event"]
        kept = [events.find_one({"event": name}) for name in ("login", "login_failed")]
        kept.append(events.find_one({"event": "user_disabled"}))
        delete_user(api, pair["token"], NEW_PASSWORD)
        kept.append(events.find_one({"event": "user_deleted"}))
        of_ada = {"attempts": 0, "arguments.user_id": str(found["user"][0]["_id"])}
        found["job"] = [*jobs, *earlier, *collections["job"].find(of_ada)]
        names = ("schema_version", "write_check")
        current = {name: [*collections[name].find()] for name in names}
        return {**found, "stored_event": kept, **current}

    @staticmethod
    def delay_a_reset_link(api, work, mailbox, jobs):
        """Return the job of a link before and after the mail server refuses it for now."""
        api.forgot()
        queued = jobs.find_one({"arguments.mail": RESET_PASSWORD})
        mailbox.reply = "451 later"
        work(SEND_DELAY)
        delayed = jobs.find_one({"_id": queued["_id"]})
        # The embedded database returns 0.
        delayed["waits_for_service"] = bool(delayed["waits_for_service"])
        mailbox.accept_everything()
        return queued, delayed

    @staticmethod
    def log_in_on_two_devices(api):
        pair = api.log_in().json()
        pair = api.refresh(pair["refresh_token"]).json()
        change = {"current_password": ADA["password"], "password": NEW_PASSWORD}
        pair = api.put("/api/auth/password", token=pair["token"], json=change).json()
        codes = enrol(api, pair).recovery_codes
        pair = api.refresh(pair["refresh_token"]).json()
        log_in_by_recovery_code(api, codes[0], NEW_PASSWORD)
        return add_passkey(api, pair["token"])

    @staticmethod
    def begin_to_add_factors(api, work, mailbox):
        """Let Eve begin to add factors and fail to log in, and somebody log in with a passkey."""
        api.sign_up(**EVE)
        work(SEND_DELAY)
        (mail,) = mailbox.to(EVE["email"])
        confirm(api, token_in(mail))
        token = api.refresh(api.log_in(**EVE).json()["refresh_token"]).json()["token"]
        api.post("/api/auth/mfa/totp", token=token)
        api.post("/api/auth/mfa/totp/confirm", token=token, json={"code": "000000"})
        api.post("/api/auth/passkeys/options", token=token)
        api.post("/api/auth/login/passkey/options")
        api.log_in(**EVE | {"password": "a wrong one"})

    @staticmethod
    def act_as_operator(api, folder):
        """Invite and disable Dan, import Grace, and start the service."""
        users = folder / "users.jsonl"
        users.write_text(json.dumps({"email": "grace@example.com", "hash": DJANGO_HASH}))
        run = api.app.test_cli_runner().invoke
        for words in (
            ["user", "invite", "dan@example.com"],
            ["user", "disable", "dan@example.com"],
            ["user", "import", str(users)],
        ):
            assert run(args=words).exit_code == 0
        with api.app.app_context():
            settings_changes.record_changes(api.app.config)

    def test_table_has_every_collection(self):
        classes = {document._get_collection_name() for document in DOCUMENTS}
        assert {*COLLECTIONS} == classes | {VERSIONS, "write_check", started_settings.COLLECTION}

    def test_examples_have_the_shapes_of_stored_documents(self, stored):
        examples = {
            name: [shape(json_util.loads(block.source)) for block in STORED[name].blocks]
            for name in COLLECTIONS
        }
        assert examples == {name: [*map(shape, found)] for name, found in stored.items()}

    @EACH_COLLECTION
    def test_table_has_every_field(self, name):
        fields = {code(field)[0] for field, _ in table(STORED[name], "field")}
        examples = [json.loads(block.source) for block in STORED[name].blocks]
        for example in examples:
            example["_id"] = str(example["_id"])
        found = [path for example in examples for path in paths(example)]
        assert {path for path, is_leaf in found if is_leaf} <= fields
        assert fields <= {path for path, _ in found}

    def test_tables_have_every_field_of_the_classes(self):
        for document in DOCUMENTS:
            section = STORED[document._get_collection_name()]
            written = {code(field)[0].split(".")[0] for field, _ in table(section, "field")}
            assert {it.db_field for it in document._fields.values()} <= written
        fields = [code(field)[0].split(".") for field, _ in table(STORED["user"], "field")]
        assert {names[2] for names in fields if len(names) > 2 and names[0] == "sessions"} == {
            *Session._fields
        }

    @EACH_COLLECTION
    def test_table_has_every_index(self, collections, name):
        for document in DOCUMENTS:
            ensure_indexes(document)
        created = collections[name].index_information().values()
        indexes = {(*(field for field, _ in it["key"]), bool(it.get("unique"))) for it in created}
        rows = table(STORED[name], "index")
        written = {(*code(index), index.endswith("unique")) for index, _ in rows}
        assert written == indexes | {("_id", False)}

    def test_reference_and_time_are_as_the_conventions_say(self, stored):
        (movie,), (user, *_) = stored["movie"], stored["user"]
        assert ObjectId(movie["added_by"]) == user["_id"]
        assert isinstance(user["created_at"], float)


class TestTokens:
    @pytest.fixture
    def app(self, make_app):
        return make_app(JWT_PRIVATE_KEYS=setting(EC_KEY))

    @pytest.fixture
    def tokens(self, app, api, ada, mailed_token, mails):
        """Return header and claims of a token of each scope."""
        tokens = {ACCESS: ada["token"], REFRESH: ada["refresh_token"], PWD_RESET: mailed_token}
        api.post("/api/auth/email/resend", json={"email": ADA["email"]})
        tokens[CONFIRM] = token_in(mails()[-1])
        confirm(api, tokens[CONFIRM])
        change_email(api, ada["token"], NEW_EMAIL, ADA["password"])
        tokens[CHANGE] = token_in(mails()[-1])
        confirm(api, tokens[CHANGE])
        tokens[UNDO] = token_in(mails()[-1])
        enrol(api, ada)
        invited = User(email="dan@example.com", password="", invited_at=time.time()).save()
        tokens[INVITE] = link_token(app, invited, INVITE)
        tokens[MFA] = api.log_in(email=NEW_EMAIL).json()["mfa_token"]
        return {scope: decode_parts(token) for scope, token in tokens.items()}

    @EACH_SCOPE
    def test_example_has_the_shape_of_a_token(self, tokens, scope):
        (example,) = (it for it in EXAMPLES if it["payload"]["scope"] == scope)
        header, claims = tokens[scope]
        assert shape(example) == shape({"header": header, "payload": claims})
        assert example["payload"]["scope"] == claims["scope"] == scope
        assert example["header"] | {"kid": header["kid"]} == header

    def test_table_has_every_claim(self, tokens):
        scopes_of = {}
        for scope, (header, claims) in tokens.items():
            for claim in header | claims:
                scopes_of.setdefault(claim, set()).add(scope)
        written = {
            code(claim)[0]: set(SCHEMAS) if scopes == "all" else set(scopes.split(", "))
            for claim, _, _, scopes in table(TOKENS["Claims"], "claim")
        }
        assert written == scopes_of

    def test_claim_that_nobody_reads_is_no_field_of_a_schema(self):
        rows = table(TOKENS["Claims"], "claim")
        others = ("nobody", "other services")
        unread = {code(claim)[0] for claim, _, reader, _ in rows if reader in others}
        read = {code(claim)[0] for claim, *_ in rows} - unread
        fields = {name for schema in SCHEMAS.values() for name in schema.fields} - {"nbf"}
        assert read == fields | {"scope", "kid", "alg", "typ"}

    def test_claim_that_never_changes_is_that_of_the_example(self, tokens):
        (example,) = (it for it in EXAMPLES if it["payload"]["scope"] == ACCESS)
        for name in ("type", "fresh", "client_id", "amr"):
            assert example["payload"][name] == tokens[ACCESS][1][name]

    def test_example_of_public_keys_has_their_shape(self, api):
        published = api.get("/.well-known/jwks.json").json()
        assert shape(PUBLIC_KEYS) == shape(published)
        (key,) = PUBLIC_KEYS["keys"]
        for name in ("kty", "crv", "alg", "use"):
            assert key[name] == published["keys"][0][name]

    def test_table_has_every_scope(self):
        rows = table(TOKENS[""], "scope")
        assert {code(scope)[0] for scope, *_ in rows} == SCHEMAS.keys()

    def test_table_has_every_route_of_another_scope(self):
        *rows, other = table(TOKENS["Which token opens what"], "route")
        written = {code(route)[0]: (*code(scopes),) for route, scopes, _ in rows}
        scopes = {
            f"{method} {path}": getattr(resource, method.lower()).operation.scopes
            for path, resource in API_ROUTES.items()
            for method in resource.methods
        }
        others = {key: value for key, value in scopes.items() if key not in written}
        assert written == {key: scopes[key] for key in written}
        assert set(others.values()) == {(), (*code(other[1]),)}
