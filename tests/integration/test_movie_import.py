"""`flask --app app movies import FILE`, with few movies and with many."""

import json
import os
import random
import re
import subprocess
import sys

import pytest
import requests

from database.models import Movie, User
from tests.support.client import ADA
from tests.support.processes import HOME, environment

SAMPLE = HOME / "database" / "sample_movies.jsonl"
FLASK = [sys.executable, "-m", "flask", "--app", "app"]
# The command, which prints its processor time and its peak of memory at its end. ru_maxrss is of no
# use: that of a child process includes the memory of its parent.
MEASURED_FLASK = r"""
import atexit, re, runpy, time
atexit.register(lambda: print(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]))
atexit.register(lambda: print(time.process_time()))
runpy.run_module("flask", run_name="__main__")
"""
GENRES = ["Action", "Drama", "Comedy", "Crime", "Horror", "War", "Western", "Romance"]


@pytest.fixture
def import_file(app):
    """Return a function that runs the command in this process and returns its result."""

    def run(path, *options):
        result = app.test_cli_runner().invoke(args=["movies", "import", str(path), *options])
        assert result.exit_code == 0, result.stderr
        return result

    return run


def line(name, **fields):
    return json.dumps({"name": name, "casts": ["A"], "genres": ["Drama"]} | fields)


class TestSample:
    def test_its_100_films_are_added_once(self, api, import_file):
        assert import_file(SAMPLE).stdout == "100 added, 0 skipped, 0 invalid\n"
        assert import_file(SAMPLE).stdout == "0 added, 100 skipped, 0 invalid\n"
        movies = api.get("/api/movies?limit=200").json()
        assert len(movies) == 100
        assert movies[0]["added_by"] == {"$oid": "0" * 24}

    def test_films_may_belong_to_a_user(self, api, ada, import_file):
        import_file(SAMPLE, "--by", ADA["email"])
        movie = Movie.objects.first()
        assert movie.added_by == str(User.objects.get().id)
        response = api.delete(f"/api/movies/{movie.id}", token=ada["token"])
        assert response.status_code == 200

    def test_terminal_shows_a_progress_bar(self, database, documents, tmp_path):
        terminal, end = os.openpty()
        settings = {"MONGODB_URI": database, "DATA_DIR": tmp_path / "data"}
        command = [*FLASK, "movies", "import", str(SAMPLE)]
        with subprocess.Popen(
            command, cwd=HOME, env=environment(**settings), stdout=subprocess.PIPE, stderr=end
        ) as process:
            os.close(end)
            assert process.stdout.read() == b"100 added, 0 skipped, 0 invalid\n"
        assert process.returncode == 0
        printed = os.read(terminal, 10_000).decode()
        os.close(terminal)
        assert "[####################################]" in printed
        assert "100%" in printed


class TestInvalidLines:
    def test_each_json_line_is_named_with_its_reason(self, import_file, tmp_path):
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
        result = import_file(path)
        assert result.stdout == "2 added, 0 skipped, 7 invalid\n"
        _, *errors = result.stderr.splitlines()
        assert [error.split(":")[0] for error in errors] == [f"line {n}" for n in range(2, 9)]
        assert errors[1] == "line 3: name: Must be a line of 1 to 200 characters."
        assert errors[2] == "line 4: year: Unknown field."
        assert sorted(movie.name for movie in Movie.objects) == ["Good 1", "Good 3"]

    def test_csv_has_bars_between_casts_and_names_invalid_rows(self, import_file, tmp_path):
        path = tmp_path / "movies.CSV"
        path.write_bytes(
            'name,casts,genres\n"Good, Bad",A|B,Drama\nNo genres,A,\n\xff,A,B\n'.encode("latin-1")
            + b"More,A,B,C,D\n"
            + b"x" * 140_000
            + b",A,B\n"
            + "Amélie,Audrey Tautou,Comedy|Romance\n".encode()
        )
        result = import_file(path)
        assert result.stdout == "2 added, 0 skipped, 4 invalid\n"
        assert re.findall(r"^line (\d): (\w+)", result.stderr, re.M) == [
            *(("3", "genres"), ("4", "name"), ("5", "more"), ("6", "It"))
        ]
        movie = Movie.objects.get(name="Amélie")
        assert (movie.casts, movie.genres) == (["Audrey Tautou"], ["Comedy", "Romance"])
        assert Movie.objects.get(name="Good, Bad").casts == ["A", "B"]


class TestManyMovies:
    def test_interrupted_import_can_be_repeated(self, import_file, tmp_path):
        path, half = tmp_path / "movies.jsonl", tmp_path / "half.jsonl"
        lines = [line(f"Movie {number:05}") for number in range(1200)]
        path.write_text("\n".join(lines))
        half.write_text("\n".join(lines[100:800]))  # two batches, and another beginning
        assert import_file(half).stdout == "700 added, 0 skipped, 0 invalid\n"
        assert import_file(path).stdout == "500 added, 700 skipped, 0 invalid\n"
        assert Movie.objects.count() == 1200

    @pytest.mark.slow
    def test_100_000_movies_take_a_minute_and_pages_one_cost(self, run, tmp_path):
        path = tmp_path / "movies.jsonl"
        numbers = random.sample(range(1_000_000), 100_000)
        path.write_text(
            "\n".join(line(f"{n:06}", genres=random.sample(GENRES, 2)) for n in numbers)
        )
        server = run(MONGODB_URI=None)
        result = subprocess.run(
            [sys.executable, "-c", MEASURED_FLASK, "--app", "app", "movies", "import", str(path)],
            cwd=HOME,
            env=environment(DATA_DIR=server.data_dir),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        printed, seconds, peak_kib = result.stdout.splitlines()
        assert printed == "100000 added, 0 skipped, 0 invalid"
        assert float(seconds) < 60
        assert int(peak_kib) < 150 * 1024
        for genre in ("", "&genre=Drama"):
            first = seconds_per_page(server, genre)
            for cursor in ("MTAwMDAw", "NTAwMDAw", "OTkwMDAw"):  # after 100000, 500000, 990000
                assert seconds_per_page(server, f"{genre}&after={cursor}") <= 1.5 * first


def seconds_per_page(server, query):
    """Return the least of 40 response times of a page."""
    times = []
    for _ in range(40):
        response = requests.get(f"{server.url}/api/movies?limit=50{query}", timeout=20)
        assert len(response.json()) == 50
        times.append(response.elapsed.total_seconds())
    return min(times)
