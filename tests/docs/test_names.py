"""What the documentation names in backticks exists: files, functions, routes, settings, commands.

A page may also name what the code blocks of its folder define. CHANGELOG.md is left out: it names
what there was before.
"""

import re
from functools import cache
from pathlib import Path

import click
import pytest
from werkzeug.exceptions import HTTPException

from config import SettingsSchema
from scripts.lint.source import read_files
from scripts.reference.application import application
from setting_sources import RENAMED_SETTINGS
from tests.support.definitions import defined_names
from tests.support.documentation import DOCS, PAGES, name_of
from tests.support.markdown import code_blocks, inline_code
from tests.support.processes import HOME

FILES = {file.path: file for file in read_files(HOME)}
FOLDERS = {parent.as_posix() for path in FILES for parent in Path(path).parents}
SUFFIXES = {Path(path).suffix for path in FILES} - {""}
PATH = re.compile(r"\.?\w[\w./-]*")
# Files and folders that the product or a command makes.
MADE_AT_RUN_TIME = re.compile(r"\.venv/.*|data(/.*)?|site(/.*)?")
# The example of docs/how-to/add-a-route.md for files of a new subject.
INVENTED = re.compile(r"(\w+/)+(test_)?rating(s|_service)\.py")

SETTING = re.compile(r"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=.*)?")
KNOWN_VARIABLES = {
    "ENV_FILE_LOCATION",  # says where the settings are
    "GUNICORN_CMD_ARGS",  # gunicorn's own
    "MEMORY_MINUTES",  # of tests/resilience/test_memory.py
    "JWT_ALGORITHM",  # Flask-JWT-Extended's own
    "MOVIE_BAG_API_KEY",  # of examples/other_service
    "MOVIE_BAG_URL",
    "MALLOC_ARENA_MAX",  # of the C library of Linux
    "TCP_CORK",  # an option of Linux
    "MONGODB_SETTINGS",  # the tutorial's
    "PWD_RESET_URL",  # another system's, in docs/tutorial/other-systems.md
}
METRIC = re.compile(r"movie_bag_(\w+?)(?:_total|_bucket|_sum|_count)?(?:\{.*\})?")
ROUTE = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/(?:api|dev|reset)/[^?\s]*)(?:\?\S*)?")
MODULE = re.compile(r"python -m ((?:bench|deploy|scripts)[\w.]*)")
TARGET = re.compile(r"\bmake ([a-z][\w-]*)")
TARGETS = re.findall(r"^([\w-]+):", (HOME / "Makefile").read_text(), re.MULTILINE)

# "`path.py`, `name`", "`path.py`: `name`, `Class.method`", "`path.py`, function `name`".
NAMES_OF_FILE = re.compile(
    r"`([\w/.]+\.py)`"
    r"((?:(?:,|:| and)(?:\s(?:function|method|class|constant)s?)?\s`[A-Za-z_][\w.]*(?:\(\))?`)+)"
)
NAME_IN_FILE = re.compile(r"`([A-Za-z_][\w.]*)(?:\(\))?`\s(?:in|of)\s`([\w/.]+\.py)`")
TEST = re.compile(r"([\w/.]+\.py)::([\w:]+)(?:\[.*\])?")
SERVICE = re.compile(r"(\w+_service)\.(\w+)(?:\(.*\))?")
FLASK = re.compile(r"\bflask (?:--app app )?([a-z].*)")
FLASK_COMMANDS = {"run", "routes", "shell"}

CHECKED = [page for page in PAGES if page.name != "CHANGELOG.md"]
pages = pytest.mark.parametrize("page", CHECKED, ids=name_of)


@cache
def blocks_of_folder(folder):
    """Return the file names and the code of the blocks of all pages in a folder."""
    if folder in (HOME, DOCS):
        return set(), ""
    blocks = [block for page in folder.rglob("*.md") for block in code_blocks(page)]
    code = "\n".join(it.source for it in blocks if it.language in ("python", "diff"))
    added = re.findall(r"^\+\+\+ (?:b/)?(\S+)", code, re.MULTILINE)
    return {block.title for block in blocks} | set(added), code


def code_beside(page):
    """Return what the blocks beside a page define; solutions belong to the chapters above them."""
    return blocks_of_folder(page.parent.parent if page.parent.name == "solutions" else page.parent)


def defined(path):
    """Return what a file defines, the members of its classes also without the name of the class."""
    names = defined_names(HOME / path) if path in FILES else ()
    return {*names, *(name.rpartition(".")[2] for name in names)}


@cache
def constants():
    return {name for path in FILES if path.endswith(".py") for name in defined(path)}


def has_name(page, path, name):
    _, code = code_beside(page)
    return name in defined(path) or all(re.search(rf"\b{it}\b", code) for it in name.split("."))


def has_path(page, code):
    path = code.rstrip("/")
    titles, _ = code_beside(page)
    is_bare = "/" not in path and any(path == Path(known).name for known in FILES)
    exists = path in FILES or path in FOLDERS or path in titles or is_bare
    return exists or bool(MADE_AT_RUN_TIME.fullmatch(path) or INVENTED.fullmatch(path))


