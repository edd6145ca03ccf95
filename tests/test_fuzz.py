"""Whatever comes in is refused by name, or is fit. Nothing else happens."""

import base64
import json
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from marshmallow import Schema, fields

from database.models import ROLES, Movie, User
from resources import schemas
from resources.fields import LINK, UNFIT, Cursor, Email, Line, Lines, Name, Role
from resources.request import load
from services import password_service
from services.errors import SchemaValidationError

# For examples that cost milliseconds each, at the database say.
A_FEW = hypothesis_settings(max_examples=hypothesis_settings().max_examples // 5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
# They become others, or more, where case or form is made one; or they look like digits or blanks.
ODD = st.sampled_from("\ufdfa\u00a8\u0130\u00df\u2025\uff1a\u3000\u200b\u0301\u00b2\u0663 .@/")
# Long enough at times to cross the limits of 100, 128 and 200.
TEXT = st.builds(str.__mul__, st.text() | st.text(ODD), st.just(1) | st.integers(1, 201))
ADDRESSES = (
    st.emails()
    | st.builds("{}@{}".format, TEXT, st.text())
    | st.builds("{}@{}".format, TEXT, st.text("aBxn-.ßİıüé。１ｘ٣"))
)
KINDS = {
    Email: ADDRESSES,
    Role: st.sampled_from(ROLES),
    Lines: st.lists(TEXT) | st.integers(0, 101).map(["x"].__mul__),
    Cursor: st.binary().map(base64.urlsafe_b64encode).map(bytes.decode),
    fields.Integer: st.integers(-1, 202).map(str),
    fields.String: TEXT | st.from_regex(r"[0-9a-f]{24}", fullmatch=True),
}
# Fit for every schema that asks for it.
FIT = {
    **dict.fromkeys(["password", "password_confirmation", "current_password"], "correct horse"),
    **dict.fromkeys(["casts", "genres"], ["Drama"]),
    **dict.fromkeys(["name", "genre", "q", "reset_token"], "Ada"),
    **{"email": "ada@example.com", "role": "user", "limit": 5, "after": "QWRh"},
}
SCHEMAS = [
    schema
    for schema in vars(schemas).values()
    if isinstance(schema, type) and issubclass(schema, Schema) and schema is not Schema
]


def near(field):
    """Return what such a field may take, or nearly."""
    return next(values for kind, values in KINDS.items() if isinstance(field, kind))


def requests_for(schema):
    """Return requests that such a schema may take, that it nearly would, and any others."""
    of = schema().fields
    needed = {name: near(field) for name, field in of.items() if field.required}
    optional = {name: near(field) for name, field in of.items() if not field.required}
    mixed = {name: near(field) | JSON for name, field in of.items()}
    return (
        st.fixed_dictionaries(needed, optional=optional)
        | st.fixed_dictionaries({}, optional=mixed)
        | st.dictionaries(st.sampled_from(list(of)) | st.text(), JSON)
        | JSON
    )


def is_fit(field, value):
    if isinstance(field, Email):
        ascii_line = value.isascii() and value.isprintable() and " " not in value
        return ascii_line and value == value.lower() and len(value) <= 254 and "@" in value
    if isinstance(field, Name):
        normal = unicodedata.normalize("NFKC", value) == value
        return normal and value.isprintable() and not LINK.search(value) and is_line(value, 100)
    if isinstance(field, Line):
        return is_line(value, field.metadata["maxLength"])
    if isinstance(field, Lines):
        return 1 <= len(value) <= 100 and all(is_line(line, 100) for line in value)
    if isinstance(field, fields.Integer):
        return type(value) is int and 1 <= value <= 200
    return isinstance(value, str) and (not isinstance(field, Role) or value in ROLES)


def is_line(text, longest):
    return 1 <= len(text) <= longest and text == text.strip() and not UNFIT.search(text)


def again(field, value):
    """Return the request that a loaded value came from."""
    if isinstance(field, Cursor):
        return base64.urlsafe_b64encode(value.encode()).decode()
    return value


def is_told(errors):
    """Say whether errors have a list of sentences for each field."""
    sentences = [sentence for each in errors.values() for sentence in each]
    lists = all(isinstance(each, list) and each for each in errors.values())
    return bool(errors) and lists and all(type(each) is str and each for each in sentences)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_request_is_refused_by_name_or_loads_to_what_is_fit_and_stays_so(schema):
    of, loaded = schema().fields, []

    @given(requests_for(schema))
    @example({name: FIT[name] for name in of})
    @example({"after": []})
    @example({"name": "\u00a8"})
    @example({"name": "\ufdfa" * 100})
    def try_out(request):
        try:
            found = load(schema(), request)
        except SchemaValidationError as error:
            assert is_told(error.errors)
            return
        assert {name for name, value in found.items() if not is_fit(of[name], value)} == set()
        assert load(schema(), {name: again(of[name], found[name]) for name in found}) == found
        loaded.append(found)

    try_out()
    assert loaded


def test_a_password_is_refused_in_words_or_is_long_enough(app):
    @given(TEXT, ADDRESSES, TEXT)
    def try_out(password, email, name):
        try:
            password_service.check_policy(password, email, name)
        except SchemaValidationError as error:
            assert is_told(error.errors)
        else:
            assert 8 <= len(unicodedata.normalize("NFKC", password)) <= 128

    with app.app_context():
        try_out()


def test_a_password_is_that_one_alone_however_it_is_typed(app):
    @given(
        TEXT.filter(len),
        st.sampled_from([str, str.swapcase, "{0}\0{0}".format, lambda text: text[:72]]),
    )
    def try_out(password, alter):
        user = User(password=password_service.hash_password(password))
        for other in (alter(password), unicodedata.normalize("NFD", password)):
            same = unicodedata.normalize("NFKC", other) == unicodedata.normalize("NFKC", password)
            assert password_service.is_password_of(user, other) == same

    with app.app_context():
        try_out()


ROWS = requests_for(schemas.MovieSchema)
JSON_LINES = st.lists(st.binary() | ROWS.map(json.dumps).map(str.encode)).map(b"\n".join)
CELLS = TEXT.map(str.encode) | st.binary() | st.sampled_from([b"name", b"casts", b"genres", b'"'])
LINES = st.lists(st.lists(CELLS, max_size=4).map(b",".join)).map(b"\n".join)
CSV = LINES | LINES.map(b"name,casts,genres\n".__add__)


@pytest.mark.parametrize(("suffix", "files"), [("jsonl", JSON_LINES), ("csv", CSV)])
def test_a_file_of_any_bytes_is_imported_once_and_told_line_by_line(app, tmp_path, suffix, files):
    path, runner = tmp_path / f"movies.{suffix}", app.test_cli_runner()

    @A_FEW
    @given(st.binary() | files)
    @example(rb'{"\u001b[2J": 1}')
    def try_out(data):
        path.write_bytes(data)
        Movie.objects.delete()
        counts = []
        for _ in "12":
            ended = runner.invoke(args=["movies", "import", str(path)])
            assert ended.exit_code == 0, ended.output
            added, there, bad = map(int, re.findall(r"\d+", ended.stdout))
            complaints = re.findall(r"^line (\d+): .+", ended.stderr, re.M)
            assert len(complaints) == len(ended.stderr.splitlines()) == bad
            counts.append((added, there, bad))
        (added, there, bad), again = counts
        assert again == (0, added + there, bad)
        assert Movie.objects.count() == added

    try_out()
