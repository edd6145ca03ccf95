"""docs: "one place per question". Each rule of it that holds today has its test here.

A rule about the source is a function over the syntax trees of the product's modules, tried on a
line that breaks it as well.
"""

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import mongoengine
import pytest
from jinja2 import StrictUndefined

from config import SettingsSchema
from database.documents import BELONGS_TO_USER, DOCUMENTS
from database.models import Job, User
from database.passkeys import Challenge
from resources.routes import PAGE_ROUTES
from scripts.lint.source import SourceFile, read_files
from services import (
    email_change_service,
    email_service,
    invitation_service,
    mail_kinds,
    mail_service,
    password_service,
    token_claims,
    token_service,
    user_service,
)
from services.errors import TokenError, UsedTokenError
from services.event_service import Event
from services.link_service import LINKS
from services.mail_kinds import (
    CONFIRM_CHANGE,
    CONFIRM_EMAIL,
    EMAIL_CHANGED,
    EMAIL_RESTORED,
    FINISH_SIGNUP,
    INVITATION,
    MAILS,
    NEW_DEVICE,
    Letter,
)
from services.mail_queue import SEND_EMAIL
from services.movie_service import DELETE_MOVIES
from services.token_claims import Claims
from services.token_service import (
    ACCESS,
    CHANGE,
    CONFIRM,
    INVITE,
    MFA,
    PWD_RESET,
    REFRESH,
    UNDO,
)
from tests.support.client import ADA, NEW_PASSWORD
from tests.support.concurrency import run_simultaneously
from tests.support.emails import subject_of
from tests.support.processes import HOME
from tests.support.stored_user import read_stored_user
from tests.support.tokens import (
    FORMER_CHANGE,
    PENDING_CHANGE,
    decode_parts,
    link_token,
    store_changes,
)
from tests.support.users import create_session, create_user

PRODUCT = [file for file in read_files(HOME) if file.is_product]
MODELS = "database/models.py"
EMAILS = "database/emails.py"
FACTORS = "database/factors.py"
SECRETS = "database/stored_secrets.py"


@cache
def nodes(file: SourceFile) -> list[tuple[str, ast.AST]]:
    """Return each node of a file with the place where it is: "path:function"."""
    return list(walk(file.tree, f"{file.path}:"))


