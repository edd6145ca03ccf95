"""docs/scaling.md: its table has every index of the large collections."""

from database.models import Job, Movie, User
from tests.support.documentation import DOCS
from tests.support.markdown import code, sections, table


def fields_of(index):
    """Return the fields of an index in one of the spellings that mongoengine has."""
    fields = index["fields"] if isinstance(index, dict) else index
    return fields if isinstance(fields, str) else ", ".join(fields)


def test_table_has_every_index():
    collection, found = "", {}
    for name, index, *_ in table(sections(DOCS / "scaling.md")["MongoDB"], "collection"):
        collection = name.strip("`") or collection
        found.setdefault(collection, set()).add(code(index)[0])
    documents = {"user": User, "job": Job, "movie": Movie}
    expected = {name: set(map(fields_of, it._meta["indexes"])) for name, it in documents.items()}
    assert {name: fields - {"_id"} for name, fields in found.items()} == expected
