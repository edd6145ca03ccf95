"""The fixes in the launcher of the embedded database."""

import pytest
from bson import ObjectId
from mongoengine import NotUniqueError
from pymongo import MongoClient, ReturnDocument
from pymongo.errors import DuplicateKeyError, OperationFailure

from database.db import ensure_indexes
from database.embedded.server import EmbeddedDatabase
from database.models import User
from tests.support.client import ADA
from tests.support.concurrency import run_simultaneously

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """Return a client of an embedded server, whichever database the other tests use."""
    database = EmbeddedDatabase(tmp_path_factory.mktemp("launcher"))
    with MongoClient(database.start()) as client:
        yield client
    database.stop()


@pytest.fixture
def collection(embedded):
    """Return an empty collection."""
    collection = embedded["launcher"]["documents"]
    yield collection
    collection.drop()


def ids(cursor):
    return [document["_id"] for document in cursor]


class TestText:
    """is_datetime_value."""

    DATE, MAIL, LATER = "2012-05-05", "2012-05-05@example.com", "2012-05-05 later"

    @pytest.fixture
    def dates(self, collection):
        texts = (self.DATE, self.MAIL, self.LATER)
        collection.insert_many([{"_id": number, "text": text} for number, text in enumerate(texts)])
        return collection

    def test_text_like_a_date_equals_itself_only(self, dates):
        assert ids(dates.find({"text": self.DATE})) == [0]
        assert ids(dates.find({"text": self.MAIL})) == [1]
        assert dates.find_one({"text": "2012-05-05T00:00:00"}) is None
        assert dates.update_one({"text": self.LATER}, {"$set": {"n": 1}}).matched_count == 1
        assert dates.delete_many({"text": self.MAIL}).deleted_count == 1

    def test_text_like_a_date_is_ordered_as_text(self, dates):
        assert ids(dates.find({"text": {"$gt": self.DATE}}).sort("text", 1)) == [2, 1]
        assert ids(dates.find({"text": {"$in": [self.MAIL]}})) == [1]


class TestErrors:
    """raise_write_errors and handle_command."""

    @pytest.fixture
    def unique(self, collection):
        collection.create_index("name", unique=True)
        collection.insert_many([{"_id": 1, "name": "a"}, {"_id": 2, "name": "b"}])
        return collection

    @pytest.mark.parametrize(
        "violate",
        [
            lambda unique: unique.insert_one({"name": "a"}),
            lambda unique: unique.update_one({"_id": 2}, {"$set": {"name": "a"}}),
            lambda unique: unique.update_many({"_id": 2}, {"$set": {"name": "a"}}),
            lambda unique: unique.update_one({"name": "c"}, {"$set": {"name": "a"}}, upsert=True),
            lambda unique: unique.replace_one({"_id": 2}, {"name": "a"}),
            lambda unique: unique.find_one_and_update({"_id": 2}, {"$set": {"name": "a"}}),
            lambda unique: unique.find_one_and_replace({"_id": 2}, {"name": "a"}),
        ],
        ids=["insert", "update", "update_many", "upsert", "replace", "find_update", "find_replace"],
    )
    def test_unique_violation_raises_and_changes_nothing(self, unique, violate):
        with pytest.raises(DuplicateKeyError) as error:
            violate(unique)
        assert error.value.code == 11000
        assert list(unique.find().sort("_id", 1)) == [
            {"_id": 1, "name": "a"},
            {"_id": 2, "name": "b"},
        ]

    def test_unique_index_on_duplicates_raises(self, collection):
        collection.insert_many([{"name": "a"}, {"name": "a"}])
        with pytest.raises(DuplicateKeyError):
            collection.create_index("name", unique=True)

    def test_find_one_and_update_raises_other_errors(self, collection):
        collection.insert_one({"_id": 1, "name": "a"})
        with pytest.raises(OperationFailure):
            collection.find_one_and_update({"_id": 1}, {"$inc": {"name": 1}})
        assert collection.find_one_and_update({"_id": 2}, {"$inc": {"n": 1}}) is None

    def test_mongoengine_raises_not_unique_on_update(self, documents):
        ensure_indexes(User)
        User(**ADA).save(force_insert=True)
        eve = User(email="eve@example.com", password="x").save(force_insert=True)
        for change in (User.objects(id=eve.id).update_one, User.objects(id=eve.id).modify):
            with pytest.raises(NotUniqueError):
                change(set__email=ADA["email"])


