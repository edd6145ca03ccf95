"""The launcher: a program that starts nx-27017 0.8.1 with its faults fixed.

Each fix replaces one function of nx-27017 or of neosqlite 1.17.2, its storage; the comment above
it says what that function gets wrong. tests/integration/test_embedded_database.py has a test for
each.
"""

import logging
import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import Any

from neosqlite.collection import datetime_utils
from neosqlite.collection.index_manager import IndexManager
from neosqlite.collection.json_path_utils import parse_json_path
from neosqlite.collection.query_engine import QueryEngine
from neosqlite.collection.query_helper import QueryHelper
from neosqlite.connection import Connection
from neosqlite.objectid import ObjectId
from neosqlite.sql_utils import quote_table_name
from nx_27017 import nx_27017
from nx_27017.handler import NeoSQLiteHandler

Document = dict[str, Any]
Reply = tuple[int, Document]
Where = tuple[str | None, list[Any]]

# MongoDB's error codes.
DUPLICATE_KEY = 11000
DUPLICATE_KEY_MESSAGE = "E11000 duplicate key error"
INDEX_NOT_FOUND = 27
COMPARISONS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


# neosqlite takes text that begins like a date for a date, and compares only the date.
def is_datetime_value(value: object) -> bool:
    """Report whether a value is a date."""
    return isinstance(value, datetime)


class CommandError(BaseException):
    """Carry an error and its code past nx-27017's `except Exception`."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


# findAndModify of nx-27017 catches every Exception and reports that no document matched.
def raise_write_errors(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return an operation of findAndModify whose errors reach handle_command."""

    def operation(*args: Any, **options: Any) -> Any:
        try:
            return original(*args, **options)
        except sqlite3.IntegrityError:
            raise CommandError(DUPLICATE_KEY_MESSAGE, DUPLICATE_KEY) from None
        except Exception as error:
            raise CommandError(str(error)) from error

    return operation


# The handler of nx-27017 gives no code to an error of findAndModify and createIndexes.
def handle_command(original: Callable[..., Reply]) -> Callable[..., Reply]:
    """Return nx-27017's command handler, with MongoDB's error codes."""

    def handle(handler: NeoSQLiteHandler, message: Document) -> Reply:
        try:
            return original(handler, message)
        except sqlite3.IntegrityError:
            error = CommandError(DUPLICATE_KEY_MESSAGE, DUPLICATE_KEY)
        except CommandError as raised:
            error = raised
        reply = {"ok": 0, "errmsg": str(error), "code": error.code}
        return message["request_id"], {k: v for k, v in reply.items() if v is not None}

    return handle


# neosqlite makes a table for a collection that is only read or deleted from.
def list_collections(original: Callable[..., Reply]) -> Callable[..., Reply]:
    """Return listCollections of nx-27017 without what MongoDB would not have made."""

    def reply(handler: NeoSQLiteHandler, request_id: int, db: Connection, *args: Any) -> Reply:
        sent_id, body = original(handler, request_id, db, *args)
        cursor = body["cursor"]
        cursor["firstBatch"] = [it for it in cursor["firstBatch"] if _is_made(db, it["name"])]
        return sent_id, body

    return reply


def _is_made(db: Connection, name: str) -> bool:
    """Return whether a collection has a document, or an index besides that of _id."""
    rows = f"SELECT 1 FROM {quote_table_name(name)}"  # noqa: S608 (quoted)
    indexes = "SELECT 1 FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND name != ?"
    query = f"SELECT EXISTS ({rows}) OR EXISTS ({indexes})"
    (is_made,) = db.db.execute(query, (name, f"idx_{name}_id")).fetchone()
    return bool(is_made)


# Plain equality must match an element of a list too. neosqlite adds `OR EXISTS (…)` for that,
# which rules out an index; or, judging by an index's name, leaves it out and misses the lists.
def needs_no_list_search(helper: QueryHelper, field: str) -> bool:
    """Report whether an index is on a field and no document has a list there."""
    table, path = quote_table_name(helper.collection.name), parse_json_path(field)
    execute = helper.collection.db.execute
    indexes = "SELECT 1 FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND instr(sql, ?)"
    if not execute(indexes, (table, f"_extract(data, '{path}')")).fetchone():
        return False
    has_list = f"json_type(data, '{path}') = 'array'"
    execute(f'CREATE INDEX IF NOT EXISTS "lists_{table}_{field}" ON {table}(id) WHERE {has_list}')
    return not execute(f"SELECT 1 FROM {table} WHERE {has_list} LIMIT 1").fetchone()


# neosqlite rejects an index that has _id in it. SQLite's index leads to the row by itself.
ending_with_id: set[tuple[str, str]] = set()  # collection and name of each index without its _id


