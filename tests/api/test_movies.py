"""The bag of movies."""

import itertools
import json
import re

import pytest
from bson import ObjectId

from database.models import ADMIN, Job, Movie, User
from jobs import queue
from services import movie_service, user_service
from tests.support.assertions import assert_error
from tests.support.client import ADA, EVE
from tests.support.concurrency import run_simultaneously, wait_until
from tests.support.pages import each_page, names_by_page

HEAT = {"name": "Heat", "casts": ["Al Pacino", "Robert De Niro"], "genres": ["Crime", "Drama"]}

EACH_CHANGE = pytest.mark.parametrize("method", ["PUT", "PATCH"])


@pytest.fixture
def heat(api, ada):
    """Return the id of a movie of Ada's."""
    return add(api, ada).json()["id"]


def add(api, tokens, **fields):
    return api.post("/api/movies", json=HEAT | fields, token=tokens["token"])


def names(api, **parameters):
    return [movie["name"] for movie in api.get("/api/movies", params=parameters).json()]


class TestAddMovie:
    def test_location_is_where_the_movie_is(self, api, ada):
        response = add(api, ada)
        path = f"/api/movies/{response.json()['id']}"
        assert response.headers["Location"] == f"https://movie-bag.example{path}"
        assert api.get(path).json()["name"] == "Heat"
        assert "Location" not in add(api, ada).headers

    def test_movie_may_have_the_largest_size(self, api, ada):
        lists = {"casts": ["c" * 100] * 100, "genres": ["g" * 100] * 100}
        assert add(api, ada, name="x" * 200, **lists).status_code == 200

    def test_name_is_trimmed_and_unique(self, api, ada, eve, heat):
        response = add(api, eve, name="  Heat ")
        assert_error(response, 400, "MovieAlreadyExistsError")
        assert response.json()["message"] == "Movie with given name already exists"
        assert names(api) == ["Heat"]

    def test_one_of_16_simultaneous_movies_is_added(self, api, ada):
        statuses = run_simultaneously(16, lambda _: add(api, ada).status_code)
        assert sorted(statuses) == [200] + [400] * 15
        assert names(api) == ["Heat"]

    def test_titles_of_every_script_are_accepted_and_found(self, api, ada):
        for name in ("می\u200cخواهم", "男は\u3000つらいよ", "Amélie\u00a0!", "👩\u200d🚀"):
            assert add(api, ada, name=name).status_code == 200
            assert names(api, q=name[1:]) == [name]

    def test_movie_of_a_user_who_is_being_deleted_is_removed(self, api, ada, monkeypatch):
        to_store = movie_service._to_store

        def delete_user_meanwhile(*fields):
            User.objects.delete()
            return to_store(*fields)

        monkeypatch.setattr(movie_service, "_to_store", delete_user_meanwhile)
        assert_error(add(api, ada), 401, "SessionEndedError")
        assert Movie.objects.first() is None


class TestInvalidMovie:
    """Adding and changing refuse the same values."""

    values = {
        "name": ["", "  ", "x" * 201, None, 5, "two\nlines", "nul\0"],
        "casts": [[], ["x"] * 101, ["x" * 101], [""], [5], [None], "x", {}],
        "genres": [[], [["Crime"]], [{"$ne": 1}], None],
        "added_by": ["0" * 24, {"$oid": "0" * 24}, None, 5, {}],
        "_id": ["0" * 24, {"$oid": "0" * 24}, {"$oid": 5}, {"$ne": "0"}, {"$oid": {}}, None],
        "id": ["0" * 24, "", {}, None, "x" * 101],
        "name_casefold": ["x"],
    }

    @pytest.mark.parametrize("field", values)
    def test_field_is_refused_by_name(self, api, ada, heat, field):
        path, token = f"/api/movies/{heat}", ada["token"]
        for value in self.values[field]:
            for response in (
                add(api, ada, **{"name": "Alien", field: value}),
                api.put(path, json={field: value}, token=token),
                api.patch(path, json={field: value}, token=token),
            ):
                errors = assert_error(response, 400, "SchemaValidationError")
                assert errors.keys() == {field}, value
        assert names(api) == ["Heat"]


