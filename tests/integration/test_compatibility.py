"""The database operations that the product uses, on the server that MONGODB_URI names."""

import pytest
from bson import ObjectId
from mongoengine import NotUniqueError
from mongoengine.connection import get_db
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError, OperationFailure

from database import compatibility
from database.compatibility import CHECKS, run_check, run_checks
from database.documents import DOCUMENTS
from database.models import User
from tests.support.client import ADA
from tests.support.concurrency import run_simultaneously

NOW = 1_700_000_000.123
TEXTS = ["", "ünïcödé", "🐎🔋", "$dollar.dot", "'\"\\;--", "a\nb", "x" * 10_000]
SESSIONS = {
    "a": {"generation": 0, "replaced": {"g7": NOW, "g8": NOW}},
    "b": {"generation": 0},
    "c": {"generation": 0},
}


@pytest.fixture
def collection(documents):
    """Return an empty collection."""
    collection = get_db()["compatibility_test"]
    collection.drop()
    yield collection
    collection.drop()


@pytest.fixture
def user(collection):
    """Insert a document with sessions, and return it."""
    user = {"_id": ObjectId(), "password_version": 0, "password": "old", "sessions": SESSIONS}
    collection.insert_one(user)
    return user


@pytest.fixture
def ada(documents):
    """Save a user, and return it."""
    for document in DOCUMENTS:
        document.ensure_indexes()
    return User(**ADA, created_at=NOW).save(force_insert=True)


def ids(cursor):
    return [document["_id"] for document in cursor]


class TestRunChecks:
    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_check_passes(self, documents, check):
        assert run_check(check) is None

    def test_all_pass_and_leave_nothing_behind(self, documents):
        assert run_checks() == []
        names = get_db().list_collection_names()
        assert [name for name in names if name.startswith("compatibility_")] == []

    def test_failed_check_is_a_sentence(self, documents, monkeypatch):
        def check(documents):
            """Documents are in order."""
            return False

        monkeypatch.setattr(compatibility, "CHECKS", (check,))
        assert run_checks() == ["Failed: Documents are in order."]

    def test_error_of_the_server_is_added(self, documents):
        def check(documents):
            """Documents are in order."""
            raise OperationFailure("not supported")

        assert run_check(check) == "Failed: Documents are in order. (not supported)"

    def test_indexes_that_can_not_be_created_are_reported(self, documents, monkeypatch):
        def fail(document):
            raise OperationFailure("not supported")

        monkeypatch.setattr(compatibility, "ensure_indexes", fail)
        assert run_checks() == ["The indexes can't be created: not supported"]

    def test_missing_index_is_reported(self, documents, monkeypatch):
        monkeypatch.setattr(compatibility, "ensure_indexes", lambda document: None)
        monkeypatch.setattr(compatibility, "CHECKS", ())
        for document in DOCUMENTS:
            document.ensure_indexes()
        get_db()[User._get_collection_name()].drop_index("email_1")
        assert run_checks() == ["User lacks the index [('email', 1)]."]


class TestMongoengine:
    def test_indexes_can_be_created_again(self, ada):
        User.ensure_indexes()
        assert User.objects.get() == ada
        with pytest.raises(NotUniqueError):
            User(**ADA).save(force_insert=True)

    def test_saved_document_is_read_back_whole(self, ada):
        assert User.objects.get().to_mongo() == ada.to_mongo()

    def test_duplicate_insert_raises_and_stores_nothing(self, ada):
        with pytest.raises(NotUniqueError):
            User(email=ADA["email"], password="another").save(force_insert=True)
        assert [found.password for found in User.objects] == [ADA["password"]]

    def test_duplicate_update_raises_and_changes_nothing(self, ada):
        eve = User(email="eve@example.com", password="x").save(force_insert=True)
        with pytest.raises(NotUniqueError):
            User.objects(id=eve.id).update_one(set__email=ADA["email"])
        assert [found.email for found in User.objects.order_by("id")] == [ada.email, eve.email]

    def test_unique_field_finds_the_document(self, ada):
        User(email="eve@example.com", password="x").save(force_insert=True)
        assert User.objects(email=ADA["email"]).first() == ada
        assert User.objects(email="ada@example.co").first() is None

    @pytest.mark.parametrize("kind", [str, ObjectId])
    def test_id_finds_the_document(self, ada, kind):
        User(email="eve@example.com", password="x").save(force_insert=True)
        assert User.objects(id=kind(ada.id)).first() == ada
        assert User.objects(id=kind(ObjectId())).first() is None

    def test_plain_index_finds_the_document(self, ada):
        User(email="eve@example.com", password="x", role="admin").save(force_insert=True)
        assert [found.email for found in User.objects(role="admin")] == ["eve@example.com"]

    def test_missing_field_is_none_and_empty_is_empty(self, ada):
        User(email="eve@example.com", password="x", name="").save(force_insert=True)
        names = [User.objects.get(email=email).name for email in (ADA["email"], "eve@example.com")]
        assert names == [None, ""]

    def test_excluded_fields_are_left_out(self, ada):
        found = User.objects(id=ada.id).exclude("sessions", "password").first()
        assert (found.id, found.email, found.password) == (ada.id, ada.email, None)
        only = User.objects(id=ada.id).only("sessions", "logins").as_pymongo().first()
        assert only.keys() == {"_id", "sessions", "logins"}


