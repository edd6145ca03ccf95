"""docs/scaling.md: its table has every index of the large collections."""

import re

from database.models import Job, Movie, User
from tests.support.processes import HOME

ROW = re.compile(r"^\| (?:`(\w+)`)? ?\| `([\w, ]+)`", re.MULTILINE)


def fields_of(index):
    """Return the fields of an index in one of the spellings that mongoengine has."""
    fields = index["fields"] if isinstance(index, dict) else index
    return fields if isinstance(fields, str) else ", ".join(fields)


def test_table_has_every_index():
    collection, found = "", {}
    for name, fields in ROW.findall((HOME / "docs/scaling.md").read_text()):
        collection = name or collection
        found.setdefault(collection, set()).add(fields)
    documents = {"user": User, "job": Job, "movie": Movie}
    expected = {name: set(map(fields_of, it._meta["indexes"])) for name, it in documents.items()}
    assert {name: fields - {"_id"} for name, fields in found.items()} == expected
