"""Every code block of the documentation is run, parsed, or marked as output (`text`).

The blocks of a page in the root, in docs/ or docs/deployment/ are run here, those of another folder
of docs/ by its test.
"""

import configparser
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import partial

import markdown
import pytest
import yaml
from babel.messages.pofile import PoFileError, read_po
from dotenv import dotenv_values

from config import SettingsSchema, load_settings
from setting_sources import SettingsError
from tests.support.client import ADA
from tests.support.documentation import DOCS, PAGES, TOP_PAGES, name_of, run_commands
from tests.support.http_file import SEPARATOR, parse_request
from tests.support.markdown import code_blocks, prose, sections
from tests.support.nginx import main_conf
from tests.support.processes import HOME, Server, environment, free_port
from tests.support.repository_copy import PYTEST, copy_repository
from tests.support.settings import PRODUCTION_SETTINGS, SECRETS_KEY
from tests.support.tokens import KEY

# The tests that run the blocks of a folder of docs/.
RUN_BY = {
    "book": "tests/docs/test_book.py",
    "concepts": "tests/docs/test_tutorial.py",
    "deployment": "tests/docs/test_code_blocks.py",
    "how-to": "tests/docs/test_how_to.py",
    "tutorial": "tests/docs/test_tutorial.py",
}
# Sections of the pages here whose blocks another test runs.
RUN_ELSEWHERE = {("README.md", "A tour with curl"): "tests/integration/test_readme.py"}
# It runs for minutes or until Ctrl-C: a dry run shows that the target exists.
MAKE = """#!/bin/sh
exec {make} --dry-run "$@"
"""
# MongoDB's tools are no packages of Debian: what they do to files and databases, by bson.
MONGO_TOOLS = ("mongodump", "mongorestore")
MONGO_TOOL = """#!/bin/sh
PYTHONPATH='{home}' exec {python} -m tests.support.mongo_tools {name} "$@"
"""
# Minutes too: that the named tests exist is shown by collecting them.
COLLECT_ONLY = {**PYTEST, "PYTEST_ADDOPTS": "--collect-only"}

PLACEHOLDERS = {"JWT_SECRET_KEY": KEY, "SECRETS_KEY": SECRETS_KEY, "MAIL_PASSWORD": "staple horse"}
# A line of options may come first.
DIAGRAM = re.compile(r"(%%\{.*\}%%\n)?(flowchart |sequenceDiagram\n|stateDiagram-v2\n)")


def check_ini(source, _):
    """Load settings, on top of what production needs unless the block has APP_ENV itself."""
    if source.startswith("["):  # of systemd or another program
        configparser.ConfigParser(strict=False, interpolation=None).read_string(source)
        return
    given = dotenv_values(stream=io.StringIO(source), interpolate=False)
    assert given.keys() <= SettingsSchema().fields.keys()
    filled = {name: PLACEHOLDERS[name] for name, value in given.items() if value == "..."}
    others = {} if "APP_ENV" in given else PRODUCTION_SETTINGS
    load_settings({**others, **given, **filled})