class TestUpdates:
    """What the product relies on, without a fix."""

    def test_operators_reach_into_nested_documents(self, collection):
        collection.insert_one({"_id": 1, "a": {"1": {"n": 1}, "2": {}}})
        changed = collection.find_one_and_update(
            {"_id": 1, "a.1.n": 1},
            {
                "$inc": {"a.1.n": 1, "a.1.new": 2},
                "$set": {"b.c": 0},
                "$unset": {"a.2": 1, "x.y": 1},
            },
            return_document=ReturnDocument.AFTER,
        )
        assert changed == {"_id": 1, "a": {"1": {"n": 2, "new": 2}}, "b": {"c": 0}}
        assert changed == collection.find_one()


class TestQueries:
    """needs_no_list_search, build_where, build_id_clause and group_alternatives."""

    @pytest.fixture(
        params=[None, [("tags", 1)], [("tags", 1), ("name", 1)], [("name", 1), ("tags", 1)]],
        ids=["no index", "tags", "tags, name", "name, tags"],
    )
    def tagged(self, collection, request):
        if request.param:
            collection.create_index(request.param)
        collection.insert_many(
            [
                {"_id": 1, "name": "c", "tags": ["x", "y"]},
                {"_id": 2, "name": "b", "tags": ["y"]},
                {"_id": 3, "name": "a", "tags": "x"},
                {"_id": 4, "name": "d"},
            ]
        )
        return collection

    def test_element_of_an_indexed_list_is_found(self, tagged):
        assert ids(tagged.find({"tags": "x"}).sort("name", 1)) == [3, 1]
        assert ids(tagged.find({"tags": "x", "name": {"$gt": "a"}}).sort("name", 1)) == [1]
        assert tagged.count_documents({"tags": "x"}) == 2
        assert tagged.update_many({"tags": "x"}, {"$set": {"n": 1}}).matched_count == 2
        assert tagged.delete_many({"tags": "x", "name": "c"}).deleted_count == 1

    def test_first_list_in_an_indexed_field_is_found(self, collection):
        collection.create_index("tags")
        collection.insert_one({"_id": 1, "tags": "x"})
        assert ids(collection.find({"tags": "x"})) == [1]
        collection.update_one({"_id": 1}, {"$set": {"tags": ["x", "y"]}})
        assert ids(collection.find({"tags": "x"})) == [1]

    @pytest.mark.parametrize("write", ["update_one", "find_one_and_update", "delete_one"])
    def test_alternatives_are_in_parentheses(self, collection, write):
        collection.insert_many([{"_id": 1, "n": 1}, {"_id": 2, "n": 1}])
        update = [] if write == "delete_one" else [{"$set": {"n": 2}}]
        getattr(collection, write)({"_id": 2, "$or": [{"n": 0}, {"n": 1}]}, *update)
        assert ids(collection.find({"n": 1})) == [1]

    def test_alternatives_are_found_by_their_indexes(self, collection):
        for field in ("name", "tags"):
            collection.create_index(field)
        collection.insert_many([{"_id": n, "name": f"{n}", "tags": [f"t{n}"]} for n in range(9)])
        query = {"$or": [{"name": {"$gte": "1", "$lt": "2"}}, {"tags": "t7"}], "_id": {"$ne": 0}}
        assert ids(collection.find(query).sort("_id", 1)) == [1, 7]
        assert "MULTI-INDEX OR" in str(collection.find(query).explain())
        assert ids(collection.find({"$or": [{}, {"name": "1"}]}).sort("_id", 1)) == [*range(9)]

    def test_one_of_several_is_found_by_index(self, collection):
        collection.create_index("name")
        collection.insert_many([{"_id": n, "name": f"{n}"} for n in range(9)])
        query = {"name": {"$in": ["1", "7", "x"]}}
        assert ids(collection.find(query).sort("_id", 1)) == [1, 7]
        assert "SEARCH documents USING INDEX" in str(collection.find(query).explain())
        collection.insert_one({"_id": 9, "name": ["7", "9"]})
        assert ids(collection.find(query).sort("_id", 1)) == [1, 7, 9]

    def test_ids_are_compared(self, collection):
        numbers = [ObjectId() for _ in range(5)]
        collection.insert_many([{"_id": number} for number in numbers])
        assert ids(collection.find({"_id": {"$gt": numbers[1]}}).sort("_id", 1)) == numbers[2:]
        between = {"_id": {"$gte": numbers[1], "$lt": numbers[3]}}
        assert ids(collection.find(between).sort("_id", -1)) == numbers[2:0:-1]


