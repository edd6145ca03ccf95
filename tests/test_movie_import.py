"""`flask --app app movies import FILE`, on few movies and on many."""

import json
import os
import random
import re
import subprocess
import sys

import pytest
import requests

from database.models import Movie, User
from tests.conftest import ADA
from tests.servers import HOME, environment

SAMPLE = HOME / "database" / "sample_movies.jsonl"
FLASK = [sys.executable, "-m", "flask", "--app", "app"]


@pytest.fixture
def import_file(database, documents, tmp_path):
    def run(path, *options, **settings):
        settings = {"MONGODB_URI": database, "DATA_DIR": tmp_path / "data"} | settings
        return subprocess.run(
            [*FLASK, "movies", "import", str(path), *options],
            cwd=HOME,
            env=environment(**settings),
            capture_output=True,
            text=True,
            timeout=200,
        )

    return run


def line(name, **fields):
    return json.dumps({"name": name, "casts": ["A"], "genres": ["Drama"]} | fields)


def test_the_sample_is_about_100_films_and_is_added_once(api, import_file):
    ended = import_file(SAMPLE)
    assert (ended.returncode, ended.stdout) == (0, "100 added, 0 were there, 0 bad\n")
    assert import_file(SAMPLE).stdout == "0 added, 100 were there, 0 bad\n"
    movies = api.get("/api/movies?limit=200").json()
    assert len(movies) == 100
    assert movies[0]["added_by"] == {"$oid": "0" * 24}


def test_each_bad_line_is_named_with_its_reason_and_the_rest_is_added(import_file, tmp_path):
    lines = [
        line("Good 1"),
        "no json",
        line(""),
        line("Good 2", year=1995),
        '{"name": "No casts"}',
        "[]",
        line("half \ud800"),
        "",
        line("  Good 3 "),
    ]
    path = tmp_path / "movies.jsonl"
    path.write_text("\n".join(lines))
    ended = import_file(path)
    assert ended.returncode == 0
    assert ended.stdout == "2 added, 0 were there, 7 bad\n"
    complaints = [text for text in ended.stderr.splitlines() if text.startswith("line ")]
    assert [text.split(":")[0] for text in complaints] == [
        f"line {n}" for n in (2, 3, 4, 5, 6, 7, 8)
    ]
    assert complaints[1] == "line 3: name: Must be a line of 1 to 200 characters."
    assert complaints[2] == "line 4: year: Unknown field."
    assert "Traceback" not in ended.stderr
    assert sorted(movie.name for movie in Movie.objects) == ["Good 1", "Good 3"]


def test_csv_has_a_row_a_movie_and_bars_between_casts(import_file, tmp_path):
    path = tmp_path / "movies.CSV"
    path.write_bytes(
        'name,casts,genres\n"Good, Bad",A|B,Drama\nNo genres,A,\n\xff,A,B\n'.encode("latin-1")
        + b"More,A,B,C,D\n"
        + b"x" * 140_000
        + b",A,B\n"
        + "Amélie,Audrey Tautou,Comedy|Romance\n".encode()
    )
    ended = import_file(path)
    assert ended.stdout == "2 added, 0 were there, 4 bad\n"
    assert re.findall(r"^line (\d): (\w+)", ended.stderr, re.M) == [
        *(("3", "genres"), ("4", "name"), ("5", "more"), ("6", "It"))
    ]
    movie = Movie.objects.get(name="Amélie")
    assert (movie.casts, movie.genres) == (["Audrey Tautou"], ["Comedy", "Romance"])
    assert Movie.objects.get(name="Good, Bad").casts == ["A", "B"]


def test_movies_belong_to_whom_the_import_names(api, ada, import_file):
    assert import_file(SAMPLE, "--by", ADA["email"]).returncode == 0
    movie = Movie.objects.first()
    assert movie.added_by == str(User.objects.get().id)
    path = f"/api/movies/{movie.id}"
    assert api.delete(path, token=ada["token"]).status_code == 200


def test_an_import_that_was_interrupted_goes_on_without_doubles(import_file, tmp_path):
    path = tmp_path / "movies.jsonl"
    path.write_text("\n".join(line(f"Movie {number:05}") for number in range(2500)))
    half = tmp_path / "half.jsonl"
    half.write_text("\n".join(path.read_text().splitlines()[300:1700]))
    assert import_file(half).stdout == "1400 added, 0 were there, 0 bad\n"
    assert import_file(path).stdout == "1100 added, 1400 were there, 0 bad\n"
    assert Movie.objects.count() == 2500


def test_on_a_terminal_a_bar_shows_the_progress(database, documents, tmp_path):
    terminal, end = os.openpty()
    settings = {"MONGODB_URI": database, "DATA_DIR": tmp_path / "data"}
    command = [*FLASK, "movies", "import", str(SAMPLE)]
    with subprocess.Popen(
        command, cwd=HOME, env=environment(**settings), stdout=subprocess.PIPE, stderr=end
    ) as process:
        os.close(end)
        assert process.stdout.read() == b"100 added, 0 were there, 0 bad\n"
    shown = os.read(terminal, 10_000).decode()
    os.close(terminal)
    assert "[####################################]" in shown
    assert "100%" in shown


@pytest.mark.slow
def test_a_hundred_thousand_movies_are_added_in_a_minute_and_paged_at_one_cost(run, tmp_path):
    genres = ["Action", "Drama", "Comedy", "Crime", "Horror", "War", "Western", "Romance"]
    path = tmp_path / "movies.jsonl"
    numbers = random.sample(range(1_000_000), 100_000)
    path.write_text("\n".join(line(f"{n:06}", genres=random.sample(genres, 2)) for n in numbers))
    server = run(MONGODB_URI=None)
    with subprocess.Popen(
        [*FLASK, "movies", "import", str(path)],
        cwd=HOME,
        env=environment(DATA_DIR=server.data_dir),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.read() == "100000 added, 0 were there, 0 bad\n"
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert usage.ru_utime + usage.ru_stime < 60  # whatever else the machine is doing
    assert usage.ru_maxrss < 200 * 1024  # KiB

    def cost(query):
        times = []
        for _ in range(40):
            answer = requests.get(f"{server.url}/api/movies?limit=50{query}", timeout=20)
            assert len(answer.json()) == 50
            times.append(answer.elapsed.total_seconds())
        return min(times)

    for genre in ("", "&genre=Drama"):
        first = cost(genre)
        for deep in ("MTAwMDAw", "NTAwMDAw", "OTkwMDAw"):  # after 100000, 500000, 990000
            assert cost(f"{genre}&after={deep}") <= 1.5 * first