def create_index(original: Callable[..., str]) -> Callable[..., str]:
    """Return neosqlite's create_index, which leaves _id out of a compound index."""

    def create(manager: IndexManager, key: Any, *args: Any, **options: Any) -> str:
        if isinstance(key, list) and len(key) > 1 and key[-1][0] == "_id":
            key = key[:-1]
            ending_with_id.add((manager.collection.name, _index_name(dict(key))))
        return original(manager, key, *args, **options)

    return create


# nx-27017 lists an index by its name in SQLite, and ignores a command to drop a compound index by
# its name in MongoDB.
def index_information(original: Callable[..., Document]) -> Callable[..., Document]:
    """Return neosqlite's list of indexes, by MongoDB's default names."""

    def information(manager: IndexManager) -> Document:
        indexes = [index for index in original(manager).values() if "key" in index]
        for index in indexes:
            if (manager.collection.name, _index_name(index["key"])) in ending_with_id:
                index["key"] = {**index["key"], "_id": 1}
        return {_index_name(index["key"]): index for index in indexes}

    return information


def drop_index(
    original: Callable[..., None], listed: Callable[..., Document]
) -> Callable[..., None]:
    """Return neosqlite's drop_index, by MongoDB's default names."""

    def drop(manager: IndexManager, name: str) -> None:
        wanted = name.replace("-1", "1").removesuffix("__id_1")
        for stored, index in listed(manager).items():
            if "key" in index and _index_name(index["key"]) == wanted:
                return original(manager, stored)
        raise CommandError(f"index not found with name [{name}]", INDEX_NOT_FOUND)

    return drop


def _index_name(key: Document) -> str:
    return "_".join(f"{field}_1" for field in key)


# neosqlite compares _id in Python, after it has read every document (100,000: 1.3 s a page).
def build_id_clause(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return neosqlite's translation of a condition on _id, with comparisons in SQL."""

    def build(helper: QueryHelper, condition: Document) -> tuple[str, list[Any]] | None:
        if not all(
            operator in COMPARISONS and isinstance(value, str | ObjectId)
            for operator, value in condition.items()
        ):
            result: tuple[str, list[Any]] | None = original(helper, condition)
            return result
        # Within a collection every _id has the same type. An ObjectId is stored as its 24 digits.
        clauses = [f"{helper._id_column_ref()} {COMPARISONS[operator]} ?" for operator in condition]
        return " AND ".join(clauses), [str(value) for value in condition.values()]

    return build


# Updates, deletes and findAndModify translate a query in another way than find does: without
# regard to indexes. Of 100,000 waiting jobs, a claim read and sorted all (150 ms).
class Translator:
    """Translate a query to SQL as find does, or as before where find would search in Python."""

    def __init__(self, engine: QueryEngine) -> None:
        self._find = engine.helpers._build_simple_where_clause
        self._before = engine.sql_translator.translate_match

    def translate_match(self, query: Document) -> Where:
        """Return the WHERE clause of a query, or None, and its parameters."""
        where: tuple[Any, ...] = self._find(query) or self._before(group_alternatives(query))
        return where[0], where[1]


# neosqlite joins `$or` to other conditions without parentheses: `a AND b OR c`.
def group_alternatives(query: Document) -> Document:
    """Return a query whose `$or` is in parentheses."""
    if "$or" not in query:
        return query
    return {"$and": [{field: condition} for field, condition in query.items()]}


def initialize_engine(original: Callable[..., None]) -> Callable[..., None]:
    """Return the constructor of neosqlite's query engine, with our translator."""

    def initialize(engine: QueryEngine, collection: Any) -> None:
        original(engine, collection)
        engine.sql_translator = Translator(engine)

    return initialize


def apply_fixes() -> None:
    """Replace the faulty functions."""
    datetime_utils.is_datetime_value = is_datetime_value
    NeoSQLiteHandler.handle_command = handle_command(NeoSQLiteHandler.handle_command)
    list_all = NeoSQLiteHandler._handle_list_collections
    NeoSQLiteHandler._handle_list_collections = list_collections(list_all)
    for operation in ("find_one_and_update", "find_one_and_replace", "find_one_and_delete"):
        setattr(QueryEngine, operation, raise_write_errors(getattr(QueryEngine, operation)))
    QueryEngine.__init__ = initialize_engine(QueryEngine.__init__)
    QueryHelper._field_has_index = needs_no_list_search
    QueryHelper._build_id_operator_clause = build_id_clause(QueryHelper._build_id_operator_clause)
    IndexManager.create_index = create_index(IndexManager.create_index)
    listed = IndexManager.index_information
    IndexManager.drop_index = drop_index(IndexManager.drop_index, listed)
    IndexManager.index_information = index_information(listed)


if __name__ == "__main__":
    apply_fixes()
    # nx-27017 logs a line or two for each command and has no option against it.
    logging.disable(logging.INFO)
    nx_27017.main()
