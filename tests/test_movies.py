"""The bag of movies."""

import pytest
from bson import ObjectId

from database.models import Mail, Movie, User
from services import movie_service, outbox, user_service
from tests.conftest import ADA, at_once, wait_until
from tests.test_bad_input import refused

EVE = {"email": "eve@example.com", "password": "apple horse battery"}
HEAT = {"name": "Heat", "casts": ["Al Pacino", "Robert De Niro"], "genres": ["Crime", "Drama"]}


@pytest.fixture
def eve(api):
    """Sign Eve up and log her in; return her tokens."""
    api.sign_up(**EVE)
    return api.log_in(**EVE).json()


@pytest.fixture
def heat(api, ada):
    """Return the id of a movie of Ada's."""
    return add(api, ada).json()["id"]


def add(api, tokens, **fields):
    return api.post("/api/movies", json=HEAT | fields, token=tokens["token"])


def names(api, query=""):
    return [movie["name"] for movie in api.get(f"/api/movies{query}").json()]


def walk(api, path):
    """Return the names of each page, from link to link."""
    pages = []
    while path:
        answer = api.get(path)
        pages.append([movie["name"] for movie in answer.json()])
        path = answer.links.get("next", {}).get("url")
        assert path is None or path.startswith("/api/movies?")
    return pages


def test_a_movie_is_shown_in_extended_json(api, ada, heat):
    user_id = str(User.objects.get().id)
    movie = {"_id": {"$oid": heat}, **HEAT, "added_by": {"$oid": user_id}}
    assert api.get(f"/api/movies/{heat}").json() == movie
    assert api.get("/api/movies").json() == [movie]


def test_movies_are_listed_by_name(api, ada):
    for name in ("Zorro", "Alien", "Ödipussi", "M"):
        add(api, ada, name=name)
    assert names(api) == ["Alien", "M", "Zorro", "Ödipussi"]


@pytest.mark.parametrize(
    "fields",
    [
        *({"name": name} for name in ("", "  ", "x" * 201, None, 5, "two\nlines", "nul\0")),
        *({"casts": casts} for casts in ([], ["x"] * 101, ["x" * 101], [""], [5], [None], "x", {})),
        *({"genres": genres} for genres in ([], [["Crime"]], [{"$ne": 1}], None)),
        *({"added_by": "0" * 24}, {"_id": "0" * 24}, {"name_lower": "x"}),
    ],
    ids=lambda fields: str(fields)[:40],
)
def test_what_is_no_movie_is_refused_by_name(api, ada, heat, fields):
    field = next(iter(fields))
    for answer in (
        add(api, ada, **{"name": "Alien"} | fields),
        api.put(f"/api/movies/{heat}", json=fields, token=ada["token"]),
    ):
        errors = refused(answer, 400, "SchemaValidationError")
        assert errors.keys() == {field}
        assert all(isinstance(sentence, str) for sentence in errors[field])
    assert names(api) == ["Heat"]


def test_a_movie_may_be_as_large_as_that(api, ada):
    large = {"name": "x" * 200, "casts": ["c" * 100] * 100, "genres": ["g" * 100] * 100}
    assert add(api, ada, **large).status_code == 200


def test_names_are_trimmed_and_unique(api, ada, eve, heat):
    answer = add(api, eve, name="  Heat ")
    refused(answer, 400, "MovieAlreadyExistsError")
    assert answer.json()["message"] == "Movie with given name already exists"
    assert names(api) == ["Heat"]


def test_of_16_simultaneous_movies_with_one_name_one_is_added(api, ada):
    answers = at_once(16, lambda _: add(api, ada).status_code)
    assert sorted(answers) == [200] + [400] * 15
    assert names(api) == ["Heat"]


def test_of_two_simultaneous_renames_onto_one_name_one_wins(api, ada):
    for number in range(10):
        ids = [add(api, ada, name=f"{number} {which}").json()["id"] for which in "ab"]
        rename = {"name": f"{number} both"}
        answers = at_once(
            2,
            lambda index, ids=ids, rename=rename: api.put(
                f"/api/movies/{ids[index]}", json=rename, token=ada["token"]
            ),
        )
        assert sorted(answer.status_code for answer in answers) == [200, 400]
        loser = next(answer for answer in answers if answer.status_code == 400)
        refused(loser, 400, "MovieAlreadyExistsError")


