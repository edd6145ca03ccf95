"""The README keeps its promises: its walk, executed as written."""

import re
import subprocess

from tests.servers import HOME, environment

README = (HOME / "README.md").read_text()


def test_the_walk_in_the_readme_works_as_written(run, tmp_path):
    server = run(MONGODB_URI=None, DATA_DIR=tmp_path / "data", BCRYPT_LOG_ROUNDS=None)
    walk = "\n".join(re.findall(r"^```sh\n(API=.*?|curl.*?|RESET_.*?)^```", README, re.S | re.M))
    answers = subprocess.run(
        ["bash", "-eu", "-c", walk.replace("http://127.0.0.1:5000", server.url)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    steps = [
        '"id": "',
        '"message": "Token is valid"',
        "a reset link is on its way",
        "Hello Ada,",
        '"message": "Password has been reset"',
        '"error": "BadTokenError"',
        '"refresh_token": "',
    ]
    places = [answers.find(step) for step in steps]
    assert -1 not in places, answers
    assert places == sorted(places)


def test_every_route_is_in_the_readme(app):
    for rule in app.url_map.iter_rules():
        if rule.endpoint != "static":
            assert str(rule) in README


def test_the_two_commands_are_on_the_first_screen():
    first_screen = "\n".join(README.splitlines()[:24])
    assert "make run" in first_screen
    assert "make test" in first_screen