class TestGetMovie:
    def test_movie_is_extended_json(self, api, ada, heat):
        user_id = str(User.objects.get().id)
        movie = {"_id": {"$oid": heat}, "id": heat, **HEAT, "added_by": {"$oid": user_id}}
        assert api.get(f"/api/movies/{heat}").json() == movie
        assert api.get("/api/movies").json() == [movie]

    @pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
    def test_unknown_movie_is_not_found(self, api, ada, method):
        for movie_id in (str(ObjectId()), "nonsense", "0", "%00", "x" * 24):
            token = None if method == "GET" else ada["token"]
            response = api.request(method, f"/api/movies/{movie_id}", token=token)
            assert_error(response, 404, "MovieNotExistsError")


class TestListMovies:
    def test_movies_are_ordered_by_name(self, api, ada):
        for name in ("Zorro", "Alien", "Ödipussi", "M"):
            add(api, ada, name=name)
        assert names(api) == ["Alien", "M", "Zorro", "Ödipussi"]

    def test_pages_have_no_gap_and_no_overlap(self, api, ada):
        expected = sorted(["Alien", "Brazil", "Casablanca", "Dune & Co", "E=mc²", "F/X", "Ödipus"])
        for name in expected:
            add(api, ada, name=name)
        for limit in (1, 3, 4, 7, 50):
            pages = names_by_page(api, f"/api/movies?limit={limit}")
            assert sum(pages, []) == expected
            assert all(len(page) == limit for page in pages[:-1])

    def test_longest_names_have_cursors_that_are_accepted(self, api, ada):
        expected = sorted(character * 200 for character in "aé€\U0001f3ac\U0010fffd")
        for name in expected:
            assert add(api, ada, name=name).status_code == 200
        assert sum(names_by_page(api, "/api/movies?limit=1"), []) == expected

    def test_next_link_keeps_the_filters(self, api, ada):
        for number in range(5):
            add(api, ada, name=f"Heat & Dust {number}", genres=["Drama", "Très & Bon"])
            add(api, ada, name=f"Heat & Rain {number}", genres=["Crime"])
        filters = "genre=Tr%C3%A8s%20%26%20Bon&q=HEAT%20%26"
        pages = names_by_page(api, f"/api/movies?limit=2&{filters}")
        assert [len(page) for page in pages] == [2, 2, 1]
        assert all("Dust" in name for page in pages for name in page)

    def test_genre_is_matched_as_a_whole(self, api, heat):
        assert names(api, genre="Crime") == names(api, genre="Drama") == ["Heat"]
        assert names(api, genre="crime") == names(api, genre="Crim") == []

    def test_search_is_literal_and_in_any_case(self, api, ada):
        add(api, ada, name="Heat (1995) & Straße?")
        for q in ("heat", "HEAT", "at (1995", "ß", " & "):
            assert (q, names(api, q=q)) == (q, ["Heat (1995) & Straße?"])
        for q in (".*(", "^heat", "h.at", "[a-z]", "\\", "$", "%", "_", "'", "heat|"):
            assert (q, names(api, q=q)) == (q, [])

    @pytest.mark.parametrize(("name", "q"), [("ΟΔΥΣΣΕΙΑ", "ΟΔΥΣ"), ("Straße", "STRASSE")])
    def test_case_is_ignored_in_every_script(self, api, ada, name, q):
        add(api, ada, name=name)
        assert names(api, q=q) == [name]

    def test_invalid_parameter_is_named(self, api, heat):
        for query in (
            *("limit=0", "limit=201", "limit=x", "after=nonsense", "after=_w==", "genre=", "q="),
            *("q=%00", "page=2"),
        ):
            response = api.get(f"/api/movies?{query}")
            errors = assert_error(response, 400, "SchemaValidationError")
            assert errors.keys() == {query.split("=")[0]}

    def test_text_that_looks_like_a_date_is_text(self, api, ada):
        expected = ["1917", "2001-01-01T00:00:00Z", "2012-05-05", "2012-05-05 the film"]
        expected += ["300", "true"]
        for name in expected:
            add(api, ada, name=name, genres=["2012-05-05"])
        for limit in (1, 2, 50):
            assert sum(names_by_page(api, f"/api/movies?limit={limit}"), []) == expected
        assert names(api, genre="2012-05-05") == expected
        assert_error(add(api, ada, name="2012-05-05"), 400, "MovieAlreadyExistsError")


