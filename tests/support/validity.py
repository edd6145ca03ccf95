"""What a valid value is, said a second time, in the plainest way."""

import unicodedata
from typing import Any

from marshmallow import fields

from database.models import ROLES
from schemas.fields import CONTROL_CHARACTERS, LINK_LIKE, Email, Name, Role, SingleLine, StringList


def is_valid(field: fields.Field[Any], value: Any) -> bool:
    """Return whether a loaded value of a field is one that may be stored."""
    if isinstance(field, Email):
        ascii_line = value.isascii() and value.isprintable() and " " not in value
        return ascii_line and value == value.lower() and len(value) <= 254 and "@" in value
    if isinstance(field, Name):
        return is_name(value)
    if isinstance(field, SingleLine):
        return is_single_line(value, field.metadata["maxLength"])
    if isinstance(field, StringList):
        return 1 <= len(value) <= 100 and all(is_single_line(line, 100) for line in value)
    if isinstance(field, fields.Integer):
        return type(value) is int and 1 <= value <= 200
    return isinstance(value, str) and (not isinstance(field, Role) or value in ROLES)


def is_name(text: str) -> bool:
    is_normal = unicodedata.normalize("NFKC", text) == text
    is_harmless = text.isprintable() and not LINK_LIKE.search(text)
    return is_normal and is_harmless and is_single_line(text, 100)


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
