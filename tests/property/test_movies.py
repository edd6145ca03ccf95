"""What is stored is returned as it was, and a search finds what it should: with any text."""

import re
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from commands.movies import NO_OWNER
from database.models import Movie
from schemas.movies import MovieCreateSchema
from services import movie_service
from tests.support.client import ADA
from tests.support.pages import names_by_page
from tests.support.strategies import A_FEW, TEXT, json_bytes, requests_for, single_lines
from tests.support.validity import is_name

STRINGS = st.lists(single_lines(100), min_size=1, max_size=3)
# Name → genres.
BAGS = st.dictionaries(single_lines(200), STRINGS, min_size=1, max_size=15)
CASES = st.sampled_from([str, str.upper, str.lower, str.swapcase, str.casefold])


@st.composite
def parts_of(draw, texts):
    """Return some part of one of texts, in some case, to search for."""
    text = draw(st.sampled_from(sorted(texts)))
    begin = draw(st.integers(0, len(text) - 1))
    end = draw(st.integers(begin + 1, len(text)))
    return draw(CASES)(text[begin:end]).strip() or text


def searches_in(bag):
    """Return search parameters, of which some find movies of the bag."""
    genres = {genre for names in bag.values() for genre in names}
    return st.fixed_dictionaries(
        {
            "q": st.none() | parts_of(bag) | single_lines(200),
            "genre": st.none() | st.sampled_from(sorted(genres)) | parts_of(genres),
            "limit": st.integers(1, 5) | st.integers(1, 200),
        }
    )


def expected_names(bag, q, genre):
    return [
        name
        for name in sorted(bag)
        if (q is None or q.casefold() in name.casefold()) and (genre is None or genre in bag[name])
    ]


class TestListMovies:
    def test_search_finds_all_matches_in_order_over_all_pages(self, app, api):
        @A_FEW
        @given(BAGS, st.data())
        def check(bag, data):
            Movie.objects.delete()
            movies = [{"name": name, "casts": ["A"], "genres": bag[name]} for name in bag]
            assert movie_service.add_new(NO_OWNER, movies) == len(bag)
            for _ in range(3):
                search = data.draw(searches_in(bag))
                names = expected_names(bag, search["q"], search["genre"])
                limit = search["limit"]
                pages = [names[begin : begin + limit] for begin in range(0, len(names), limit)]
                query = urlencode({name: value for name, value in search.items() if value})
                assert names_by_page(api, f"/api/movies?{query}") == (pages or [[]])

        with app.app_context():
            check()


class TestMovie:
    def test_movie_is_returned_as_it_was_added_and_changed(self, api, ada):
        movies = st.fixed_dictionaries(
            {"name": single_lines(200), "casts": STRINGS, "genres": STRINGS}
        )

        @A_FEW
        @given(movies, movies)
        def check(first, second):
            Movie.objects.delete()
            movie_id = api.post("/api/movies", json=first, token=ada["token"]).json()["id"]
            path = f"/api/movies/{movie_id}"
            assert api.get(path).json() == api.get(path).json() | first
            assert api.put(path, json=second, token=ada["token"]).status_code == 200
            assert api.get(path).json() == api.get(path).json() | second

        check()


class TestUser:
    def test_name_and_user_agent_are_returned_as_sent(self, api, stopped_worker, ada):
        @A_FEW
        @given(single_lines(100).filter(is_name), single_lines(200).map(str.encode))
        def check(name, agent):
            login = api.post("/api/auth/login", json=ADA, headers={"User-Agent": agent})
            token = login.json()["token"]
            changed = api.patch("/api/users/me", json={"name": name}, token=token)
            assert changed.json()["name"] == name
            newest = api.get("/api/auth/sessions", token=token).json()[0]
            assert newest["user_agent"] == agent.decode("latin-1")[:200]

        check()


JSON_LINES = st.lists(st.binary() | json_bytes(requests_for(MovieCreateSchema))).map(b"\n".join)
CELLS = TEXT.map(str.encode) | st.binary() | st.sampled_from([b"name", b"casts", b"genres", b'"'])
ROWS = st.lists(st.lists(CELLS, max_size=4).map(b",".join)).map(b"\n".join)
CSV = ROWS | ROWS.map(b"name,casts,genres\n".__add__)


class TestImport:
    @pytest.mark.parametrize(("suffix", "files"), [("jsonl", JSON_LINES), ("csv", CSV)])
    def test_file_of_any_bytes_is_imported_once(self, app, tmp_path, suffix, files):
        path, runner = tmp_path / f"movies.{suffix}", app.test_cli_runner()

        def import_movies():
            ended = runner.invoke(args=["movies", "import", str(path)])
            assert ended.exit_code == 0, ended.output
            counts = re.fullmatch(r"(\d+) added, (\d+) skipped, (\d+) invalid\n", ended.stdout)
            added, skipped, invalid = map(int, counts.groups())
            reasons = re.findall(r"^line (\d+): .+", ended.stderr, re.MULTILINE)
            assert (
                len(reasons) == len(ended.stderr.splitlines()[1:]) == invalid
            )  # after the database
            return added, skipped, invalid

        @A_FEW
        @given(st.binary() | files)
        @example(rb'{"\u001b[2J": 1}')
        def check(data):
            path.write_bytes(data)
            Movie.objects.delete()
            added, skipped, invalid = import_movies()
            assert import_movies() == (0, added + skipped, invalid)
            assert Movie.objects.count() == added

        check()