class TestConditions:
    @pytest.mark.parametrize(
        "changed",
        [{"sessions.d.generation": 0}, {"sessions.a.generation": 1}, {"_id": ObjectId()}],
        ids=["session", "generation", "id"],
    )
    def test_one_difference_matches_nothing(self, collection, user, changed):
        condition = {"_id": user["_id"], "sessions.a.generation": 0} | changed
        change = {"$unset": {"sessions.a": 1}}
        assert collection.find_one(condition) is None
        assert collection.update_one(condition, change).matched_count == 0
        assert collection.find_one_and_update(condition, change) is None
        assert collection.find_one() == user

    def test_condition_holds_once(self, collection, user):
        condition = {"_id": user["_id"], "sessions.a.generation": 0}
        change = {"$unset": {"sessions.a": 1}}
        counts = [collection.update_one(condition, change).matched_count for _ in range(2)]
        assert counts == [1, 0]
        assert collection.find_one()["sessions"].keys() == {"b", "c"}

    def test_deletion_happens_once(self, collection, user):
        wrong = {"_id": user["_id"], "password_version": 1}
        condition = {"_id": user["_id"], "password_version": 0}
        conditions = [wrong, condition, condition]
        assert [collection.delete_many(wanted).deleted_count for wanted in conditions] == [0, 1, 0]

    def test_deletion_leaves_other_documents(self, collection):
        collection.insert_many([{"_id": n, "state": "queued" if n < 3 else "n"} for n in range(5)])
        assert collection.delete_one({"_id": 0}).deleted_count == 1
        assert collection.delete_one({"_id": 0}).deleted_count == 0
        assert collection.delete_many({"state": "queued"}).deleted_count == 2
        assert ids(collection.find().sort("_id", 1)) == [3, 4]


class TestUpdates:
    def test_subdocument_is_set_while_others_are_unset(self, collection, user):
        new = {"generation": 3}
        change = {"$set": {"sessions.d": new}, "$unset": {"sessions.a": 1, "sessions.c": 1}}
        condition = {"_id": user["_id"], "password_version": 0}
        assert collection.update_one(condition, change).matched_count == 1
        assert collection.find_one()["sessions"] == {"b": SESSIONS["b"], "d": new}

    def test_nested_fields_change_and_new_document_returns(self, collection, user):
        change = {
            "$inc": {"sessions.a.generation": 1},
            "$set": {"sessions.a.used_at": NOW + 1, "sessions.a.replaced.g0": NOW},
            "$unset": {"sessions.a.replaced.g8": 1},
        }
        condition = {"_id": user["_id"], "sessions.a.generation": 0}
        returned = collection.find_one_and_update(
            condition, change, return_document=ReturnDocument.AFTER
        )
        replaced = {"g7": NOW, "g0": NOW}
        changed = {"generation": 1, "used_at": NOW + 1, "replaced": replaced}
        assert returned == collection.find_one() == {**user, "sessions": {**SESSIONS, "a": changed}}

    def test_map_is_emptied_and_filled_again(self, collection, user):
        condition = {"_id": user["_id"], "password_version": 0}
        change = {"$set": {"password": "new", "sessions": {}}, "$inc": {"password_version": 1}}
        assert collection.update_one(condition, change).matched_count == 1
        assert collection.update_one(condition, change).matched_count == 0
        emptied = {"_id": user["_id"], "password": "new", "password_version": 1, "sessions": {}}
        assert collection.find_one() == emptied
        collection.update_one({"_id": user["_id"]}, {"$set": {"sessions.d": {"generation": 0}}})
        assert collection.find_one() == {**emptied, "sessions": {"d": {"generation": 0}}}

    def test_indexed_value_that_is_set_is_found(self, collection):
        collection.create_index([("state", 1), ("run_at", 1)])
        collection.insert_many([{"_id": n, "state": "queued", "run_at": NOW} for n in (1, 2)])
        collection.update_one({"_id": 1}, {"$set": {"state": "failed"}})
        for state, found in {"queued": [2], "failed": [1]}.items():
            assert ids(collection.find({"state": state, "run_at": {"$lte": NOW}})) == found

    @pytest.mark.parametrize("time", [NOW, 1_700_000_000.0, 0.0])
    def test_time_stays_an_exact_number(self, collection, time):
        collection.insert_one({"_id": 1, "run_at": NOW + 5})
        changed = collection.update_one({"_id": 1, "run_at": NOW + 5}, {"$set": {"run_at": time}})
        assert changed.matched_count == 1
        assert repr(collection.find_one()["run_at"]) == repr(time)
        assert ids(collection.find({"run_at": {"$lte": time}})) == [1]
        assert ids(collection.find({"run_at": {"$lte": time - 0.001}})) == []
        assert collection.count_documents({"run_at": NOW + 5}) == 0
        assert collection.count_documents({"run_at": time}) == 1