class TestLargePage:
    """A page ends at 1 MiB, with at least one movie."""

    @pytest.fixture
    def large_movies(self, documents):
        """Store 100 movies of 60 KB, as large as a request allows, and return their names."""
        movies = [HEAT | {"name": f"{i:03}", "casts": ["é" * 100] * 300} for i in range(100)]
        assert movie_service.add_new("0" * 24, movies) == 100
        return [movie["name"] for movie in movies]

    @pytest.mark.parametrize("query", ["limit=200", "limit=40&genre=Crime&q=0"])
    def test_link_leads_on_after_the_last_movie(self, api, large_movies, query):
        pages = list(each_page(api, f"/api/movies?{query}"))
        for page, following in itertools.pairwise(pages):
            movie = json.dumps(following.json()[0], ensure_ascii=False).encode()
            assert len(page.content) <= 2**20 < len(page.content) + len(movie)
            assert {*query.split("&")} < {*re.split("[?&]", page.links["next"]["url"])}
        found = [movie["name"] for page in pages for movie in page.json()]
        assert found == [name for name in large_movies if "q=" not in query or "0" in name]

    def test_limit_ends_a_page_before_1_mib(self, api, large_movies):
        assert [len(page) for page in names_by_page(api, "/api/movies?limit=10")] == [10] * 10

    def test_page_may_have_exactly_1_mib(self, api, ada, large_movies):
        first = api.get("/api/movies?limit=200")
        missing = 2**20 - len(first.content)
        casts = first.json()[0]["casts"]
        Movie.objects(name="000").update(casts=[*casts[1:], casts[0] + "x" * missing])
        assert len(api.get("/api/movies?limit=200").content) == 2**20
        Movie.objects(name="000").update(casts=[*casts[1:], casts[0] + "x" * (missing + 1)])
        assert len(api.get("/api/movies?limit=200").json()) == len(first.json()) - 1

    def test_movie_of_more_than_1_mib_is_a_page(self, api, ada):
        for name in ("A", "B", "C"):
            add(api, ada, name=name)
        Movie.objects(name="B").update(casts=["x" * 2**20])
        assert names_by_page(api, "/api/movies") == [["A"], ["B"], ["C"]]


class TestChangeMovie:
    @EACH_CHANGE
    def test_owner_changes_one_field_after_another(self, api, ada, heat, method):
        path = f"/api/movies/{heat}"
        for fields in ({"name": "HEAT"}, {"genres": ["Action"]}, {}):
            response = api.request(method, path, json=fields, token=ada["token"])
            assert response.status_code == 200
        movie = api.get(path).json()
        assert (movie["name"], movie["genres"]) == ("HEAT", ["Action"])
        assert movie["casts"] == HEAT["casts"]
        assert names(api, q="heat") == ["HEAT"]

    @EACH_CHANGE
    def test_movie_is_sent_back_as_it_was_read(self, api, ada, heat, method):
        path, token = f"/api/movies/{heat}", ada["token"]
        movie = api.get(path).json()
        for body in (movie, movie | {"name": "HEAT"}):
            assert api.request(method, path, json=body, token=token).status_code == 200
        assert api.get(path).json() == movie | {"name": "HEAT"}
        plain = {"_id": heat, "id": heat, "added_by": movie["added_by"]["$oid"]}
        assert api.request(method, path, json=plain, token=token).status_code == 200

    @EACH_CHANGE
    def test_changed_read_only_fields_are_all_named(self, api, ada, heat, method):
        path, other = f"/api/movies/{heat}", "0" * 24
        movie = api.get(path).json()
        body = {"_id": {"$oid": other}, "id": other, "added_by": {"$oid": other}, "name": "M"}
        response = api.request(method, path, json=movie | body, token=ada["token"])
        errors = assert_error(response, 400, "SchemaValidationError")
        assert errors == dict.fromkeys(["_id", "id", "added_by"], ["Can't be changed."])
        assert api.get(path).json() == movie

    def test_movie_of_another_user_is_forbidden_first(self, api, eve, heat):
        path = f"/api/movies/{heat}"
        body = api.get(path).json() | {"id": "0" * 24}
        response = api.patch(path, json=body, token=eve["token"])
        assert_error(response, 403, "UpdatingMovieError")

    @EACH_CHANGE
    def test_other_users_and_admins_may_not_change_it(self, api, eve, heat, method):
        for role in ("user", ADMIN):
            User.objects(email=EVE["email"]).update(set__role=role)
            path, body = f"/api/movies/{heat}", {"name": "Mine"}
            response = api.request(method, path, json=body, token=eve["token"])
            assert_error(response, 403, "UpdatingMovieError")
            assert response.json()["message"] == "Updating movie added by other is forbidden"
        assert names(api) == ["Heat"]

    def test_name_of_another_movie_is_refused(self, api, ada, heat):
        add(api, ada, name="Alien")
        response = api.put(f"/api/movies/{heat}", json={"name": "Alien"}, token=ada["token"])
        assert_error(response, 400, "MovieAlreadyExistsError")
        assert names(api) == ["Alien", "Heat"]

    def test_one_of_two_simultaneous_renames_succeeds(self, api, ada):
        for number in range(10):
            ids = [add(api, ada, name=f"{number} {letter}").json()["id"] for letter in "ab"]

            def rename(index, ids=ids, name=f"{number} both"):
                return api.put(f"/api/movies/{ids[index]}", json={"name": name}, token=ada["token"])

            responses = sorted(run_simultaneously(2, rename), key=lambda sent: sent.status_code)
            assert responses[0].status_code == 200
            assert_error(responses[1], 400, "MovieAlreadyExistsError")


