"""The tour of the README, executed as it is written, and what the README must name."""

import sys

from tests.support.documentation import run_commands
from tests.support.markdown import sections
from tests.support.processes import HOME, environment

PAGE = HOME / "README.md"
README = PAGE.read_text()
SECTION = "A tour with curl"
# What the tour prints, in this order.
STEPS = [
    '"id":"',
    '"message":"Token is valid"',
    '"message":"Email is confirmed"',
    "100 added, 0 skipped, 0 invalid",
    '"genres":["Western"',
    '{"id":"',
    "a reset link is on its way",
    "Hello Ada,",
    '"message":"Password has been reset"',
    '"error":"SessionEndedError"',
    '"refresh_token":"',
]


def test_tour_works_as_written(run, tmp_path):
    defaults = dict.fromkeys(("MONGODB_URI", "BCRYPT_LOG_ROUNDS", "RATELIMIT_ENABLED"))
    server = run(DATA_DIR=tmp_path / "data", **defaults)
    tour = "\n".join(block.source for block in sections(PAGE)[SECTION].blocks)
    replaced = {
        "http://127.0.0.1:5000": server.url,
        "data/email.log": f"{server.data_dir}/email.log",
        ".venv/bin/flask": f"{sys.executable} -m flask",
    }
    output = run_commands(tour, replaced, environment(DATA_DIR=server.data_dir))
    position = 0
    for step in STEPS:
        position = output.find(step, position)
        assert position >= 0, (step, output)


def test_every_route_is_named(make_app):
    for rule in make_app(APP_ENV="development").url_map.iter_rules():
        if not rule.endpoint.endswith("static"):
            assert str(rule) in README


def test_both_commands_are_on_the_first_screen():
    first_screen = "\n".join(README.splitlines()[:24])
    assert "make run" in first_screen
    assert "make test" in first_screen
