"""docs/concepts: every number and name is right, and the glossary is complete.

Stored documents and tokens are compared in test_concept_shapes.py, flows in test_concept_flows.py.
"""

import inspect
import re

import pytest

from database import models, sent_mail
from infra import one_time_codes, passkey_verification
from jobs import backoff, errors, lanes, queue, smtp, worker
from resources.routes import API_ROUTES, DEVELOPMENT_ROUTES, PAGE_ROUTES
from scripts.lint.source import read_files
from services import (
    device_service,
    email_service,
    factor_service,
    health_service,
    link_service,
    passkey_service,
    session_grace,
    session_service,
    token_keys,
    webhook_service,
)
from services.errors import MissingTokenError, TokenError
from tests.support.markdown import code, prose, sections, table
from tests.support.processes import HOME
from tests.support.settings import DEFAULTS

CONCEPTS = HOME / "docs" / "concepts"
PAGES = sorted(CONCEPTS.glob("*.md"))
JOBS, TOKENS, DOCUMENTS, GLOSSARY = (
    CONCEPTS / f"{name}.md" for name in ("jobs", "tokens", "documents", "glossary")
)
FIVE_FILES = "The code, in five files"
WITH_FILES = [page for page in PAGES if FIVE_FILES in sections(page)]
JOB_MODULES = (backoff, lanes, queue, smtp, worker)
OTHER_MODULES = (
    device_service,
    email_service,
    factor_service,
    health_service,
    link_service,
    models,
    one_time_codes,
    passkey_service,
    passkey_verification,
    sent_mail,
    session_grace,
    session_service,
    token_keys,
    webhook_service,
)
ROUTES = API_ROUTES | PAGE_ROUTES | DEVELOPMENT_ROUTES

# `NAME` (85 s) in a sentence, and `NAME` | 85 in a table.
NAMED_NUMBER = re.compile(r"`(?P<name>[A-Z][A-Z_]+)`(?: \(| \| )(?P<number>\d[\d.,]*\d|\d)\b[^)|]*")
# Numbers of steps, and what only looks like a number.
NO_FIGURE = re.compile(
    r"`[^`]+`|\]\([^)]+\)|SHA-256|RFC \d+|SP 800-63B|24 hex digits"
    r"|\| (after )?\d+ \||\(\d+(, \d+)*\)|steps? \d+( to \d+)?",
)
NUMBER = re.compile(r"\b\d+")
IDENTIFIER = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
ROUTE = re.compile(r"(?:[A-Z]+ )?(?P<path>/[\w/<>.-]+)")

ENTRY = re.compile(
    r"- \*\*(?P<term>[^*]+)\*\*: (?P<sentence>[^.]+) "
    r"\((\[[^]]+\]\([^)]+\), )?`(?P<file>[\w/]+\.(py|js|ts))`\)\.",
)
# What a reader of the code and of these pages meets.
TERMS = {
    "access token",
    "at-least-once delivery",
    "casefold",
    "challenge",
    "client IP",
    "compatibility",
    "conditional update",
    "DNS rebinding",
    "dummy hash",
    "email",
    "enqueue",
    "enumeration",
    "exponential backoff with jitter",
    "fail open",
    "failed",
    "fencing token",
    "generation",
    "grace",
    "handler",
    "hashing pool",
    "idempotent",
    "job",
    "job queue",
    "lane",
    "lease",
    "login token",
    "NoSQL injection",
    "OpenAPI document",
    "optimistic concurrency",
    "passkey",
    "prehash",
    "pseudonym",
    "queued",
    "reauthentication",
    "recent session",
    "recovery code",
    "refresh token",
    "refresh token reuse detection",
    "revoke",
    "RP ID",
    "scope",
    "second factor",
    "sent mail",
    "session",
    "sign count",
    "supervisor",
    "timing side channel",
    "user agent",
    "user handle",
    "user verification",
    "Web Lock",
    "webhook",
    "worker",
}
# Fields and claims whose names say it.
SELF_EXPLAINING = {
    "_id",
    "alg",
    "at",
    "casts",
    "created_at",
    "email",
    "genres",
    "html",
    "id",
    "ip",
    "mail",
    "name",
    "password",
    "sent_at",
    "sessions",
    "state",
    "subject",
    "text",
    "to",
    "typ",
    "until",
    "user",
    "user_agent",
    "user_id",
    "version",
    "written_at",
}


def numbers_of(modules):
    """Return the constants of these modules that are numbers."""
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, int | float)
    }


VALUES = DEFAULTS | numbers_of((*OTHER_MODULES, *JOB_MODULES))


def one_line(page):
    return re.sub(r"\s+", " ", prose(page))


@pytest.fixture(scope="module")
def words():
    """Return every word of the code and of its tests, those of the documentation apart."""
    texts = (file.text for file in read_files(HOME) if not file.path.startswith("tests/docs/"))
    return set(re.findall(r"\w+", " ".join(texts)))