def check_nginx(source, folder):
    """Let nginx read a server or what belongs into one, with a certificate that is there."""
    if shutil.which("nginx") is None:
        pytest.skip("there is no nginx on PATH")
    site = re.sub(r"(ssl_certificate\w*) [^;]+", rf"\1 {HOME}/tests/support/localhost.pem", source)
    if not re.search(r"^\s*server \{", site, re.MULTILINE):
        site = f"server {{ {site} }}"
    (folder / "nginx.conf").write_text(main_conf(folder, "stderr", site))
    command = ["nginx", "-t", "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def check_http(source, _):
    requests = [part for part in SEPARATOR.split(source) if part.strip()]
    assert [parse_request(request) for request in requests]


def check_mermaid(source, _):
    assert DIAGRAM.match(source)


PARSERS = {
    "json": lambda source, _: json.loads(source),
    "ini": check_ini,
    "toml": lambda source, _: tomllib.loads(source),
    "yaml": lambda source, _: yaml.safe_load(source),
    "nginx": check_nginx,
    "http": check_http,
    "po": lambda source, _: read_po(io.StringIO(source), abort_invalid=True),
    "mermaid": check_mermaid,  # tests/docs/test_site.py renders it
}
RUN = {"sh", "python", "js", "ts", "diff"}
OUTPUT = {"text"}

BLOCKS = [(page, block) for page in PAGES for block in code_blocks(page)]
PARSED = [(page, block) for page, block in BLOCKS if block.language in PARSERS]
RUN_HERE = [
    (page, block)
    for page in [*TOP_PAGES, *sorted(DOCS.glob("deployment/*.md"))]
    for heading, section in sections(page).items()
    for block in section.blocks
    if block.language in RUN and (name_of(page), heading) not in RUN_ELSEWHERE
]


def place_of(page, block):
    return f"{name_of(page)}:{block.line}"


def parametrize(blocks):
    ids = [place_of(page, block) for page, block in blocks]
    return pytest.mark.parametrize(("page", "block"), blocks, ids=ids)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
class TestPage:
    def test_languages_are_known(self, page):
        known = RUN | OUTPUT | PARSERS.keys()
        unknown = [place_of(page, it) for it in code_blocks(page) if it.language not in known]
        assert not unknown

    def test_blocks_are_closed(self, page):
        lines = page.read_text().splitlines()
        for block in code_blocks(page):
            closing = lines[block.end - 1 :][:1]
            assert "".join(closing).strip(" >") in ("```", "````"), place_of(page, block)

    def test_no_code_is_indented_without_a_fence(self, page):
        assert "<pre>" not in markdown.markdown(prose(page))


@parametrize(PARSED)
def test_block_is_valid(page, block, tmp_path):
    PARSERS[block.language](block.source, tmp_path)


@pytest.mark.parametrize(
    ("language", "source", "error"),
    [
        ("json", "{'single': 1}", ValueError),
        ("ini", "PUBLIC_URI=https://movie-bag.example", AssertionError),
        ("ini", "PORT=many", SettingsError),
        ("ini", "APP_ENV=production", SettingsError),
        ("ini", "[Service", configparser.Error),
        ("toml", "name = ", ValueError),
        ("yaml", "- [", yaml.YAMLError),
        ("nginx", "proxy_pas http://127.0.0.1:5000;", AssertionError),
        ("http", "POST\n", AssertionError),
        ("po", 'msgid "a\n', PoFileError),
        ("mermaid", "pie\n", AssertionError),
    ],
)
def test_block_is_refused(language, source, error, tmp_path):
    with pytest.raises(error):
        PARSERS[language](source, tmp_path)


def test_every_folder_has_a_test_of_its_blocks():
    for page, block in BLOCKS:
        if block.language in RUN and page not in TOP_PAGES:
            folder = page.relative_to(DOCS).parts[0]
            assert folder in (HOME / RUN_BY[folder]).read_text(), place_of(page, block)


def test_blocks_that_run_elsewhere_exist():
    for (name, heading), test in RUN_ELSEWHERE.items():
        assert sections(HOME / name)[heading].blocks
        assert heading in (HOME / test).read_text()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Return a copy of the repository, in which blocks may write."""
    copy = tmp_path_factory.mktemp("movie-bag")
    copy_repository(copy)
    (copy / ".venv").symlink_to(sys.prefix)
    return copy


@pytest.fixture(scope="module")
def server(checkout, tmp_path_factory):
    """Return the product with an embedded database and metrics, where Ada has an account."""
    settings = {"DATA_DIR": checkout / "data", "METRICS_PORT": free_port(), "BCRYPT_LOG_ROUNDS": 4}
    running = Server(tmp_path_factory.mktemp("server"), **settings)
    running.post("/api/auth/signup", **ADA)
    yield running
    running.kill()


@pytest.fixture(scope="module")
def variables(server, tmp_path_factory):
    """Return the environment of a block, where a dry run replaces what takes too long."""
    programs = tmp_path_factory.mktemp("programs")
    (programs / "make").write_text(MAKE.format(make=shutil.which("make")))
    for name in MONGO_TOOLS:
        (programs / name).write_text(MONGO_TOOL.format(home=HOME, python=sys.executable, name=name))
    for program in programs.iterdir():
        program.chmod(0o755)
    return environment(DATA_DIR=server.data_dir) | {
        **COLLECT_ONLY,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "FLASK_SKIP_DOTENV": "1",  # .env is an example of production's
    }


def actual_addresses(server):
    """Return the addresses that a page writes, and those of the test."""
    database = re.search(r"database is mongodb://(127.0.0.1:\d+)", server.log.read_text())
    return {
        "http://127.0.0.1:5000": server.url,
        "127.0.0.1:9100": f"127.0.0.1:{server.settings['METRICS_PORT']}",
        "127.0.0.1:PORT": database[1],
        "user:password@db.example.com": database[1],
    }


@pytest.fixture(scope="module")
def run_block(checkout, server, variables):
    """Return a function that runs a block in bash and returns what it prints."""
    return partial(run_commands, replaced=actual_addresses(server), cwd=checkout, env=variables)


@parametrize(RUN_HERE)
def test_block_runs(page, block, checkout, run_block):
    assert block.language == "sh", "nothing runs it"
    blocks = list(code_blocks(page))
    for file in blocks:
        if file.title:
            (checkout / file.title).write_text(file.source)
    output = run_block(block.source)
    following = next((it for it in blocks if it.line == block.end + 2), None)
    if following and following.language == "json":
        assert json.loads(output) == json.loads(following.source)
