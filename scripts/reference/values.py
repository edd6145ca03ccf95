"""Values of the OpenAPI document in words, and examples of them."""

import re
from typing import Any

from schemas.fields import line_pattern
from scripts.reference import application
from scripts.reference.application import Json
from scripts.reference.markdown import code

FORMATS = {
    "email": "an email address",
    "password": "a text",
    "date-time": "a time in UTC, ISO 8601",
}
TYPES = {"string": "a text", "integer": "a whole number", "boolean": "true or false"}


def in_words(schema: Json) -> str:
    """Return in words what a value may be."""
    if name := name_of(schema):
        return link_to(name)
    schema = resolved(schema)
    kind = schema.get("type")
    if isinstance(kind, list):
        return f"{in_words({**schema, 'type': kind[0]})}; or null"
    words = _kind_in_words(schema)
    return words + (f", {schema['default']:,} by default" if "default" in schema else "")


def _kind_in_words(schema: Json) -> str:
    match schema:
        case {"enum": choices}:
            return " or ".join(code(it) for it in choices if it is not None)
        case {"type": "array"}:
            if name := name_of(schema["items"]):
                return f"a list of {link_to(name)}"
            count = _range(schema, "minItems", "maxItems", " of")
            return f"a list{count}, each {in_words(schema['items'])}"
        case {"type": "object"}:
            return _object_in_words(schema)
        case {"type": "integer"}:
            return f"a whole number{_range(schema, 'minimum', 'maximum', ',')}"
        case {"pattern": pattern}:
            return _pattern_in_words(pattern)
    kind = FORMATS.get(schema.get("format", ""), TYPES.get(schema.get("type", ""), ""))
    length = f" of at most {schema['maxLength']:,} characters" if "maxLength" in schema else ""
    return kind + length


def _object_in_words(schema: Json) -> str:
    fields = schema.get("properties", {})
    inner = ", ".join(f"{code(name)}: {in_words(it)}" for name, it in fields.items())
    return f"an object with {inner}" if inner else "an object"


def _range(schema: Json, lower: str, upper: str, before: str) -> str:
    least, most = schema.get(lower, 0), schema.get(upper)
    return f"{before} {least} to {most}" if most else ""


def _pattern_in_words(pattern: str) -> str:
    """Return what a pattern matches: a line has one that no reader would decipher."""
    length = re.search(r"\{0,(\d+)\}", pattern)
    longest = int(length[1]) + 2 if length else 0
    if length and pattern == line_pattern(longest):
        return f"a line of 1 to {longest} characters; blanks around it are removed"
    return f"a text that matches {code(pattern)}"


def example(schema: Json) -> Any:
    """Return an example of a value, from those that the document has for its fields."""
    schema = resolved(schema)
    match schema:
        case {"examples": [first, *_]} | {"enum": [first, *_]}:
            return first
        case {"type": "array"}:
            return [example(schema["items"])]
        case {"type": "object"}:
            return {name: example(it) for name, it in schema.get("properties", {}).items()}
    raise ValueError(f"No example for {schema}")


def resolved(schema: Json) -> Json:
    """Return a schema, or the one that it refers to."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return application.document()["components"]["schemas"][name] if name else schema


def name_of(schema: Json) -> str:
    """Return the name of the object that a schema refers to, "" if it refers to none."""
    is_object = "properties" in resolved(schema)
    return str(schema.get("$ref", "")).rpartition("/")[2] if is_object else ""


def link_to(name: str) -> str:
    """Return a link to the operation or the response of this name."""
    return f"[{name}](#{name.lower()})"