@pytest.fixture(scope="module")
def entries():
    """Return the entries of the glossary: one sentence, the page if there is one, and the file."""
    items = re.split(r"\n(?=- )", prose(GLOSSARY).strip())[1:]
    found = [ENTRY.fullmatch(re.sub(r"\s+", " ", item)) for item in items]
    assert all(found), items[found.index(None)]
    return found


@pytest.fixture(scope="module")
def terms(entries):
    return [entry["term"].replace("`", "") for entry in entries]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
class TestPage:
    def test_number_is_that_of_the_code(self, page):
        written = [
            (found["name"], float(found["number"].replace(",", "")))
            for found in NAMED_NUMBER.finditer(one_line(page))
        ]
        assert written == [(name, VALUES[name]) for name, _ in written]

    def test_number_has_a_name(self, page):
        text = NO_FIGURE.sub("", NAMED_NUMBER.sub("", one_line(page)))
        assert NUMBER.findall(text) == []

    def test_name_is_one_of_the_code(self, page, words):
        names = {name for name in code(one_line(page)) if IDENTIFIER.fullmatch(name)}
        unknown = {name for name in names if not words.issuperset(name.split("."))}
        assert unknown == set()

    def test_route_is_one_of_the_code(self, page):
        routes = {
            found["path"] for name in code(one_line(page)) if (found := ROUTE.fullmatch(name))
        }
        assert routes <= ROUTES.keys()


class TestJobs:
    def test_table_has_every_constant(self):
        rows = table(sections(JOBS)["Constants"], "name")
        documented = {code(name)[0]: code(file)[0] for name, _, file, _ in rows}
        files = {
            name: f"{module.__name__.replace('.', '/')}.py"
            for module in JOB_MODULES
            for name in numbers_of([module])
            if re.search(rf"^{name} = ", inspect.getsource(module), re.M)
        }
        del files["SERVICE_CLOSING"]  # a code of SMTP, no figure
        assert documented == files | {"LATE_SECONDS": "services/health_service.py"}

    def test_table_has_every_error(self):
        rows = table(sections(JOBS)["Retry"], "raised")
        documented = {name for raised, *_ in rows for name in code(raised)}
        defined = vars(errors).values()
        assert documented == {it.__name__ for it in defined if inspect.isclass(it)}

    def test_states_of_the_diagram_are_stored(self):
        (diagram,) = sections(JOBS)["The life of a job"].blocks
        states = set(re.findall(r"--> (\w+):", diagram.source))
        stored = {models.Job.QUEUED, models.Job.FAILED}
        assert {state.lower() for state in states} == stored | {"leased", "deleted"}


class TestFlows:
    def test_pages_name_their_files(self):
        stems = ["address-change", "passkeys", "reset-flow", "second-factor"]
        assert [page.stem for page in WITH_FILES] == stems

    @pytest.mark.parametrize("page", WITH_FILES, ids=lambda page: page.stem)
    def test_code_is_at_most_five_files(self, page):
        rows = table(sections(page)[FIVE_FILES], "file")
        assert 1 <= len(rows) <= 5
        for file, names in rows:
            source = (HOME / code(file)[0]).read_text()
            for name in code(names):
                assert re.search(rf"^ *(def|class) {name}\b|^{name} = ", source, re.M), name


class TestTokens:
    def test_table_has_every_token_error(self):
        rows = table(sections(TOKENS)["Which token opens what"], "error")
        defined = {error.__name__ for error in (*TokenError.__subclasses__(), MissingTokenError)}
        assert {code(error)[0] for error, *_ in rows} == defined

    def test_table_has_every_lifetime(self):
        rows = table(sections(TOKENS)["Lifetimes"], "setting")
        lifetimes = {name for name in DEFAULTS if re.search("_EXPIRE|_MAX_AGE|_LEEWAY", name)}
        assert {code(setting)[0] for setting, *_ in rows} == lifetimes


class TestGlossary:
    def test_entries_are_sorted(self, terms):
        assert terms == sorted(terms, key=str.casefold)

    def test_term_has_one_entry(self, terms):
        assert len({term.casefold() for term in terms}) == len(terms)

    def test_file_of_an_entry_exists(self, entries):
        assert [entry["file"] for entry in entries if not (HOME / entry["file"]).is_file()] == []

    def test_term_of_the_field_has_an_entry(self, terms):
        assert TERMS - {*terms} == set()

    def test_claim_has_an_entry(self, terms):
        rows = table(sections(TOKENS)["Claims"], "claim")
        assert {code(claim)[0] for claim, *_ in rows} - SELF_EXPLAINING - {*terms} == set()

    def test_field_has_an_entry(self, terms):
        parts = sections(DOCUMENTS).values()
        fields = {code(field)[0] for part in parts for field, _ in table(part, "field")}
        names = {name for field in fields for name in field.split(".") if not name.startswith("<")}
        assert names - SELF_EXPLAINING - {*terms} == set()
