"""What a valid value is, said a second time, in the plainest way."""

import re
import time
import unicodedata
from typing import Any

from marshmallow import fields

from database.models import ROLES
from schemas.api_keys import FutureTime, Scopes
from schemas.factors import Code
from schemas.fields import (
    CONTROL_CHARACTERS,
    IGNORABLE,
    Email,
    Locale,
    Name,
    Role,
    SingleLine,
    StringList,
)
from schemas.passkeys import CredentialField

# U+200C and U+200D are invisible too, but change the letters around them.
JOINER = re.compile("[\u200c\u200d]")

VALID_CREDENTIAL = {
    "id": "AA",
    "rawId": "AA",
    "type": "public-key",
    "response": {"clientDataJSON": "e30"},
}
CHOICES = {Role: ROLES, Locale: ("en", "pt_BR", "de")}


def is_valid(field: fields.Field[Any], value: Any) -> bool:
    """Return whether a loaded value of a field is one that may be stored."""
    if value is None:
        return bool(field.allow_none)
    if isinstance(field, Email):
        return is_email(value)
    if isinstance(field, Name):
        return is_name(value)
    if isinstance(field, SingleLine):
        return is_single_line(value, field.longest)
    if isinstance(field, Code):
        return bool(re.fullmatch("[0-9]{6}", value))
    if isinstance(field, CredentialField):
        return is_credential(value)
    if isinstance(field, FutureTime):
        return isinstance(value, float) and time.time() < value < 10**11
    if isinstance(field, Scopes):
        return bool(value == ["introspect"])
    if isinstance(field, StringList):
        return 1 <= len(value) <= 100 and all(is_single_line(line, 100) for line in value)
    if isinstance(field, fields.Boolean):
        return isinstance(value, bool)
    if isinstance(field, fields.Integer):
        return type(value) is int and 1 <= value <= 200
    choices = CHOICES.get(type(field))
    return isinstance(value, str) and (choices is None or value in choices)


def is_email(text: str) -> bool:
    is_ascii_line = text.isascii() and text.isprintable() and " " not in text
    local_part, at, _ = text.rpartition("@")
    is_short = len(text) <= 254 and 1 <= len(local_part) <= 64
    return is_ascii_line and is_short and text == text.lower() and bool(at)


def is_credential(value: dict[str, Any]) -> bool:
    response = value["response"]
    parts = [value["id"], value["rawId"], *response.values()]
    transports = response.get("transports", [])
    texts = [*transports, *(part for part in parts if part is not transports)]
    are_bytes = all(re.fullmatch("[A-Za-z0-9_-]{0,32768}", text) for text in texts)
    has_all = value.keys() == VALID_CREDENTIAL.keys() and "clientDataJSON" in response
    return are_bytes and has_all and value["type"] == "public-key" and len(transports) <= 10


def is_name(text: str) -> bool:
    is_normal = unicodedata.normalize("NFKC", text) == text
    visible = JOINER.sub("", text)
    is_visible = visible.isprintable() and any(character.isalnum() for character in visible)
    letters = "".join(one for one in visible if unicodedata.category(one)[0] != "M")
    is_link = re.search(r"[<>/:@]|[.\u3002]\w\w", letters)
    joins_letters = all(_joins_letters(text, found.start()) for found in JOINER.finditer(text))
    is_harmless = is_visible and joins_letters and not (is_link or IGNORABLE.search(visible))
    return is_normal and is_harmless and is_single_line(text, 100)


def _joins_letters(text: str, index: int) -> bool:
    around = text[index - 1 : index] + text[index + 1 : index + 2]
    return len(around) == 2 and all(unicodedata.category(one)[0] in "LM" for one in around)


def is_single_line(text: str, max_length: int) -> bool:
    is_line = text == text.strip() and not CONTROL_CHARACTERS.search(text)
    return is_line and 1 <= len(text) <= max_length


def have_reasons(errors: dict[str, list[str]]) -> bool:
    """Return whether `errors` has a list of sentences for each field."""
    are_lists = all(isinstance(sentences, list) and sentences for sentences in errors.values())
    sentences = [sentence for field in errors.values() for sentence in field]
    return (
        bool(errors) and are_lists and all(type(text) is str and bool(text) for text in sentences)
    )
