"""GET /api/users with filters (contract: "Users, for operators")."""

import pytest
from mongoengine.connection import get_db

from database import users
from database.db import ensure_indexes
from database.models import ADMIN, User
from tests.support.assertions import assert_error, case
from tests.support.client import ADA
from tests.support.operators import invite, path_of
from tests.support.pages import each_page
from tests.support.users import create_user

ROOT = "root@example.com"
PEOPLE = {
    "ada@example.com": "Ada Lovelace",
    "adam@example.com": None,
    "eve@other.example": "Zoë O'Neil",
    "anna@example.com": "Anna Straße",
}
# What is searched for, and whom it finds.
FOUND = {
    "ada": ["ada@example.com", "adam@example.com"],
    "ADA": ["ada@example.com", "adam@example.com"],
    "ada@": ["ada@example.com"],
    "lovel": ["ada@example.com"],
    "ada l": ["ada@example.com"],
    "lovelace ada": [],
    "lace": [],  # the end of a word
    "example": [],  # the end of an email
    "zoë": ["eve@other.example"],
    "ZOE\u0308": ["eve@other.example"],  # NFD
    "o'n": ["eve@other.example"],
    "neil": ["eve@other.example"],
    "STRASSE": ["anna@example.com"],
    "straße": ["anna@example.com"],
    "": [ROOT, *PEOPLE],
    ".*": [],
    "a.a": [],
    '{"$gt":""}': [],
}


@pytest.fixture
def people(operator):
    """Create the users."""
    for email, name in PEOPLE.items():
        users.set_name(create_user(email), name)


@pytest.fixture
def search(api, operator):
    """Return a function that returns the emails of the users that filters find, in order."""

    def search(**filters):
        response = api.get("/api/users", params=filters, token=operator["token"])
        assert response.status_code == 200, response.text
        return [user["email"] for user in response.json()]

    return search


class TestBeginning:
    """q: how the email or a word of the name begins."""

    def test_users_are_found(self, people, search):
        for beginning, found in FOUND.items():
            with case(beginning=beginning):
                assert search(q=beginning) == found

    def test_changed_name_is_found(self, api, operator, people, search):
        path = path_of("adam@example.com")
        for name in ("Adam Smith", "Adam Jones"):
            assert api.patch(path, token=operator["token"], json={"name": name}).ok
        assert (search(q="smith"), search(q="jones")) == ([], ["adam@example.com"])
        assert api.patch(path, token=operator["token"], json={"name": None}).ok
        assert search(q="jones") == []

    def test_name_of_a_new_user_is_found(self, api, operator, search):
        api.sign_up(name="Ada Byron")
        invite(api, operator, email="eve@example.com", name="Eve Byron")
        assert search(q="byron") == [ADA["email"], "eve@example.com"]


class TestFilters:
    @pytest.fixture
    def people(self, people):
        """Make two of the users admins and disable two."""
        User.objects(email__in=["ada@example.com", "adam@example.com"]).update(role=ADMIN)
        User.objects(email__in=["adam@example.com", "anna@example.com"]).update(disabled_at=1.0)

    @pytest.mark.parametrize(
        ("filters", "found"),
        [
            ({}, [ROOT, *PEOPLE]),
            ({"email": " ADA@Example.com"}, ["ada@example.com"]),
            ({"email": "ada@example.co"}, []),
            ({"role": "admin"}, [ROOT, "ada@example.com", "adam@example.com"]),
            ({"role": "user"}, ["eve@other.example", "anna@example.com"]),
            ({"disabled": "true"}, ["adam@example.com", "anna@example.com"]),
            ({"disabled": "false"}, [ROOT, "ada@example.com", "eve@other.example"]),
            ({"role": "admin", "disabled": "true"}, ["adam@example.com"]),
            ({"q": "ada", "disabled": "false"}, ["ada@example.com"]),
            ({"q": "ada", "role": "user"}, []),
            ({"email": "ada@example.com", "q": "love", "role": "admin"}, ["ada@example.com"]),
        ],
        ids=str,
    )
    def test_users_meet_every_filter(self, people, search, filters, found):
        assert search(**filters) == found

    def test_enabled_user_is_not_disabled(self, people, search):
        users.enable(User.objects.get(email="adam@example.com"))
        assert search(disabled="true") == ["anna@example.com"]

    def test_invalid_value_is_refused_by_name(self, api, operator):
        for name, value in (
            *(("email", "ada"), ("email", "a" * 321), ("role", "root"), ("role", "a" * 101)),
            *(
                ("disabled", "yes"),
                ("disabled", "1"),
                ("disabled", ""),
                ("q", "a" * 401),
                ("q", "\0"),
            ),
            ("name", "Ada"),
        ):
            with case(name=name, value=value):
                params = {name: value}
                response = api.get("/api/users", params=params, token=operator["token"])
                assert assert_error(response, 400, "SchemaValidationError").keys() == {name}

    def test_longest_beginning_is_accepted(self, search):
        for character in ("a", "\ufdfa"):  # NFKC makes 18 characters of the latter
            assert search(q=character * 400) == []

    def test_user_may_not(self, api, ada):
        for query in ("q=ada", "email=ada", "disabled=yes"):
            response = api.get(f"/api/users?{query}", token=ada["token"])
            assert_error(response, 403, "ForbiddenError")


class TestPages:
    def test_links_carry_the_filters(self, api, operator):
        wanted = [f"user{number}@example.com" for number in (3, 1, 2, 5, 4)]
        for email in wanted:
            user = create_user(email, ADMIN)
            users.set_name(user, "Zoë & Co")
            user.modify(disabled_at=1.0)
            for other in ({"role": "user"}, {"disabled_at": None}, {"name_keys": ["x"]}):
                fields = {"role": ADMIN, "disabled_at": 1.0, "name_keys": ["zoë & co"], **other}
                create_user(f"{email}{len(User.objects)}").modify(**fields)
        path = "/api/users?limit=2&q=zo%C3%AB+%26&role=admin&disabled=true"
        pages = [page.json() for page in each_page(api, path, operator["token"])]
        assert [len(page) for page in pages] == [2, 2, 1]
        assert [user["email"] for page in pages for user in page] == wanted


class TestIndexes:
    """No filter reads every user."""

    @pytest.mark.parametrize(
        "filters", [{"email": ADA["email"]}, {"role": ADMIN}, {"disabled": True}], ids=str
    )
    def test_filter_uses_an_index(self, documents, filters):
        ensure_indexes(User)
        plan = str(get_db()["user"].find(users._condition(**filters)).explain())
        assert "SEARCH" in plan or "IXSCAN" in plan, plan

    def test_beginning_is_a_range_of_each_indexed_field(self, documents):
        ensure_indexes(User)
        # The plan does not tell: the embedded server has no index of lists while there is none.
        indexes = get_db()["user"].index_information().values()
        indexed = {index["key"][0][0] for index in indexes}
        email, name = users._condition(q="Ada")["$or"]
        begins = {"$gte": "ada", "$lt": "ada\U0010ffff"}
        assert (email, name) == ({"email": begins}, {"name_keys": {"$elemMatch": begins}})
        assert {"email", "name_keys"} <= indexed