class TestDeleteMovie:
    def test_owner_deletes_it(self, api, ada, heat):
        path = f"/api/movies/{heat}"
        assert api.delete(path, token=ada["token"]).status_code == 200
        assert_error(api.get(path), 404, "MovieNotExistsError")

    def test_other_users_may_not_delete_it(self, api, eve, heat):
        response = api.delete(f"/api/movies/{heat}", token=eve["token"])
        assert_error(response, 403, "DeletingMovieError")
        assert response.json()["message"] == "Deleting movie added by other is forbidden"
        assert names(api) == ["Heat"]

    def test_admin_deletes_a_movie_of_another_user(self, api, eve, heat):
        User.objects(email=EVE["email"]).update(set__role=ADMIN)
        assert api.delete(f"/api/movies/{heat}", token=eve["token"]).status_code == 200
        assert names(api) == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_changes_need_a_token(api, heat, method):
    path = "/api/movies" if method == "POST" else f"/api/movies/{heat}"
    assert_error(api.request(method, path, json=HEAT), 401, "MissingTokenError")


class TestMoviesOfDeletedUser:
    def test_movies_are_deleted_with_their_owner(self, api, ada, eve, heat):
        add(api, eve, name="Eve's")
        api.delete("/api/users/me", json={"current_password": ADA["password"]}, token=ada["token"])
        assert names(api) == ["Eve's"]

    def test_job_deletes_them_after_a_crash(self, app, api, eve, heat, monkeypatch):
        add(api, eve, name="Eve's")

        class Crash:
            def delete_all(self, user):
                raise SystemExit

        with monkeypatch.context() as patch, app.app_context(), pytest.raises(SystemExit):
            patch.setattr(user_service, "BELONGS_TO_USER", [Crash()])
            user_service.delete(User.objects.get(email=ADA["email"]))
        wait_until(lambda: Job.objects.first() is None)
        assert names(api) == ["Eve's"]

    def test_job_deletes_nothing_of_an_existing_user(self, app, api, heat, clock, stopped_worker):
        with app.app_context():
            queue.enqueue(movie_service.DELETE_MOVIES, user_id=str(User.objects.get().id))
            clock.shift(queue.SEND_DELAY)
            stopped_worker.run_due_jobs()
            assert Job.objects.get().last_error == "the user still exists"
            clock.shift(queue.LEASE_SECONDS)
            stopped_worker.run_due_jobs()
        assert Job.objects.first() is None
        assert names(api) == ["Heat"]
