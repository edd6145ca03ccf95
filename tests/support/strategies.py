"""Hypothesis strategies: what a request, a line of text or a file may contain."""

import base64
import json
from datetime import datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from marshmallow import Schema, fields

from database.models import ROLES
from schemas.api_keys import FutureTime, Scopes
from schemas.factors import Code
from schemas.fields import Email, Flag, Locale, NameCursor, QueryFlag, Role, StringList
from schemas.movies import ObjectId
from schemas.passkeys import CredentialField
from tests.support.validity import VALID_CREDENTIAL, is_single_line

# For examples that cost milliseconds each, for instance at the database.
A_FEW = settings(max_examples=settings().max_examples // 5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
# They become others, or several, if case or form is normalised; or they look like digits or blanks.
ODD = st.sampled_from("\ufdfa\u00a8\u0130\u00df\u2025\uff1a\u3000\u200b\u0301\u00b2\u0663 .@/")
# Sometimes long enough to cross the limits of 100, 128 and 200.
TEXT = st.builds(str.__mul__, st.text() | st.text(ODD), st.just(1) | st.integers(1, 201))
EMAILS = (
    st.emails()
    | st.builds("{}@{}".format, TEXT, st.text())
    | st.builds("{}@{}".format, TEXT, st.text("aBxn-.ßİıüé。１ｘ٣"))
)
ANY_BYTES = st.binary() | st.text().map(str.encode)
BASE64URL = st.binary().map(base64.urlsafe_b64encode).map(bytes.decode)
TRANSPORTS = st.lists(st.sampled_from(["usb", "internal", "smart-card", "USB", ""]), max_size=11)
DEVICE_RESPONSES = st.fixed_dictionaries(
    {"clientDataJSON": BASE64URL},
    optional={
        **dict.fromkeys(["attestationObject", "authenticatorData", "signature"], BASE64URL),
        **{"userHandle": BASE64URL | st.none(), "transports": TRANSPORTS, "x": JSON},
    },
)
CREDENTIALS = st.fixed_dictionaries(
    {
        **dict.fromkeys(["id", "rawId"], BASE64URL.map(lambda text: text.rstrip("="))),
        **{"type": st.sampled_from(["public-key", "x"]), "response": DEVICE_RESPONSES},
    },
    optional={"clientExtensionResults": JSON},
)
# By field class, the first that matches.
ALMOST_VALID: dict[type, SearchStrategy[Any]] = {
    Code: st.from_regex(r"\A[0-9]{2,3} ?[0-9]{3}\Z") | TEXT,
    CredentialField: CREDENTIALS | st.just(VALID_CREDENTIAL),
    Email: EMAILS,
    Locale: st.sampled_from(["en", "pt_BR", "PT-br", "fr", "de-DE"]),
    Role: st.sampled_from(ROLES),
    QueryFlag: st.sampled_from(["true", "false", "True", ""]),
    Flag: st.booleans(),
    FutureTime: st.datetimes(timezones=st.timezones()).map(datetime.isoformat) | TEXT,
    Scopes: st.lists(st.sampled_from(["introspect", "access"]), max_size=2),
    StringList: st.lists(TEXT) | st.integers(0, 101).map(["x"].__mul__),
    ObjectId: TEXT | st.fixed_dictionaries({"$oid": TEXT}),
    NameCursor: st.binary().map(base64.urlsafe_b64encode).map(bytes.decode),
    fields.Integer: st.integers(-1, 202).map(str),
    fields.String: TEXT | st.from_regex(r"[0-9a-f]{24}", fullmatch=True),
}
# What a database, a pattern or a change of case may take for something else.
PIECES = [
    *("2012-05-05", "2012-05-05T00:00:00Z", "1917", "-1", "1e5", "0x1", "true", "null", "NaN"),
    *("{}", "[]", '{"$gt": ""}', '{"$oid": "000000000000000000000000"}', "$", "$where", "a.b", "="),
    *(".*", "(", ")", "[a-z]", "\\", "\\d", "^", "|", "?", "+", "%", "_", "'", '"', "--", "#", "&"),
    *("Heat", "heat", "HEAT", "Straße", "STRASSE", "ΟΔΥΣΣΕΥΣ", "σ", "ς", "İ", "ı", "ǆ", "ﬁ", "K"),
    *("é", "e\u0301", "🎬", "👩\u200d🚀", "\u202e", "\uffff", "\U0010ffff"),
    *(" ", "\u00a0", "\u3000"),
]


def values_for(field: fields.Field[Any]) -> SearchStrategy[Any]:
    """Return values that a field accepts, or almost."""
    values = next(values for kind, values in ALMOST_VALID.items() if isinstance(field, kind))
    return st.none() | values if field.allow_none else values


def requests_for(schema: type[Schema]) -> SearchStrategy[Any]:
    """Return requests that a schema accepts, that it almost accepts, and any others."""
    declared = schema().fields
    required = {name: values_for(field) for name, field in declared.items() if field.required}
    optional = {name: values_for(field) for name, field in declared.items() if not field.required}
    mixed = {name: values_for(field) | JSON for name, field in declared.items()}
    return (
        st.fixed_dictionaries(required, optional=optional)
        | st.fixed_dictionaries({}, optional=mixed)
        | st.dictionaries(st.sampled_from(list(declared)) | st.text(), JSON)
        | JSON
    )


def single_lines(max_length: int) -> SearchStrategy[str]:
    """Return valid lines of text with pieces that something may misunderstand."""
    pieces = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), min_size=1, max_size=4)
    lines = pieces.map("".join).map(str.strip)
    return lines.filter(lambda line: is_single_line(line, max_length))


def json_bytes(values: SearchStrategy[Any]) -> SearchStrategy[bytes]:
    """Return values as JSON."""
    return values.map(json.dumps).map(str.encode)