class TestProjection:
    """The fields of find and find_one_and_update."""

    STORED = {"_id": 1, "a": {"x": {"n": 1}, "y": 2}, "b": 3, "c": [{"x": 4, "y": 5}, 6]}
    FIELDS = (
        (["a.x", "b"], {"a": {"x": {"n": 1}}, "b": 3}),
        (["a.x.n"], {"a": {"x": {"n": 1}}}),
        (["a.z", "b.x"], {"a": {}}),
        (["c.x"], {"c": [{"x": 4}]}),
        ({"a": 0, "c": False}, {"b": 3}),
        ({"b": 1, "_id": 0}, None),
    )

    @pytest.mark.parametrize(("fields", "found"), FIELDS, ids=str)
    def test_fields_are_where_they_were(self, collection, fields, found):
        collection.insert_one(self.STORED)
        wanted = {"b": 3} if found is None else {"_id": 1, **found}
        assert collection.find_one({}, fields) == wanted
        update = {"$set": {"d": 1}}
        assert collection.find_one_and_update({"_id": 1}, update, fields) == wanted


class TestElements:
    """build_containment_clause and build_field_clause."""

    A = {"tags": {"$elemMatch": {"$gte": "a", "$lt": "b"}}}

    @pytest.fixture
    def tagged(self, collection):
        collection.create_index([("tags", 1), ("name", 1)])
        collection.insert_many(
            [
                {"_id": 1, "name": "c", "tags": ["ab", "ac", "c"]},
                {"_id": 2, "name": "b", "tags": "ab"},
                {"_id": 3, "name": "a", "tags": ["b", 1, None]},
                {"_id": 4, "name": "d"},
            ]
        )
        assert ids(collection.find(self.A)) == [1]  # from now on there is a table of elements
        return collection

    def test_elements_are_found_by_index(self, tagged):
        assert ids(tagged.find({"tags": "ab"}).sort("name", 1)) == [2, 1]
        for query in ({"tags": "c"}, self.A):
            assert "SEARCH _neosqlite_elements" in str(tagged.find(query).explain())

    def test_other_than_text_is_found(self, tagged):
        assert ids(tagged.find({"tags": 1})) == [3]
        assert ids(tagged.find({"tags": {"$in": ["c", 1]}}).sort("_id", 1)) == [1, 3]
        assert ids(tagged.find({"tags": {"$elemMatch": {"$gt": 0, "$lt": 2}}})) == [3]

    def test_changes_are_followed(self, tagged):
        tagged.update_one({"_id": 1}, {"$set": {"tags": ["x"]}})
        tagged.update_one({"_id": 3}, {"$push": {"tags": "ad"}})
        tagged.insert_one({"_id": 5, "tags": ["az"]})
        assert ids(tagged.find(self.A).sort("_id", 1)) == [3, 5]
        tagged.replace_one({"_id": 5}, {"name": "e"})
        tagged.delete_one({"_id": 3})
        assert ids(tagged.find(self.A)) == []
        assert ids(tagged.find({"tags": "x"})) == [1]

    def test_collection_of_the_same_name_begins_empty(self, tagged):
        tagged.drop()
        tagged.create_index("tags")
        tagged.insert_many([{"_id": 1, "tags": ["z"]}, {"_id": 2, "tags": ["aa"]}])
        assert ids(tagged.find(self.A)) == [2]
        assert [*tagged.database.list_collection_names()] == [tagged.name]

    def test_many_are_found(self, tagged):
        tagged.insert_many([{"_id": n, "name": f"{n}", "tags": ["ab"]} for n in range(10, 2020)])
        assert tagged.count_documents({"tags": "ab"}) == 2012
        assert ids(tagged.find({"tags": "ab"}).sort("name", -1).limit(2)) == [1, 2]