def walk(node: ast.AST, place: str) -> Iterator[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        inner = place
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{place}.{child.name}".replace(":.", ":")
        yield inner, child
        yield from walk(child, inner)


def all_nodes(files: list[SourceFile]) -> Iterator[tuple[str, ast.AST]]:
    for file in files:
        yield from nodes(file)


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` of an expression that is one, of others what they end with."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{dotted(value)}.{name}"
        case ast.Call(func=function):
            return dotted(function)
    return ""


def references(files: list[SourceFile], module: str, name: str) -> set[str]:
    """Return where a function of a module is used, under whatever name it is imported."""
    found = set()
    for file in files:
        names = names_of(file, module, name)
        found |= {place for place, node in nodes(file) if is_read(node) and dotted(node) in names}
    return found


def is_read(node: ast.AST) -> bool:
    return isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load)


def calls(files: list[SourceFile]) -> Iterator[tuple[str, ast.Call]]:
    return ((place, node) for place, node in all_nodes(files) if isinstance(node, ast.Call))


def names_of(file: SourceFile, module: str, name: str) -> set[str]:
    """Return the expressions that mean this function in a file."""
    package, _, stem = module.rpartition(".")
    names = {name} if file.module == module else set()
    for node in ast.walk(file.tree):
        if isinstance(node, ast.ImportFrom) and node.module == module:
            names |= {alias.asname or name for alias in node.names if alias.name == name}
        elif isinstance(node, ast.ImportFrom) and node.module == package:
            modules = (alias.asname or stem for alias in node.names if alias.name == stem)
            names |= {f"{imported}.{name}" for imported in modules}
        elif isinstance(node, ast.Import):
            modules = (alias.asname or module for alias in node.names if alias.name == module)
            names |= {f"{imported}.{name}" for imported in modules}
    return names


def calls_of(files: list[SourceFile], method: str) -> set[str]:
    """Return where a method, or anything else with its name, is used as an attribute."""
    return {
        place
        for place, node in all_nodes(files)
        if isinstance(node, ast.Attribute) and node.attr == method
    }


def source(text: str, path: str = "services/new_service.py") -> list[SourceFile]:
    """Return the product and one more file."""
    return [*PRODUCT, SourceFile(path, text)]


class TestWhoMayOpenASession:
    """auth_service.open_session: every way to log in ends there."""

    IMPORTS = (
        "from services import session_service\nsession_service.create(user, '')",
        "from services import session_service as s\ndef f():\n    s.create(user, '')",
        "from services.session_service import create as c\nc(user, '')",
        "import services.session_service\nservices.session_service.create(user, '')",
        "from services import session_service\nfunction = session_service.create",
    )

    @staticmethod
    def callers(files):
        return references(files, "services.session_service", "create")

    def test_create_has_one_caller(self):
        assert self.callers(PRODUCT) == {"services/auth_service.py:open_session"}

    def test_sessions_are_stored_by_create_alone(self):
        assert calls_of(PRODUCT, "add_session") == {"services/session_service.py:create"}

    @pytest.mark.parametrize("text", IMPORTS)
    def test_another_caller_is_found(self, text):
        assert len(self.callers(source(text))) == 2


# What a user who is created has, and what only later changes set.
FIRST_CREDENTIALS = {"password", "password_version", "sessions"}
CREDENTIALS = FIRST_CREDENTIALS | {
    *("email_version", "verified_at", "confirmed_token", "pending_change", "former_emails"),
    "factors",
}
UPDATES = {"update", "update_one", "modify", "upsert_one", "find_one_and_update", "create"}


def credentials_set(files: list[SourceFile]) -> set[str]:
    """Return where a credential of a user is set."""
    return {place for place, node in all_nodes(files) if sets_credential(node)}


def sets_credential(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr=name, ctx=ast.Store() | ast.Del()):
            return name in CREDENTIALS
        case ast.Call(func=ast.Name(id="setattr"), args=[_, name, *_]):
            return is_credential(name)
        case ast.Call(func=ast.Name(id="User"), keywords=keywords):
            return any(keyword.arg in {None, *FIRST_CREDENTIALS} for keyword in keywords)
        case ast.Call(func=ast.Attribute(attr=method), keywords=keywords) if method in UPDATES:
            is_of_users = dotted(node).startswith(("User.", "user.", "cls."))
            return any(is_update(keyword.arg, is_of_users) for keyword in keywords)
        case ast.Dict(keys=[ast.Constant(value=str(operator)), *_]) if operator.startswith("$"):
            inner = (value for value in node.values if isinstance(value, ast.Dict))
            return any(is_credential(key) for value in inner for key in value.keys)
    return False


def is_update(argument: str | None, is_of_users: bool) -> bool:
    """Return whether an argument of update_one() sets a credential; None is `**arguments`."""
    if argument is None:
        return is_of_users
    operator, _, field = argument.rpartition("__")
    return field in CREDENTIALS or operator.partition("__")[2] in CREDENTIALS


def is_credential(key: ast.AST | None) -> bool:
    """Return whether a key of an update is a credential or a part of it: "sessions.<id>"."""
    match key:
        case (
            ast.Constant(value=str(text))
            | ast.JoinedStr(values=[ast.Constant(value=str(text)), *_])
        ):
            return text.partition(".")[0] in CREDENTIALS
    return False


class TestWhatAChangeOfCredentialsRevokes:
    """The methods of User and functions of database/: else only a signup sets a credential."""

    METHODS = {
        "add_session",
        "change_credentials",
        "refresh_session",
        "replace_hash",
        "revoke_all_sessions",
        "revoke_session",
    }
    FUNCTIONS = {
        *(f"{EMAILS}:{name}" for name in ("verify", "request_change", "drop_change")),
        f"{EMAILS}:forget_former_email",
        *(f"{FACTORS}:{name}" for name in ("store_pending_totp", "use_code", "use_recovery_code")),
        *(f"{SECRETS}:{name}" for name in ("replace", "remove")),
        "database/users.py:revoke_sessions_of_everyone",
        "database/users.py:set_role",  # a demotion removes the API keys
    }
    BROKEN = (
        "user.password = hashed",
        "user.password_version += 1",
        "del user.sessions",
        "setattr(user, 'password', hashed)",
        "User(email=email, password=hashed).save()",
        "User(**fields).save()",
        "User.objects(id=i).update_one(set__password=hashed)",
        "User.objects(id=i).update_one(password=hashed)",
        "User.objects.update(inc__password_version=1)",
        "User.objects(id=i).modify(unset__sessions=1)",
        "User.objects(id=i).update_one(set__sessions__x=session)",
        "User.objects(id=i).update_one(**changes)",
        "users.update_one({}, {'$set': {'password': hashed}})",
        "users.update_one({}, {'$unset': {f'sessions.{i}': 1}})",
        "users.update_one({}, {'$inc': {'password_version': 1}})",
        "user.verified_at = time.time()",
        "User.objects(id=i).update_one(set__verified_at=1.0)",
        "User.objects(id=i).update_one(set__pending_change__email=email)",
        "users.update_one({}, {'$set': {f'former_emails.{i}': former}})",
        "user.factors = {}",
        "User.objects(id=i).update_one(set__factors__totp=totp)",
        "users.update_one({}, {'$set': {'factors.totp': totp}})",
    )

    CREATING = {
        "services/auth_service.py:sign_up",
        "services/invitation_service.py:invite",
        "services/user_import_service.py:UserImport.prepare",
    }

    def test_credentials_are_set_in_the_database_and_at_creation(self):
        # The documents of compatibility.py are in a collection of its own.
        product = [file for file in PRODUCT if file.path != "database/compatibility.py"]
        found = credentials_set(product) - self.CREATING
        allowed = {f"{MODELS}:User.{method}" for method in self.METHODS}
        assert found <= allowed | self.FUNCTIONS

    @pytest.mark.parametrize("text", BROKEN)
    def test_another_place_is_found(self, text):
        found = credentials_set(source(text)) - credentials_set(PRODUCT)
        assert found == {"services/new_service.py:"}

    def test_five_services_change_credentials(self):
        module, factors = "services/password_service.py", "services/factor_service.py"
        callers = calls_of(PRODUCT, "change_credentials")
        assert callers == {
            f"{module}:_set_password",
            "services/email_change_service.py:_replace",
            "services/invitation_service.py:accept",
            "services/user_service.py:_disable",
            *(f"{factors}:{function}" for function in ("_add_totp", "_change")),
        }
        assert calls_of(PRODUCT, "replace_hash") == {f"{module}:upgrade_hash"}


SIGNING = r"\b(create_\w+_token|encode_jwt|jwt\.encode)$"
# Libraries that sign, and the functions that do it in one that resources import for other things.
SIGNER = re.compile(r"(jwt|itsdangerous|jose|joserfc|authlib)\.|flask_jwt_extended\..*create_")


class LinkUse(NamedTuple):
    """How a link is opened and used, and an update after which it has an old version."""

    open: Callable[[str], tuple[User, Claims]]
    use: Callable[[User, Claims], Any]
    next_version: dict[str, Any]


def reset(user: User, claims: Claims) -> None:
    password_service.reset_password(user, NEW_PASSWORD)


def accept(user: User, claims: Claims) -> None:
    invitation_service.accept(user, NEW_PASSWORD)


# A new row of LINKS needs one here.
USES = {
    PWD_RESET: LinkUse(password_service.open_reset_link, reset, {"inc__password_version": 1}),
    CONFIRM: LinkUse(
        email_service.open_confirmation, email_service.confirm, {"inc__email_version": 1}
    ),
    CHANGE: LinkUse(
        email_service.open_confirmation,
        email_service.confirm,
        {"set__pending_change__id": "c" * 24},
    ),
    UNDO: LinkUse(
        email_change_service.open_undo,
        email_change_service.undo,
        {f"unset__former_emails__{FORMER_CHANGE['id']}": True},
    ),
    INVITE: LinkUse(invitation_service.open_invitation, accept, {"inc__password_version": 1}),
}
VERSIONS = {
    **{PWD_RESET: 0, CONFIRM: 0, INVITE: 0},
    **{CHANGE: PENDING_CHANGE["id"], UNDO: FORMER_CHANGE["id"]},
}
# Using one once more with the same token changes nothing and is no error.
IDEMPOTENT = (CONFIRM, CHANGE)
EACH_LINK = pytest.mark.parametrize("scope", LINKS)


def use_link(app, scope: str, token: str) -> str:
    with app.app_context():
        try:
            USES[scope].use(*USES[scope].open(token))
        except TokenError:
            return "refused"
    return "used"


def signed_scopes(files: list[SourceFile]) -> set[str]:
    """Return the name of the first argument of each call of token_service.encode."""
    scopes = set()
    for file in files:
        names = names_of(file, "services.token_service", "encode")
        scopes |= {dotted(call.args[0]) for _, call in calls([file]) if dotted(call) in names}
    return scopes


def signer_imports(files: list[SourceFile]) -> set[str]:
    """Return the files that import something that signs, under whatever name."""
    found = set()
    for place, node in all_nodes(files):
        match node:
            case ast.Import(names=names):
                imported = [f"{alias.name}." for alias in names]
            case ast.ImportFrom(module=str(module), names=names):
                imported = [f"{module}.{alias.name}" for alias in names]
            case _:
                imported = []
        found |= {place.partition(":")[0] for name in imported if SIGNER.match(name)}
    return found


class TestWhichTokensAreSigned:
    """token_service signs: sessions, logins that wait for a code, and the links of LINKS."""

    IMPORTS = (
        "from itsdangerous import URLSafeTimedSerializer",
        "from jwt import encode as e",
        "import jwt.api_jwt as tokens",
        "from flask_jwt_extended import create_refresh_token as c",
    )

    def test_one_module_imports_what_signs(self):
        # It takes the format of public keys from there.
        others = {"private_keys.py"}
        assert signer_imports(PRODUCT) - others == {"services/token_service.py"}

    @pytest.mark.parametrize("text", IMPORTS)
    def test_another_import_is_found(self, text):
        assert "services/new_service.py" in signer_imports(source(text))

    def test_one_function_signs(self):
        found = {place for place, call in calls(PRODUCT) if re.search(SIGNING, dotted(call))}
        assert found == {"services/token_service.py:encode"}

    def test_three_functions_use_it(self):
        found = references(PRODUCT, "services.token_service", "encode")
        assert found == {
            "services/session_service.py:issue_tokens",
            "services/link_service.py:encode_link",
            "services/factor_service.py:code_required",
        }

    def test_scopes_are_those_of_logins_and_of_the_table(self):
        assert signed_scopes(PRODUCT) == {"ACCESS", "REFRESH", "MFA", "link.scope"}

    def test_another_scope_is_found(self):
        text = "from services.token_service import encode\nencode(MAGIC, user, 60.0, {})"
        assert "MAGIC" in signed_scopes(source(text))

    def test_links_are_made_in_the_table_alone(self):
        kind = type(LINKS[PWD_RESET]).__name__
        found = {place for place, call in calls(PRODUCT) if dotted(call).endswith(kind)}
        assert found == {"services/link_service.py:"}

    def test_every_scope_has_a_schema_of_its_claims(self):
        assert token_service.SCHEMAS.keys() == {ACCESS, REFRESH, MFA, *LINKS}
        for scope, link in LINKS.items():
            assert link.scope == scope
            assert link.version_claim not in token_claims.LinkTokenSchema().fields
            assert token_service.SCHEMAS[scope].fields[link.version_claim].required

    def test_every_link_has_a_use(self):
        assert USES.keys() == LINKS.keys() == VERSIONS.keys()

    @EACH_LINK
    def test_link_is_void_once_its_version_has_changed(self, app, scope):
        link, user = LINKS[scope], store_changes(create_user(ADA["email"]))
        token, other = link_token(app, user, scope), store_changes(create_user("b@x.example"))
        claims = decode_parts(token)[1]
        assert (claims["scope"], claims[link.version_claim]) == (scope, VERSIONS[scope])
        with app.app_context():
            assert USES[scope].open(token)[0] == user
            User.objects(id=other.id).update_one(**USES[scope].next_version)
            assert USES[scope].open(token)[0] == user
            User.objects(id=user.id).update_one(**USES[scope].next_version)
            with pytest.raises(UsedTokenError):
                USES[scope].open(token)

    @EACH_LINK
    def test_link_works_once(self, app, atomic, scope):
        token = link_token(app, store_changes(create_user(ADA["email"])), scope)
        results = run_simultaneously(4, lambda _: use_link(app, scope, token))
        again = "used" if scope in IDEMPOTENT else "refused"
        assert sorted(results) == sorted([again] * 3 + ["used"])
        stored = read_stored_user()
        assert use_link(app, scope, token) == again
        assert read_stored_user() == stored

    @EACH_LINK
    def test_one_of_several_links_works(self, app, atomic, scope):
        user = store_changes(create_user(ADA["email"]))
        tokens = [link_token(app, user, scope) for _ in range(4)]
        results = run_simultaneously(4, lambda index: use_link(app, scope, tokens[index]))
        assert sorted(results) == ["refused"] * 3 + ["used"]

    @EACH_LINK
    def test_password_reset_voids_all_links_but_an_undo(self, app, scope):
        user = store_changes(create_user(ADA["email"]))
        token = link_token(app, user, scope)
        with app.app_context():
            password_service.reset_password(user, NEW_PASSWORD)
        assert use_link(app, scope, token) == ("used" if scope == UNDO else "refused")

    @EACH_LINK
    def test_link_names_settings_that_exist_and_a_page(self, scope):
        link = LINKS[scope]
        assert {link.url_setting, link.lifetime_setting} <= SettingsSchema().fields.keys()
        path = urlsplit(SettingsSchema().load({})[link.url_setting]).path
        assert path.replace("{token}", "<token>") in PAGE_ROUTES

    @EACH_LINK
    def test_link_of_the_longest_lifetime_is_valid(self, make_app, scope):
        setting = LINKS[scope].lifetime_setting
        (limits,) = SettingsSchema().fields[setting].validators
        app = make_app(**{setting: limits.max})
        token = link_token(app, store_changes(create_user(ADA["email"])), scope)
        assert use_link(app, scope, token) == "used"

    def test_every_link_is_in_an_email(self):
        assert {kind.link for kind in MAILS.values()} - {None} == set(LINKS.values())


OF_REFRESH_TOKENS = {"sid", "gen"}
# Names that other dictionaries have too: users and sessions.
COMMON_WORDS = {"role", "verified", "amr"}
OUR_CLAIMS = {*OF_REFRESH_TOKENS, *COMMON_WORDS, "iss", "aud", "client_id", "auth_time"}
TOKENS = "services/access_tokens.py"
CLAIMS = ("access_claims", "session_claims")


def claims_set(files: list[SourceFile]) -> set[str]:
    """Return where one of our claims gets a value: in a dictionary, as an argument or an item."""
    found = set()
    for place, node in all_nodes(files):
        match node:
            case ast.Dict(keys=keys):
                names = {key.value for key in keys if isinstance(key, ast.Constant)}
            case ast.Subscript(slice=ast.Constant(value=name), ctx=ast.Store()):
                names = {name}
            case ast.keyword(arg=name):
                names = {name}
            case _:
                names = set()
        is_passing_them = any("additional_claims" in str(name) for name in names)
        if names & (OUR_CLAIMS - COMMON_WORDS) or is_passing_them:
            found.add(place)
    return found


class TestWhatAnAccessTokenSays:
    """access_tokens: a function returns the claims of a kind of token, token_service signs them."""

    def test_claims_are_these(self, app):
        tokens = create_session(app, create_user(ADA["email"]))
        said, of_refresh = (decode_parts(tokens[name])[1] for name in ("token", "refresh_token"))
        ours = {"scope", "sub", "iat", "exp", "jti"}
        assert said.keys() == ours | OUR_CLAIMS | {"fresh", "type"}  # two are the library's
        assert of_refresh.keys() == ours | OF_REFRESH_TOKENS

    def test_one_function_sets_those_of_a_kind(self):
        # A stored session has an `auth_time` too, from which that claim is.
        stored = {"services/session_service.py:reauthenticate"}
        signing = {"services/token_service.py:encode"}
        setting = {f"{TOKENS}:access_claims", f"{TOKENS}:session_claims"}
        assert claims_set(PRODUCT) == setting | signing | stored

    def test_they_are_signed_at_one_place(self):
        signing = "services/session_service.py:issue_tokens"
        reading = "services/introspection_service.py:introspect"
        callers = {name: references(PRODUCT, "services.access_tokens", name) for name in CLAIMS}
        assert callers == {
            "session_claims": {signing, f"{TOKENS}:access_claims"},
            "access_claims": {signing, reading},
        }

    def test_auth_time_is_read_from_a_session_by_one_function(self):
        # Introspection names the claims that it shows.
        writing = {"services/session_service.py:reauthenticate", f"{TOKENS}:access_claims"}
        named = {place for place, text in texts(PRODUCT) if text == "auth_time"}
        reading = {"services/introspection_service.py:"}
        assert named == writing | reading | {f"{TOKENS}:auth_time"}

    @pytest.mark.parametrize(
        "text",
        [
            "claims['sid'] = 'x'",
            "{**claims, 'gen': 1}",
            "dict(claims, auth_time=1)",
            "claims['aud'] = 'another'",
            "{**claims, 'iss': 'another'}",
            "encode(scope, user, 60, {'client_id': 'x'})",
            "create_access_token(u, additional_claims={})",
        ],
    )
    def test_another_place_is_found(self, text):
        assert "services/new_service.py:" in claims_set(source(text))


# The name of a field that holds a user's id or email, as far as a name tells.
OF_A_USER = re.compile("user|email|owner|account|actor|added_by|member|author")


def document_classes(files: list[SourceFile]) -> set[str]:
    """Return the names of the document classes that have a collection."""
    return {
        node.name
        for _, node in all_nodes(files)
        if isinstance(node, ast.ClassDef)
        and any(re.search(r"\b(Dynamic)?Document$", dotted(base)) for base in node.bases)
    }


def may_belong_to_a_user(document: type) -> bool:
    fields = document._fields.values()
    return any(
        OF_A_USER.search(field.name) or isinstance(field, mongoengine.DictField) for field in fields
    )


def store_example(document, field: str, value: str):
    """Store a document of which this field has this value; a job is not due."""
    name, _, key = field.partition("__")
    examples = {mongoengine.StringField: f"of {value}", mongoengine.FloatField: 10.0**10}
    fields = {
        required.name: examples[type(required)]
        for required in document._fields.values()
        if required.required and type(required) in examples
    }
    return document(**fields | {name: {key: value} if key else value}).save()


class TestWhatBelongsToAUser:
    """BELONGS_TO_USER: deletion goes through it."""

    def test_table_of_documents_is_complete(self):
        assert {document.__name__ for document in DOCUMENTS} == document_classes(PRODUCT)

    def test_another_class_is_found(self):
        text = "import mongoengine as db\nclass Note(db.Document):\n    pass"
        assert "Note" in document_classes(source(text))

    def test_class_with_a_user_is_in_the_table(self):
        others = {document for document in DOCUMENTS if may_belong_to_a_user(document)} - {User}
        assert others == {ownership.document for ownership in BELONGS_TO_USER}

    def test_class_with_a_user_is_found(self):
        class Note(mongoengine.EmbeddedDocument):
            owner_id = mongoengine.StringField()

        assert may_belong_to_a_user(Note)

    @pytest.mark.parametrize(
        "ownership", BELONGS_TO_USER, ids=lambda ownership: ownership.document.__name__
    )
    def test_deletion_leaves_none(self, app, stopped_worker, ownership):
        document, users = ownership.document, [create_user(f"{n}@x.example") for n in "ab"]
        own, other = (
            store_example(document, ownership.field, str(getattr(user, ownership.key)))
            for user in users
        )
        with app.app_context():
            user_service.delete(users[0])
            Job.objects(kind__in=[DELETE_MOVIES, SEND_EMAIL]).update(set__run_at=0.0)
            stopped_worker.run_due_jobs()
        # The deletion itself is an event, which stays.
        kept = [it for it in document.objects if getattr(it, "event", "") != Event.USER_DELETED]
        assert own != kept[0]
        assert kept == [other]


def event_literals(files: list[SourceFile]) -> set[str]:
    """Return where the name of an event is a text, or a text has `event=` and a name."""
    names = "|".join(Event)
    pattern = re.compile(rf"^({names})$|\bevent[\"']?[=:] ?[\"']?({names})\b")
    return {
        place
        for place, text in texts(files)
        if pattern.search(text) and not is_of_another_kind(place, text)
    }


def texts(files: list[SourceFile]) -> Iterator[tuple[str, str]]:
    """Yield every text of the source that is no docstring and not the name of an operation."""
    others = {node.value for _, node in all_nodes(files) if isinstance(node, ast.Expr)}
    others |= {
        keyword.value
        for _, call in calls(files)
        for keyword in call.keywords
        if dotted(call) in ("response", "token_response") and keyword.arg == "name"
    }
    for place, node in all_nodes(files):
        match node:
            case ast.Constant(value=str(text)) if node not in others:
                yield place, text


def is_of_another_kind(place: str, text: str) -> bool:
    """Return whether this names an email, or what a challenge is for: they may be called so."""
    is_mail = place == "services/mail_kinds.py:" and text in MAILS
    # The check of a database spends a challenge too.
    modules = ("database/passkeys.py:Challenge", "database/compatibility.py:find_and_delete")
    is_purpose = place.startswith(modules) and text == Challenge.LOGIN
    return is_mail or is_purpose


class TestWhatCanHappen:
    """Event: each event is named there alone, and recorded by one function."""

    def test_name_of_an_event_is_no_literal_elsewhere(self):
        assert event_literals(PRODUCT) == {"services/event_service.py:Event"}

    @pytest.mark.parametrize(
        "text", ["record('login')", "audit_log.write('login_failed')", "f'event=logout user={i}'"]
    )
    def test_literal_is_found(self, text):
        assert "services/new_service.py:" in event_literals(source(text))

    def test_every_event_is_used(self):
        used = {
            dotted(node).split(".")[1]
            for _, node in all_nodes(PRODUCT)
            if is_read(node) and dotted(node).startswith("Event.")
        }
        assert used == set(Event.__members__)

    def test_one_function_records(self):
        place = {"services/event_service.py:record"}
        assert references(PRODUCT, "infra.audit_log", "write") == place
        # The module itself creates the counters, which begin at 0.
        module = "services/event_service.py:"
        assert references(PRODUCT, "infra.metrics", "EVENTS") == place | {module}

    def test_webhooks_come_from_events_alone(self):
        found = references(PRODUCT, "services.webhook_service", "enqueue")
        assert found == {"services/event_service.py:_queue_webhooks"}


# Emails to an address that is not verified have no name. That of a change is not verified yet.
TO_UNVERIFIED = {CONFIRM_EMAIL, FINISH_SIGNUP}
WHERE = {"at": repr(FORMER_CHANGE["at"]), "ip": "203.0.113.7"}
ARGUMENTS = {
    CONFIRM_CHANGE: {"to": PENDING_CHANGE["email"]},
    EMAIL_CHANGED: {
        **{"to": FORMER_CHANGE["email"], "change": FORMER_CHANGE["id"]},
        "at": repr(FORMER_CHANGE["at"]),
        "hint": "n…@example.com",
    },
    EMAIL_RESTORED: {"change": "c" * 24},
    mail_kinds.PASSWORD_CHANGED: {"after": "reset"},
    **dict.fromkeys(
        (
            mail_kinds.TOTP_ADDED,
            mail_kinds.TOTP_REMOVED,
            mail_kinds.RECOVERY_CODES_CREATED,
            mail_kinds.PASSKEY_ADDED,
            mail_kinds.PASSKEY_REMOVED,
        ),
        WHERE,
    ),
    mail_kinds.RECOVERY_CODE_USED: {**WHERE, "codes_left": "9"},
    NEW_DEVICE: {"since": "1.0", "until": "2.0"},
}
DEVICE = {"browser": "Firefox", "system": "Linux", "ip": "203.0.113.7", "first_at": 1.0}


def letter_of(name: str, user: User) -> Letter:
    """Return an email of this kind as a job asks for it that is about user."""
    arguments = {"mail": name, "to": user.email, **ARGUMENTS.get(name, {})}
    letter = MAILS[name].find_letter(name, arguments, user)
    assert letter.mail == name
    assert letter.email == arguments["to"]
    return letter


class TestWhichEmailsExist:
    """MAILS: each email has a row, and each row renders."""

    # Parts of emails.
    PARTS = {"layout.html", "link.html", "when.html"}

    def test_every_row_has_two_templates(self):
        paths = {path.name for path in (HOME / "templates" / "email").iterdir()}
        rows = {f"{name}.{suffix}" for name in MAILS for suffix in ("txt", "html")}
        assert paths == rows | self.PARTS

    @pytest.mark.parametrize("user_name", ["Ada", None])
    @pytest.mark.parametrize("name", MAILS)
    def test_every_row_renders(self, app, name, user_name):
        app.jinja_env.undefined = StrictUndefined
        kind, is_verified = MAILS[name], name not in TO_UNVERIFIED
        user = store_changes(create_user(ADA["email"]))
        user.modify(name=user_name, verified_at=1.0 if is_verified else None)
        user.modify(devices={"known": [DEVICE]})
        if name != INVITATION:
            user.modify(invited_at=None)
        letter = letter_of(name, user)
        with app.app_context():
            message = mail_service.compose(Job(id="0" * 24), letter)
            assert message.subject == subject_of(app, name)
        assert message.recipients == [letter.email]
        is_named = user_name and is_verified and name != CONFIRM_CHANGE
        for text in (message.body, message.html):
            assert ("Ada" in text) == bool(is_named)
            assert ("https://movie-bag.example/" in text) == bool(kind.link)
            assert not re.search(r"{[{%]|None|Undefined", text)

    def test_every_row_is_used(self):
        names = {name: value for name, value in vars(mail_kinds).items() if name.isupper()}
        rows = {name for name, value in names.items() if value in list(MAILS)}
        assert len(rows) == len(MAILS)
        table = {"services/mail_kinds.py:"}
        assert all(references(PRODUCT, "services.mail_kinds", name) - table for name in rows)
