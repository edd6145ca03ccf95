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
# So many documents are rather found in the order of the result than one by one.
MANY = 2_000
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
    return has_index(helper, field) and not has_lists(helper, field)


def has_index(helper: QueryHelper, field: str) -> bool:
    """Report whether an index is on a field."""
    table, path = quote_table_name(helper.collection.name), parse_json_path(field)
    indexes = "SELECT 1 FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND instr(sql, ?)"
    found = helper.collection.db.execute(indexes, (table, f"_extract(data, '{path}')"))
    return found.fetchone() is not None


def has_lists(helper: QueryHelper, field: str) -> bool:
    """Report whether a document has a list in a field."""
    table, path = quote_table_name(helper.collection.name), parse_json_path(field)
    execute, has_list = helper.collection.db.execute, f"json_type(data, '{path}') = 'array'"
    execute(f'CREATE INDEX IF NOT EXISTS "lists_{table}_{field}" ON {table}(id) WHERE {has_list}')
    return execute(f"SELECT 1 FROM {table} WHERE {has_list} LIMIT 1").fetchone() is not None


# An index of SQLite has a list as a whole: a search for an element read every document. So the
# texts in the lists of an indexed field have a table of their own, which triggers keep.
def build_containment_clause(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return neosqlite's translation of an equality to a field or an element, by index."""

    def build(helper: QueryHelper, field: str, extracted: str, value: Any) -> Any:
        found = find_elements(helper, field, value, "NOT NULL")
        return found or original(helper, field, extracted, value)

    return build


# neosqlite searches for one of several values in every document.
def build_field_clause(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return neosqlite's translation of a condition on a field, with $elemMatch, $in by index."""

    def build(helper: QueryHelper, field: str, condition: Any) -> Any:
        operator, wanted = _only_operator(condition)
        found = None
        if operator == "$elemMatch":
            found = find_elements(helper, field, wanted, "= 'array'")
        elif operator == "$in" and wanted and all(isinstance(it, str) for it in wanted):
            found = find_one_of(helper, field, wanted)
        return found or original(helper, field, condition)

    return build


def _only_operator(condition: Any) -> tuple[str, Any]:
    is_one = isinstance(condition, dict) and len(condition) == 1
    return next(iter(condition.items())) if is_one else ("", None)


def find_one_of(helper: QueryHelper, field: str, values: list[str]) -> tuple[str, list[str]] | None:
    """Return what searches for one of several texts by index, in SQL; None if there is none."""
    if field == "_id" or not needs_no_list_search(helper, field):
        return None
    extracted = f"{helper.jsonb.json_function_prefix}_extract(data, '{parse_json_path(field)}')"
    return f"{extracted} IN ({', '.join('?' * len(values))})", [*values]


def find_elements(
    helper: QueryHelper, field: str, condition: Any, type_: str
) -> tuple[str, list[Any]] | None:
    """Return what searches for an element by index, in SQL; None if there is none, or too many.

    Of many documents the first ones are found sooner in the order of the result.
    """
    element = None if "." in field else _translate_element(condition)
    if not element or not has_index(helper, field) or not has_lists(helper, field):
        return None
    clause, values = element
    found = f"SELECT id FROM {_table_of_elements(helper, field)} WHERE {clause}"
    few = f"SELECT count(*) FROM ({found} LIMIT {MANY})"
    (number,) = helper.collection.db.execute(few, values).fetchone()
    type_of_field = f"json_type(data, '{parse_json_path(field)}')"
    return (f"(id IN ({found}) AND {type_of_field} {type_})", values) if number < MANY else None


def _translate_element(condition: Any) -> tuple[str, list[Any]] | None:
    """Return a condition on an element in SQL, None if it is not about text."""
    comparisons = condition if isinstance(condition, dict) else {"$eq": condition}
    operators = {"$eq": "=", **COMPARISONS}
    is_of_text = (it in operators and isinstance(comparisons[it], str) for it in comparisons)
    if not comparisons or not all(is_of_text):
        return None
    clauses = [f"value {operators[it]} ?" for it in comparisons]
    return " AND ".join(clauses), [*comparisons.values()]


def _table_of_elements(helper: QueryHelper, field: str) -> str:
    """Return the name of the table of the elements in a field, which is made at the first use."""
    table, path = quote_table_name(helper.collection.name), parse_json_path(field)
    name = f"_neosqlite_elements_{table}_{field}"
    triggers = "SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = ?"
    if not helper.collection.db.execute(triggers, (f"{name}_delete",)).fetchone():
        with helper.collection.db as connection:  # takes all of it back after an error
            connection.executescript(_elements_script(name, table, path))
    return f'"{name}"'


def _elements_script(name: str, table: str, path: str) -> str:
    added = f"""INSERT INTO "{name}" SELECT value, new.id FROM json_each(new.data, '{path}')
        WHERE type = 'text'"""
    deleted = f'DELETE FROM "{name}" WHERE id = old.id'
    is_changed = f"json_extract(old.data, '{path}') IS NOT json_extract(new.data, '{path}')"
    return f"""
        BEGIN IMMEDIATE;
        DROP TABLE IF EXISTS "{name}";
        CREATE TABLE "{name}" AS SELECT each.value AS value, {table}.id AS id
            FROM {table}, json_each({table}.data, '{path}') AS each WHERE each.type = 'text';
        CREATE INDEX "{name}_value" ON "{name}" (value, id);
        CREATE INDEX "{name}_id" ON "{name}" (id);
        CREATE TRIGGER "{name}_insert" AFTER INSERT ON {table} BEGIN {added}; END;
        CREATE TRIGGER "{name}_update" AFTER UPDATE OF data ON {table} WHEN {is_changed}
            BEGIN {deleted}; {added}; END;
        CREATE TRIGGER "{name}_delete" AFTER DELETE ON {table} BEGIN {deleted}; END;
        COMMIT;
    """


# neosqlite reads every document where a query has `$or`.
def build_where(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return neosqlite's translation of a query, with `$or` in SQL."""

    def build(helper: QueryHelper, query: Document) -> tuple[str, list[Any], list[str]] | None:
        if "$or" not in query:
            translated: tuple[str, list[Any], list[str]] | None = original(helper, query)
            return translated
        others = {field: condition for field, condition in query.items() if field != "$or"}
        parts = [build(helper, it) for it in (others, *query["$or"])]
        found = [(part[0].removeprefix("WHERE ") or "1", part[1]) for part in parts if part]
        if len(found) < len(parts):
            return None
        either = " OR ".join(f"({clause})" for clause, _ in found[1:])
        values = [value for _, values in found for value in values]
        return f"WHERE {found[0][0]} AND ({either})", values, []

    return build


# neosqlite rejects an index that has _id in it. SQLite's index leads to the row by itself. And it
# ignores `sparse` unless the key is a text.
ending_with_id: set[tuple[str, str]] = set()  # collection and name of each index without its _id


def create_index(original: Callable[..., str]) -> Callable[..., str]:
    """Return neosqlite's create_index, which leaves _id out, and documents out of a sparse one."""

    def create(
        manager: IndexManager,
        key: Any,
        reindex: bool = True,
        sparse: bool = False,
        *args: Any,
        **options: Any,
    ) -> str:
        if isinstance(key, list) and len(key) > 1 and key[-1][0] == "_id":
            key = key[:-1]
            ending_with_id.add((manager.collection.name, _index_name(dict(key))))
        elif sparse and len(key) == 1:
            key = key[0][0]
        return original(manager, key, reindex, sparse, *args, **options)

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


# neosqlite returns a field of an embedded document flat, under its dotted path, and copies the
# whole document first (20 sessions: 0.2 ms).
def apply_projection(original: Callable[..., Document]) -> Callable[..., Document]:
    """Return neosqlite's projection, which includes and excludes fields as MongoDB does."""

    def apply(helper: QueryHelper, projection: Document, document: Document) -> Document:
        if projection and all(value == 1 for value in projection.values()):
            included: Document = include(document, _tree(["_id", *projection]))
            return included
        if all(value == 0 and "." not in name for name, value in projection.items()):
            return {name: value for name, value in document.items() if name not in projection}
        return original(helper, projection, document)

    return apply


def _tree(paths: list[str]) -> Document:
    """Return dotted paths as embedded documents, each last name with an empty one."""
    root: Document = {}
    for path in paths:
        part = root
        for name in path.split("."):
            part = part.setdefault(name, {})
    return root


def include(value: Any, wanted: Document) -> Any:
    """Return the wanted fields of a document, or of each document in a list."""
    if not wanted:
        return value
    if isinstance(value, list):
        return [include(it, wanted) for it in value if isinstance(it, dict)]
    return {
        name: include(part, wanted[name])
        for name, part in value.items()
        if name in wanted and (isinstance(part, dict | list) or not wanted[name])
    }


def apply_fixes() -> None:
    """Replace the faulty functions."""
    datetime_utils.is_datetime_value = is_datetime_value
    NeoSQLiteHandler.handle_command = handle_command(NeoSQLiteHandler.handle_command)
    list_all = NeoSQLiteHandler._handle_list_collections
    NeoSQLiteHandler._handle_list_collections = list_collections(list_all)
    for operation in ("find_one_and_update", "find_one_and_replace", "find_one_and_delete"):
        setattr(QueryEngine, operation, raise_write_errors(getattr(QueryEngine, operation)))
    QueryEngine.__init__ = initialize_engine(QueryEngine.__init__)
    QueryHelper._apply_projection = apply_projection(QueryHelper._apply_projection)
    QueryHelper._field_has_index = needs_no_list_search
    containment = QueryHelper._build_containment_clause
    QueryHelper._build_containment_clause = build_containment_clause(containment)
    QueryHelper._build_field_clause = build_field_clause(QueryHelper._build_field_clause)
    QueryHelper._build_simple_where_clause = build_where(QueryHelper._build_simple_where_clause)
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
