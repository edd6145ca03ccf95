"""The README keeps its promises: its walk, executed as written."""

import re
import subprocess
import sys

from tests.servers import HOME, environment

README = (HOME / "README.md").read_text()


def test_the_walk_in_the_readme_works_as_written(run, tmp_path):
    defaults = dict.fromkeys(("MONGODB_URI", "BCRYPT_LOG_ROUNDS", "RATELIMIT_ENABLED"))
    server = run(DATA_DIR=tmp_path / "data", **defaults)
    walk = "\n".join(re.findall(r"^```sh\n((?!make).*?)^```", README, re.S | re.M))
    for written, here in {
        "http://127.0.0.1:5000": server.url,
        "data/email.log": f"{server.data_dir}/email.log",
        ".venv/bin/flask": f"{sys.executable} -m flask",
    }.items():
        walk = walk.replace(written, here)
    answers = subprocess.run(
        ["bash", "-eu", "-c", walk],
        cwd=HOME,
        env=environment(DATA_DIR=server.data_dir),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    steps = [
        '"id":"',
        '"message":"Token is valid"',
        "100 added, 0 were there, 0 bad",
        '"genres":["Western"',
        '{"id":"',
        "a reset link is on its way",
        "Hello Ada,",
        '"message":"Password has been reset"',
        '"error":"BadTokenError"',
        '"refresh_token":"',
    ]
    place = 0
    for step in steps:
        place = answers.find(step, place)
        assert place >= 0, (step, answers)


def test_every_route_is_in_the_readme(make_app):
    for rule in make_app(APP_ENV="development").url_map.iter_rules():
        if not rule.endpoint.endswith("static"):
            assert str(rule) in README


def test_the_two_commands_are_on_the_first_screen():
    first_screen = "\n".join(README.splitlines()[:24])
    assert "make run" in first_screen
    assert "make test" in first_screen