def is_path(code):
    """Return whether inline code is the name of a file or a folder of a repository."""
    if not PATH.fullmatch(code):
        return False
    first, slash, _ = code.partition("/")
    return Path(code).suffix in SUFFIXES or code.endswith("/") or bool(slash and first in FOLDERS)


def expand(code):
    """Return the paths that `a.{txt,html}` stands for."""
    match = re.fullmatch(r"(.*)\{([\w,.-]+)\}(.*)", code)
    return [f"{match[1]}{it}{match[3]}" for it in match[2].split(",")] if match else [code]


def missing(page, is_missing):
    """Return the places of inline code that names something that is missing."""
    codes = inline_code(page)
    return [f"{name_of(page)}:{line} {code}" for line, code in codes if is_missing(page, code)]


def lacks_path(page, code):
    return any(is_path(path) and not has_path(page, path) for path in expand(code))


def lacks_test(page, code):
    match = TEST.fullmatch(code)
    return match and not has_name(page, match[1], match[2].replace("::", "."))


def lacks_service(page, code):
    match = SERVICE.fullmatch(code)
    return match and not has_name(page, f"services/{match[1]}.py", match[2])


def lacks_setting(page, code):
    match = SETTING.fullmatch(code)
    known = SettingsSchema().fields.keys() | RENAMED_SETTINGS.keys() | KNOWN_VARIABLES
    return match and match[1] not in known | constants() and not has_name(page, "", match[1])


def lacks_metric(_, code):
    match = METRIC.fullmatch(code)
    texts = [file.text for file in FILES.values() if file.is_product]
    return match and not any(re.search(rf'"(movie_bag_)?{match[1]}"', text) for text in texts)


def lacks_target(_, code):
    return any(target not in TARGETS for target in TARGET.findall(code))


def lacks_route(page, code):
    match = ROUTE.fullmatch(code)
    try:
        return match and not ROUTES.match(match[2], match[1])
    except HTTPException:
        return match[2] not in code_beside(page)[1]


def lacks_module(_, code):
    names = [name.replace(".", "/") for name in MODULE.findall(code)]
    return any(f"{it}.py" not in FILES and f"{it}/__main__.py" not in FILES for it in names)


COMMANDS = application().cli.commands
ROUTES = application().url_map.bind("")


def lacks_command(_, code):
    """Return whether `flask --app app user create|list …` or `user create` names what is not."""
    match = FLASK.search(code)
    first, *words = (match[1] if match else code).replace("[", "").replace("]", "").split() or [""]
    command = COMMANDS.get(first)
    if command is None:
        return match and first not in FLASK_COMMANDS
    found = [command]
    if isinstance(command, click.Group) and words and re.match("[a-z]", words[0]):
        found = [command.commands.get(name) for name in words.pop(0).split("|")]
    return None in found or not options(" ".join(words)) <= {
        option for it in found for parameter in it.params for option in parameter.opts
    }


def options(words):
    return set(re.findall(r"--[a-z-]+", words))


CHECKS = {
    "path": lacks_path,
    "test": lacks_test,
    "name of a service": lacks_service,
    "setting": lacks_setting,
    "metric": lacks_metric,
    "route": lacks_route,
    "module": lacks_module,
    "make target": lacks_target,
    "command": lacks_command,
}


@pages
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
def test_name_exists(page, check):
    assert not missing(page, check)


@pages
def test_names_of_a_file_are_defined_there(page):
    text = page.read_text()
    pairs = [
        (path, name.strip("()"))
        for path, names in NAMES_OF_FILE.findall(text)
        for name in re.findall(r"`(.+?)`", names)
        if not name.endswith(".py")
    ]
    pairs += [(path, name) for name, path in NAME_IN_FILE.findall(text)]
    assert not [(path, name) for path, name in pairs if not has_name(page, path, name)]


@pytest.mark.parametrize(
    ("check", "code"),
    [
        (lacks_path, "services/passwort_service.py"),
        (lacks_path, "templates/email/reset_password.{txt,pdf,css}"),
        (lacks_path, "tests/apis"),
        (lacks_test, "tests/api/test_login.py::TestLogin::test_of_nothing"),
        (lacks_test, "tests/api/test_x.py::TestLogin"),
        (lacks_service, "session_service.revoke_some()"),
        (lacks_setting, "MAIL_SEVER=smtp.example.com"),
        (lacks_metric, 'movie_bag_users_total{role="admin"}'),
        (lacks_route, "DELETE /api/auth/verify"),
        (lacks_module, "python -m scripts.linter"),
        (lacks_target, "MONGODB_URI=… make tests"),
        (lacks_command, "flask --app app users list"),
        (lacks_command, "flask --app app user create|vanish EMAIL"),
        (lacks_command, "mail list --all"),
    ],
)
def test_name_that_does_not_exist_is_found(check, code):
    assert check(HOME / "README.md", code)
