"""The pages about operations: their tables have the limits, defaults and indexes of the code."""

import re

from config import LIMITS
from database.events import StoredEvent
from database.models import Job, Movie, User
from tests.support.documentation import DOCS
from tests.support.markdown import code, sections, table
from tests.support.settings import DEFAULTS


def test_table_has_every_limit_with_its_default():
    rows = table(sections(DOCS / "limits.md")["Requests"], "setting")
    written = {code(name)[0]: default for name, default, _ in rows}
    assert written == {name: DEFAULTS[name] for name in LIMITS}


def test_table_has_every_grace_with_its_default():
    rows = table(sections(DOCS / "operations.md")["Sessions"], "setting")
    written = dict(re.fullmatch(r"`(\w+)` \((\d+) s\)", name).groups() for name, _ in rows)
    graces = [name for name in DEFAULTS if re.fullmatch("JWT_.*_(GRACE|LOST)", name)]
    assert written == {name: str(DEFAULTS[name]) for name in graces}


def fields_of(index):
    """Return the fields of an index in one of the spellings that mongoengine has."""
    fields = index["fields"] if isinstance(index, dict) else index
    return fields if isinstance(fields, str) else ", ".join(fields)


def test_table_has_every_index_of_the_large_collections():
    collection, found = "", {}
    for name, index, *_ in table(sections(DOCS / "scaling.md")["MongoDB"], "collection"):
        collection = name.strip("`") or collection
        found.setdefault(collection, set()).add(code(index)[0])
    documents = {"user": User, "job": Job, "stored_event": StoredEvent, "movie": Movie}
    expected = {name: set(map(fields_of, it._meta["indexes"])) for name, it in documents.items()}
    assert {name: fields - {"_id"} for name, fields in found.items()} == expected