class TestText:
    @pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:12]))
    def test_text_survives_insert_and_update(self, collection, text):
        collection.insert_one({"_id": 1, "text": text})
        for stored in (text, text + "!", text):
            collection.update_one({"_id": 1}, {"$set": {"text": stored}})
            assert collection.find_one() == {"_id": 1, "text": stored}

    @pytest.mark.parametrize(
        "text",
        [*TEXTS[:-1], "o'brien+%_$1.{x}*?@example.com", "\\", "2012-05-05@example.com"],
        ids=ascii,
    )
    def test_text_is_found_and_unique_as_it_is(self, collection, text):
        collection.create_index("text", unique=True)
        collection.insert_many([{"_id": 1, "text": text}, {"_id": 2, "text": text + "."}])
        assert ids(collection.find({"text": text})) == [1]
        with pytest.raises(DuplicateKeyError):
            collection.insert_one({"text": text})


class TestOrder:
    def test_documents_after_an_id_are_ordered_and_limited(self, collection):
        numbers = [ObjectId(f"{number:024x}") for number in (5, 3, 9, 4)]
        collection.insert_many([{"_id": number} for number in numbers])
        found = collection.find({"_id": {"$gt": numbers[1]}}).sort("_id", 1).limit(2)
        assert ids(found) == [numbers[3], numbers[0]]

    def test_due_documents_are_ordered_by_time(self, collection):
        collection.create_index([("state", 1), ("run_at", 1)])
        times = (3, -2, 10, -30, 1)
        collection.insert_many([{"_id": t, "state": "queued", "run_at": NOW + t} for t in times])
        due = {"state": "queued", "run_at": {"$lte": NOW + 3}}
        assert ids(collection.find(due).sort("run_at", 1)) == [-30, -2, 1, 3]

    def test_oldest_of_a_state_and_not_of_a_kind_is_found(self, collection):
        others = {4: {"state": "failed"}, 3: {"kind": "delete_movies"}, 2: {}, 1: {}}
        job = {"state": "queued", "kind": "send_email"}
        collection.insert_many(
            [{"_id": age, **job, **other, "created_at": NOW - age} for age, other in others.items()]
        )
        query = {"state": "queued", "kind": {"$ne": "delete_movies"}}
        assert ids(collection.find(query).sort("created_at", 1).limit(1)) == [2]
        assert collection.count_documents(query) == 2


class TestSimultaneous:
    """Each test is one of 16 threads at once."""

    def test_one_conditional_update_happens(self, collection, user):
        def reset(index):
            condition = {"_id": user["_id"], "password_version": 0}
            change = {"$set": {"password": str(index)}, "$inc": {"password_version": 1}}
            return collection.update_one(condition, change).matched_count

        matched = run_simultaneously(16, reset)
        assert sorted(matched) == [0] * 15 + [1]
        stored = collection.find_one()
        assert (stored["password"], stored["password_version"]) == (str(matched.index(1)), 1)

    def test_one_find_and_update_happens(self, collection, user):
        def refresh(index):
            condition = {"_id": user["_id"], "sessions.a.generation": 0}
            change = {"$inc": {"sessions.a.generation": 1}, "$set": {"sessions.a.by": index}}
            return collection.find_one_and_update(condition, change)

        (winner,) = [index for index, found in enumerate(run_simultaneously(16, refresh)) if found]
        session = collection.find_one()["sessions"]["a"]
        assert (session["generation"], session["by"]) == (1, winner)

    def test_one_insert_of_a_unique_value_happens(self, collection):
        collection.create_index("email", unique=True)

        def insert(index):
            try:
                return collection.insert_one({"_id": index, "email": ADA["email"]}).inserted_id
            except DuplicateKeyError:
                return None

        inserted = [index for index in run_simultaneously(16, insert) if index is not None]
        assert inserted == ids(collection.find())

    @pytest.mark.parametrize("path", ["password_version", "sessions.a.generation"])
    def test_increments_add_up(self, collection, user, path):
        def increment(_):
            return collection.update_one({"_id": user["_id"]}, {"$inc": {path: 1}}).matched_count

        assert run_simultaneously(16, increment) == [1] * 16
        assert collection.count_documents({path: 16}) == 1

    def test_updates_of_different_fields_all_stay(self, collection, user):
        def log_in(index):
            change = {"$set": {f"sessions.s{index}": {"generation": 0}}}
            condition = {"_id": user["_id"], "password_version": 0}
            return collection.update_one(condition, change).matched_count

        assert run_simultaneously(16, log_in) == [1] * 16
        expected = {"a", "b", "c", *(f"s{index}" for index in range(16))}
        assert collection.find_one()["sessions"].keys() == expected