class TestCollections:
    """list_collections."""

    def test_collection_begins_with_a_document_or_an_index(self, collection):
        database, name = collection.database, collection.name
        collection.drop()
        assert collection.find_one({}) is None
        assert collection.count_documents({}) == collection.delete_many({}).deleted_count == 0
        assert name not in database.list_collection_names()
        collection.insert_one({"_id": 1})
        assert name in database.list_collection_names()
        collection.delete_one({"_id": 1})
        collection.create_index("name")
        assert name in database.list_collection_names()


class TestIndexes:
    """create_index, index_information and drop_index."""

    def test_indexes_have_their_names_and_are_dropped(self, collection):
        collection.create_index("name", unique=True)
        collection.create_index([("tags", 1), ("name", 1)])
        collection.insert_one({"name": "a", "tags": ["x"]})
        assert collection.find_one({"tags": "x"})  # makes the launcher's own index on lists
        assert set(collection.index_information()) == {"_id_", "name_1", "tags_1_name_1"}
        collection.drop_index([("tags", 1), ("name", 1)])
        collection.drop_index("name_1")
        assert set(collection.index_information()) == {"_id_"}
        collection.insert_one({"name": "a"})

    def test_index_that_ends_with_id_is_listed_so(self, collection):
        collection.create_index([("role", 1), ("_id", 1)])
        assert collection.index_information()["role_1__id_1"]["key"] == [("role", 1), ("_id", 1)]
        collection.drop_index([("role", 1), ("_id", 1)])
        assert set(collection.index_information()) == {"_id_"}

    def test_sparse_index_has_only_the_documents_with_the_field(self, collection):
        collection.create_index("at", sparse=True)
        collection.create_index("key", sparse=True, unique=True)
        collection.insert_many([{"_id": n, **({"at": n} if n > 97 else {})} for n in range(100)])
        query = collection.find({"at": {"$gt": 0}}).sort("_id", 1)
        assert ids(query) == [98, 99]
        assert "idx_documents_at" in str(collection.find({"at": {"$gt": 0}}).explain())
        collection.insert_one({"_id": 100, "key": "a"})
        with pytest.raises(DuplicateKeyError):
            collection.insert_one({"key": "a"})

    def test_dropping_an_unknown_index_raises(self, collection):
        collection.insert_one({})
        with pytest.raises(OperationFailure) as error:
            collection.drop_index("none_1")
        assert error.value.code == 27


class TestClaims:
    """A sorted find_one_and_update by an index: initialize_engine and needs_no_list_search."""

    @pytest.fixture
    def jobs(self, collection):
        collection.create_index([("state", 1), ("run_at", 1)])
        collection.insert_many(
            [{"_id": number, "state": "queued", "run_at": 1000 - number} for number in range(1000)]
        )
        return collection

    @staticmethod
    def claim(jobs):
        return jobs.find_one_and_update(
            {"state": "queued", "run_at": {"$lte": 1000}},
            {"$set": {"run_at": 2000.5}, "$inc": {"attempts": 1}},
            sort=[("run_at", 1)],
            return_document=ReturnDocument.AFTER,
        )

    def test_claims_take_the_first_by_order(self, jobs):
        claimed = {"state": "queued", "run_at": 2000.5, "attempts": 1}
        assert self.claim(jobs) == {"_id": 999, **claimed}
        assert self.claim(jobs) == {"_id": 998, **claimed}

    def test_8_threads_claim_each_job_once(self, jobs):
        def claim_all(_):
            return list(iter(lambda: (self.claim(jobs) or {}).get("_id"), None))

        claimed = sum(run_simultaneously(8, claim_all), [])
        assert sorted(claimed) == list(range(1000))

    @pytest.mark.parametrize(
        "query",
        [
            {"state": "queued", "run_at": {"$lte": 1000}},
            {"_id": {"$gt": "a"}},
        ],
        ids=["claim", "id"],
    )
    def test_query_uses_an_index(self, jobs, query):
        jobs.find_one(query)
        plan = jobs.find(query).explain()
        assert "SEARCH" in str(plan), plan