def test_a_change_that_fails_for_another_reason_is_not_laid_to_the_name(api, ada, heat):
    add(api, ada, name="Alien")
    movies = Movie._get_collection()
    index = movies.create_index("folded", unique=True)
    try:
        answer = api.put(f"/api/movies/{heat}", json={"name": "ALIEN"}, token=ada["token"])
    finally:
        movies.drop_index(index)
    refused(answer, 503, "ServiceUnavailableError")


def test_who_added_a_movie_changes_and_deletes_it(api, ada, heat):
    path = f"/api/movies/{heat}"
    assert api.put(path, json={"name": "HEAT"}, token=ada["token"]).status_code == 200
    assert api.put(path, json={"genres": ["Action"]}, token=ada["token"]).status_code == 200
    assert api.put(path, json={}, token=ada["token"]).status_code == 200
    movie = api.get(path).json()
    assert (movie["name"], movie["genres"], movie["casts"]) == ("HEAT", ["Action"], HEAT["casts"])
    assert names(api, "?q=heat") == ["HEAT"]
    assert api.delete(path, token=ada["token"]).status_code == 200
    refused(api.get(path), 404, "MovieNotExistsError")


def test_another_user_changes_and_deletes_nothing(api, eve, heat):
    path = f"/api/movies/{heat}"
    answer = api.put(path, json={"name": "Mine"}, token=eve["token"])
    refused(answer, 403, "UpdatingMovieError")
    assert answer.json()["message"] == "Updating movie added by other is forbidden"
    answer = api.delete(path, token=eve["token"])
    refused(answer, 403, "DeletingMovieError")
    assert answer.json()["message"] == "Deleting movie added by other is forbidden"
    assert names(api) == ["Heat"]


def test_an_admin_deletes_a_movie_of_another_and_does_not_change_it(api, eve, heat):
    User.objects(email=EVE["email"]).update(set__role="admin")
    path = f"/api/movies/{heat}"
    refused(api.put(path, json={"name": "Mine"}, token=eve["token"]), 403, "UpdatingMovieError")
    assert api.delete(path, token=eve["token"]).status_code == 200
    assert names(api) == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_without_a_token_nothing_is_changed(api, heat, method):
    path = "/api/movies" if method == "POST" else f"/api/movies/{heat}"
    refused(api.request(method, path, json=HEAT), 401, "MissingTokenError")


@pytest.mark.parametrize("movie_id", [str(ObjectId()), "nonsense", "0", "%00", "x" * 24])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_movie_that_is_not_there_is_not_found(api, ada, method, movie_id):
    token = None if method == "GET" else ada["token"]
    answer = api.request(method, f"/api/movies/{movie_id}", token=token)
    refused(answer, 404, "MovieNotExistsError")


@pytest.mark.parametrize("limit", [1, 3, 4, 7, 50])
def test_pages_follow_each_other_without_gap_or_double(api, ada, limit):
    wanted = sorted(["Alien", "Brazil", "Casablanca", "Dune & Co", "E=mc²", "F/X", "Ödipussi"])
    for name in wanted:
        add(api, ada, name=name)
    pages = walk(api, f"/api/movies?limit={limit}")
    assert [name for page in pages for name in page] == wanted
    assert all(len(page) == limit for page in pages[:-1])


def test_filters_survive_in_the_next_link(api, ada):
    for number in range(5):
        add(api, ada, name=f"Heat & Dust {number}", genres=["Drama", "Très & Bon"])
        add(api, ada, name=f"Heat & Rain {number}", genres=["Crime"])
    pages = walk(api, "/api/movies?limit=2&genre=Tr%C3%A8s%20%26%20Bon&q=HEAT%20%26")
    assert [len(page) for page in pages] == [2, 2, 1]
    assert all("Dust" in name for page in pages for name in page)


