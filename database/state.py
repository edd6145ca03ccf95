"""What an operator asks about a database: its clock, and which indexes are missing."""

from mongoengine import Document
from mongoengine.connection import get_db

from database.documents import DOCUMENTS


def server_time() -> float:
    """Return the time of the database server; raises one of DATABASE_ERRORS."""
    return float(get_db().command("hello")["localTime"].timestamp())


def missing_indexes() -> list[str]:
    """Return the indexes that are not there, each as collection and fields.

    A collection gets them with its first document: one that does not exist yet lacks none.
    """
    existing = set(get_db().list_collection_names())
    stored = [it for it in DOCUMENTS if it._get_collection_name() in existing]
    return [name for document in stored for name in _missing(document)]


def _missing(document: type[Document]) -> list[str]:
    collection = document._get_collection()
    # Some servers leave _id out of an index, which leads there anyway.
    present = {_fields(index["key"]) for index in collection.index_information().values()}
    wanted = {_fields(index) for index in document.list_indexes()}
    name = document._get_collection_name()
    return [f"{name} ({', '.join(fields)})" for fields in sorted(wanted - present)]


def _fields(key: list[tuple[str, object]]) -> tuple[str, ...]:
    return tuple(field for field, _ in key if field != "_id")
