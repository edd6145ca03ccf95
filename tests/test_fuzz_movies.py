"""What is stored is shown as it was, and what is looked for is found: in any text."""

from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st

from database.models import Movie
from resources.fields import Name
from services import movie_service
from tests.conftest import ADA
from tests.test_fuzz import A_FEW, is_fit, is_line
from tests.test_movies import walk

# What a database, a pattern or a change of case may take for something else.
PIECES = [
    *("2012-05-05", "2012-05-05T00:00:00Z", "1917", "-1", "1e5", "0x1", "true", "null", "NaN"),
    *("{}", "[]", '{"$gt": ""}', '{"$oid": "000000000000000000000000"}', "$", "$where", "a.b", "="),
    *(".*", "(", ")", "[a-z]", "\\", "\\d", "^", "|", "?", "+", "%", "_", "'", '"', "--", "#", "&"),
    *("Heat", "heat", "HEAT", "Straße", "STRASSE", "ΟΔΥΣΣΕΥΣ", "σ", "ς", "İ", "ı", "ǆ", "ﬁ", "K"),
    *(
        "é",
        "e\u0301",
        "🎬",
        "👩\u200d🚀",
        "\u202e",
        "\uffff",
        "\U0010ffff",
        " ",
        "\u00a0",
        "\u3000",
    ),
]


def lines(longest):
    pieces = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), min_size=1, max_size=4)
    return pieces.map("".join).map(str.strip).filter(lambda line: is_line(line, longest))


GENRES = st.lists(lines(100), min_size=1, max_size=3)
BAGS = st.dictionaries(lines(200), GENRES, min_size=1, max_size=15)
CASES = st.sampled_from([str, str.upper, str.lower, str.swapcase, str.casefold])


@st.composite
def part_of(draw, texts):
    """Return some part of one of texts, in some case, that may be looked for."""
    text = draw(st.sampled_from(sorted(texts)))
    begin = draw(st.integers(0, len(text) - 1))
    end = draw(st.integers(begin + 1, len(text)))
    return draw(CASES)(text[begin:end]).strip() or text


def test_a_search_finds_just_what_is_there_in_order_over_all_pages(app, api):
    @A_FEW
    @given(BAGS, st.data())
    def try_out(bag, data):
        Movie.objects.delete()
        rows = [{"name": name, "casts": ["A"], "genres": bag[name]} for name in bag]
        assert movie_service.add_many("0" * 24, rows) == len(bag)
        genres = {genre for each in bag.values() for genre in each}
        for _ in "123":
            q = data.draw(st.none() | part_of(bag) | lines(200))
            genre = data.draw(st.none() | st.sampled_from(sorted(genres)) | part_of(genres))
            limit = data.draw(st.integers(1, 5) | st.integers(1, 200))
            found = [
                name
                for name in sorted(bag)
                if (q is None or q.casefold() in name.casefold())
                and (genre is None or genre in bag[name])
            ]
            wanted = {"limit": limit, "genre": genre, "q": q}
            query = urlencode({name: value for name, value in wanted.items() if value is not None})
            pages = [found[begin : begin + limit] for begin in range(0, len(found), limit)]
            assert walk(api, f"/api/movies?{query}") == (pages or [[]])

    with app.app_context():
        try_out()


def test_a_movie_is_shown_as_it_was_added_and_changed(api, ada):
    movies = st.fixed_dictionaries({"name": lines(200), "casts": GENRES, "genres": GENRES})

    @A_FEW
    @given(movies, movies)
    def try_out(first, second):
        Movie.objects.delete()
        path = "/api/movies/" + api.post("/api/movies", json=first, token=ada["token"]).json()["id"]
        assert api.get(path).json() == api.get(path).json() | first
        assert api.put(path, json=second, token=ada["token"]).status_code == 200
        assert api.get(path).json() == api.get(path).json() | second

    try_out()


def test_a_user_is_shown_as_they_wrote_themselves(api, still_outbox, ada):
    @A_FEW
    @given(lines(100).filter(lambda name: is_fit(Name(), name)), lines(200).map(str.encode))
    def try_out(name, agent):
        login = api.post("/api/auth/login", json=ADA, headers={"User-Agent": agent})
        ask = {"token": login.json()["token"]}
        assert api.patch("/api/users/me", json={"name": name}, **ask).json()["name"] == name
        agents = [each["user_agent"] for each in api.get("/api/auth/sessions", **ask).json()]
        assert agents[0] == agent.decode("latin-1")[:200]

    try_out()