def test_a_genre_is_matched_whole(api, heat):
    assert names(api, "?genre=Crime") == names(api, "?genre=Drama") == ["Heat"]
    assert names(api, "?genre=crime") == names(api, "?genre=Crim") == []


@pytest.mark.parametrize(
    ("q", "found"),
    [
        *[("heat", True), ("HEAT", True), ("at (1995", True), ("ß", True), (" & ", True)],
        *[(".*(", False), ("^heat", False), ("h.at", False), ("[a-z]", False), ("\\", False)],
        *[("$", False), ("%", False), ("_", False), ("'", False), ("heat|", False)],
    ],
)
def test_a_search_is_literal_and_in_any_case(api, ada, q, found):
    add(api, ada, name="Heat (1995) & Straße?")
    answer = api.get("/api/movies", params={"q": q})
    assert [movie["name"] for movie in answer.json()] == ["Heat (1995) & Straße?"] * found


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=201", "limit=x", "after=nonsense", "after=_w==", "genre=", "q="),
        *("q=%00", "page=2"),
    ],
)
def test_a_query_that_can_not_be_read_is_named(api, heat, query):
    errors = refused(api.get(f"/api/movies?{query}"), 400, "SchemaValidationError")
    assert errors.keys() == {query.split("=")[0]}


def test_deleting_a_user_takes_their_movies_along(api, ada, eve, heat):
    add(api, eve, name="Eve's")
    api.delete("/api/users/me", json={"current_password": ADA["password"]}, token=ada["token"])
    assert names(api) == ["Eve's"]


def test_movies_of_a_user_whose_deletion_died_halfway_go_too(app, api, eve, heat, monkeypatch):
    add(api, eve, name="Eve's")

    class Dying:
        @staticmethod
        def objects(**_):
            raise SystemExit

    with monkeypatch.context() as patch, app.app_context(), pytest.raises(SystemExit):
        patch.setattr(user_service, "Movie", Dying)
        user_service.delete(User.objects.get(email=ADA["email"]))
    wait_until(lambda: Mail.objects.first() is None)
    assert names(api) == ["Eve's"]


def test_a_wish_to_forget_a_user_who_stayed_forgets_nothing(app, api, heat, clock):
    with app.app_context():
        outbox.put(outbox.FORGET, str(User.objects.get().id))
    for _ in range(2):
        assert Mail.objects.first() is not None
        clock.shift(outbox.CLAIM_SECONDS + 1)
        app.extensions["outbox"].wake()
    wait_until(lambda: Mail.objects.first() is None)
    assert names(api) == ["Heat"]


def test_a_movie_that_is_added_while_its_owner_is_deleted_goes_too(app, api, ada, monkeypatch):
    document = movie_service._document

    def slow(*fields):
        User.objects.delete()
        return document(*fields)

    monkeypatch.setattr(movie_service, "_document", slow)
    refused(add(api, ada), 401, "BadTokenError")
    assert Movie.objects.first() is None


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_names_and_genres_that_look_like_dates_are_like_any_other(api, ada, limit):
    wanted = ["1917", "2001-01-01T00:00:00Z", "2012-05-05", "2012-05-05 the film", "300", "true"]
    for name in wanted:
        add(api, ada, name=name, genres=["2012-05-05"])
    assert [name for page in walk(api, f"/api/movies?limit={limit}") for name in page] == wanted
    assert names(api, "?genre=2012-05-05") == wanted
    refused(add(api, ada, name="2012-05-05"), 400, "MovieAlreadyExistsError")


@pytest.mark.parametrize(
    "name", ["می\u200cخواهم", "男は\u3000つらいよ", "Amélie\u00a0!", "👩\u200d🚀"]
)
def test_titles_of_every_script_are_accepted_and_found(api, ada, name):
    assert add(api, ada, name=name).status_code == 200
    assert names(api, f"?q={name[1:]}") == [name]


@pytest.mark.parametrize(("name", "q"), [("ΟΔΥΣΣΕΙΑ", "ΟΔΥΣ"), ("Straße", "STRASSE")])
def test_any_case_is_any_case_in_every_script(api, ada, name, q):
    add(api, ada, name=name)
    assert names(api, f"?q={q}") == [name]
